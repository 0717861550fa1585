package driver

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func compare(a, b netip.Addr) bool { return a == b }

// dump227 is what keepalived 2.2.7 wrote, shortened.
const dump227 = `[{"data":{"iname":"g0","state":2,"vips":["169.254.7.7 dev eth0 scope global set"],` +
	`"evips":["10.9.1.2 dev eth0 scope global set","10.9.1.1/32 dev eth0 scope global"]},"stats":{"advert_sent":30}},` +
	`{"data":{"iname":"g1","state":1,"vips":["fe80::7 dev eth0 scope link"],"evips":[]},"stats":{}}]`

func TestParseDump(t *testing.T) {
	want := map[netip.Addr][]netip.Addr{
		netip.MustParseAddr("169.254.7.7"): {netip.MustParseAddr("10.9.1.1"), netip.MustParseAddr("10.9.1.2")},
		netip.MustParseAddr("fe80::7"):     nil,
	}
	for name, text := range map[string]string{"version 1": dump227, "version 2": `{"version":2,"vrrp":` + dump227 + `}`} {
		got, err := parseDump([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(compare)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, bad := range []string{
		"", dump227[:len(dump227)/2], `[{"data":{"vips":[]}}]`, `[{"data":{"vips":["x dev eth0"]}}]`,
		`[{"data":{"vips":["1.2.3.4"],"evips":["nonsense"]}}]`,
	} {
		if got, err := parseDump([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte(dump227))
	f.Add([]byte(`{"vrrp":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseDump(data)
		if err != nil && len(got) > 0 {
			t.Errorf("%v with an error", got)
		}
	})
}

func TestFileAtFault(t *testing.T) {
	const dir = "/state/nginx/gen/1"
	for output, want := range map[string]string{
		"": "",
		`nginx: [emerg] unknown directive "x" in /state/nginx/gen/1/http/a_b.conf:12`:     "http/a_b.conf",
		"nginx: [emerg] x in /etc/passwd:1":                                               "",
		"nginx: [emerg] x in /state/nginx/gen/1/../2/y.conf:1":                            "",
		"[warn] in /elsewhere/z:3\n[emerg] bad in /state/nginx/gen/1/stream/c_d.conf:7\n": "stream/c_d.conf",
	} {
		if got := fileAtFault(dir, output); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for output, want := range map[string]string{
		"":                           "",
		"a\n\n b \n":                 "a; b",
		"note\n[emerg] bad\x1b[31m!": "[emerg] bad?[31m!",
		"x\n(Line 7) unknown keyword\nConfig check failed": "(Line 7) unknown keyword",
		"\xff\xfe": "?",
	} {
		if got := words(output); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
	if n := len([]rune(words(strings.Repeat("ä", 1000)))); n != maxWords+1 {
		t.Errorf("%d runes", n)
	}
}

// FuzzWords: nothing that a program writes reaches a status or a terminal as a control character.
func FuzzWords(f *testing.F) {
	f.Add("nginx: [emerg] x\r\n\x1b]0;y\x07")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range words(s) {
			if r < ' ' || r == 0x7f {
				t.Fatalf("%q has %U", words(s), r)
			}
			if r == unicode.ReplacementChar && !strings.ContainsRune(s, r) {
				t.Fatalf("%q is no longer text", words(s))
			}
		}
	})
}

func TestGate(t *testing.T) {
	g := Gate{Path: filepath.Join(t.TempDir(), "gate")}
	read := func() string {
		data, err := os.ReadFile(g.Path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	step := func(f func() error, want string, open bool) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != want || g.Open() != open {
			t.Errorf("the file says %q, Open %v; want %q, %v", got, g.Open(), want, open)
		}
	}
	step(g.Make, "1   \n", false)
	step(func() error { return g.Set(true) }, "0   \n", true)
	step(g.Make, "0   \n", true) // what is there stays
	step(func() error { return g.Set(false) }, "1   \n", false)
	again := Gate{Path: g.Path} // as a daemon that comes back
	if err := again.Make(); err != nil || again.Open() {
		t.Errorf("a shut gate is read as open, %v", err)
	}
	step(func() error { return g.Set(true) }, "0   \n", true)
	if err := again.Make(); err != nil || !again.Open() {
		t.Errorf("an open gate is read as shut, %v", err)
	}
	missing := Gate{Path: "/no/such/dir/gate"}
	if err := missing.Set(true); err == nil || missing.Open() {
		t.Errorf("error %v, open %v", err, missing.Open())
	}
}

func TestCheckTellsRefusalFromFailure(t *testing.T) {
	ctx := t.Context()
	if err := check(ctx, "x", "/", "/bin/true"); err != nil {
		t.Error(err)
	}
	err := check(ctx, "x", "/gen", "/bin/sh", "-c", "echo '[emerg] y in /gen/http/z.conf:1'; exit 5")
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.File != "http/z.conf" || refused.Program != "x" {
		t.Errorf("refusal: %v", err)
	}
	if err := check(ctx, "x", "/", "/no/such"); err == nil || errors.As(err, &refused) && refused == nil {
		t.Errorf("failure: %v", err)
	}
}

// TestEmergencies: what clients make nginx write into its log is no emergency.
func TestEmergencies(t *testing.T) {
	const log = "2026/01/02 03:04:05 [notice] 1#1: signal 1 (SIGHUP) received\n" +
		`{"agent":"[emerg] "}` + "\n" +
		`2026/01/02 03:04:05 [error] 1#1: *6 forbidden, request: "GET /2026/01/02 03:04:05 [emerg] HTTP/1.1"` + "\n"
	const emergency = "2026/01/02 03:04:05 [emerg] 1#1: bind() to 10.0.0.1:80 failed (98: Address already in use)"
	if got := emergencies.FindAllString(log, -1); len(got) > 0 {
		t.Errorf("found %q", got)
	}
	if got := emergencies.FindAllString(log+emergency+"\n"+log, -1); len(got) != 1 || got[0] != emergency {
		t.Errorf("found %q", got)
	}
}
