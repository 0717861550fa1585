package nginx_test

import (
	"bytes"
	"flag"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// marker is in every text of the fuzzed load balancer, so that text that went astray can be seen.
const marker = "marker"

// generated are the words that a load balancer's files may have but for paths and hosts.
var generated = regexp.MustCompile(`^(upstream|server|listen|server_name|location|proxy_pass|return` +
	`|keepalive(_time(out)?)?|default_server|backlog=4096|udp|reuseport|proxy_timeout|so_keepalive=5m:15s:4` +
	`|max_fails=0|weight=[0-9]+|=|/|@failed|16|30s|4s|200|404|503|\$lb_failure` +
	`|[0-9.]+:[0-9]+|\[[0-9a-f:.]+\]:[0-9]+|(http://)?[0-9a-f]{4}_[a-z0-9-]+_[a-z0-9.-]+(_[0-9a-f]{16})?_[0-9]+u?_[0-9]+` +
	`|404 Not Found: [a-z ]+\n|503 Service Unavailable: [a-z ]+\n)$`)

// FuzzRender puts arbitrary values into a load balancer beside a sound one: nothing panics, the sound one's files are
// what they are without it, and no value is anything but one whole word at its place.
func FuzzRender(f *testing.F) {
	four, six := []byte{10, 0, 0, 9}, netip.MustParseAddr("fd00::9").AsSlice()
	for _, path := range []string{
		"/", "/a b", `/a"; return 200 "x`, "/a\\", "/a'{", "/a\n;", "/%0a%00", "/#x", "/$uri", "/a;}", "/../..",
		"//", "/é", "/%zz",
		`/\\"`, "/" + strings.Repeat("a", 2000), "a", "\x00", "/\xff", "/~^", "/=", "/@x",
	} {
		f.Add("default", "cm", "tea.example.com", path, "HTTP", four, uint16(80), six, uint16(80))
	}
	for _, host := range []string{
		"", "*.x", "~.*", "$hostname", "a b", "a;b", "A", "_", ".x", "x.", "é", strings.Repeat("a.", 130),
	} {
		f.Add("default", "cm", host, "/x", "HTTP", six, uint16(80), four, uint16(80))
	}
	f.Add("../..", "cm", "", "", "TCP", four, uint16(22), four, uint16(22))
	f.Add("ns", strings.Repeat("n", 253), "", "", "TCP", four, uint16(22), four, uint16(22))
	f.Add("ns", "x_y", "", "", "TCP", four, uint16(22), []byte{0, 0, 0, 0}, uint16(22))
	f.Add("ns", "x", "", "", "UDP", four, uint16(22), four, uint16(22))
	f.Add("ns", "x", "", "", "TCP", []byte{0, 0, 0, 0}, uint16(22), four, uint16(22))
	f.Add("ns", "x", "", "", "TCP", []byte{10, 0, 0, 1}, uint16(80), four, uint16(0))
	f.Add("default", "sound", "", "", "TCP", []byte{10, 0, 0, 7}, uint16(80), four, uint16(9))
	f.Fuzz(func(t *testing.T, ns, name, host, path, protocol string, vip []byte, port uint16, ep []byte, epPort uint16) {
		l := lb.LoadBalancer{Origin: lb.Origin{Key: lb.Key{Namespace: ns, Name: name}}}
		addr, _ := netip.AddrFromSlice(vip)
		l.VIPs = []netip.Addr{addr}
		target, _ := netip.AddrFromSlice(ep)
		r := lb.Route{Host: host, Path: path}
		r.Target.Endpoints = []netip.AddrPort{netip.AddrPortFrom(target, epPort)}
		if protocol != "TCP" {
			r.Path += marker
		}
		l.Listeners = []lb.Listener{{Port: port, Protocol: lb.Protocol(protocol), Routes: []lb.Route{r}}}
		oracle(t, l)
	})
}

// oracle renders a load balancer beside a sound one and checks what FuzzRender promises.
func oracle(t *testing.T, l lb.LoadBalancer) {
	t.Helper()
	sound := balancer("sound", []string{"10.0.0.1"}, http(80, route("", "", "10.96.0.1:80")))
	alone, err := nginx.Render(input(sound))
	if err != nil {
		t.Fatal(err)
	}
	res, err := nginx.Render(input(l, sound))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Refused {
		if strings.ContainsFunc(f.String(), unicode.IsControl) {
			t.Errorf("finding %q holds a control character", f)
		}
	}
	if own := l.Origin.Key == sound.Origin.Key || slices.Equal(l.VIPs, sound.VIPs); !own {
		want, _ := alone.Files.Get("http/default_sound.conf")
		if got, _ := res.Files.Get("http/default_sound.conf"); !bytes.Equal(got, want) {
			t.Errorf("the neighbour's file became\n%s", got)
		}
	}
	for _, file := range res.Files {
		if _, owned := res.Owner(file.Path); !owned {
			checkShared(t, file)
			continue
		}
		ds, err := parse(string(file.Data))
		if err != nil {
			t.Fatalf("%s: %v\n%s", file.Path, err, file.Data)
		}
		checkWords(t, ds, l.Listeners[0].Routes[0])
	}
	if flag.Lookup("test.fuzz").Value.String() == "" {
		accepted(t, res)
	}
}

// checkShared wants nothing of a user in a file that belongs to nobody.
func checkShared(t *testing.T, file render.File) {
	t.Helper()
	if strings.Contains(string(file.Data), marker) {
		t.Errorf("a value got into %s", file.Path)
	}
}

// checkWords wants every word to be a generated one, or the host or path at its place.
func checkWords(t *testing.T, ds []directive, r lb.Route) {
	t.Helper()
	for _, d := range ds {
		if slices.Equal(d.words, []string{"if", "($host", "!=", r.Host, ")"}) {
			checkWords(t, d.block, r)
			continue
		}
		for i, w := range d.words {
			isHost := i == 1 && d.words[0] == "server_name" && w == r.Host
			isPath := i > 0 && d.words[0] == "location" && i == len(d.words)-1 && strings.HasPrefix(w, "/") &&
				strings.HasSuffix(strings.TrimSuffix(w, "/"), marker)
			if !generated.MatchString(w) && !isHost && !isPath {
				t.Errorf("directive %q: word %d comes from nowhere", d.words, i)
			}
		}
		checkWords(t, d.block, r)
	}
}
