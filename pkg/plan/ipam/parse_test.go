package ipam

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ranges(p Pool) []string {
	var out []string
	for _, r := range p.Ranges {
		out = append(out, r.String())
	}
	return out
}

func TestParsePool(t *testing.T) {
	whole := Options{IncludeNetworkAndBroadcast: true}
	for _, tc := range []struct {
		name string
		in   []string
		o    Options
		want []string
	}{
		{"CIDR without network and broadcast", []string{"10.0.0.0/24"}, Options{}, []string{"10.0.0.1-10.0.0.254"}},
		{"whole CIDR", []string{"10.0.0.0/24"}, whole, []string{"10.0.0.0-10.0.0.255"}},
		{"/30", []string{"10.0.0.4/30"}, Options{}, []string{"10.0.0.5-10.0.0.6"}},
		{"/31 is whole (RFC 3021)", []string{"10.0.0.4/31"}, Options{}, []string{"10.0.0.4-10.0.0.5"}},
		{"/32", []string{"10.0.0.4/32"}, Options{}, []string{"10.0.0.4"}},
		{"range is whole", []string{"10.0.0.0-10.0.0.255"}, Options{}, []string{"10.0.0.0-10.0.0.255"}},
		{"range of one", []string{"10.0.0.7-10.0.0.7"}, Options{}, []string{"10.0.0.7"}},
		{"single", []string{"10.0.0.7"}, Options{}, []string{"10.0.0.7"}},
		{"IPv6 without the router anycast address", []string{"fd00::/64"}, Options{},
			[]string{"fd00::1-fd00::ffff:ffff:ffff:ffff"}},
		{"whole IPv6", []string{"fd00::/126"}, whole, []string{"fd00::-fd00::3"}},
		{"/127 is whole (RFC 6164)", []string{"fd00::2/127"}, Options{}, []string{"fd00::2-fd00::3"}},
		{"/128", []string{"fd00::2/128"}, Options{}, []string{"fd00::2"}},
		{"blanks", []string{" 10.0.0.1 - 10.0.0.3 ", " 10.0.0.9"}, Options{}, []string{"10.0.0.1-10.0.0.3", "10.0.0.9"}},
		{"sorted, IPv4 first", []string{"fd00::1", "10.0.1.1", "10.0.0.1"}, Options{},
			[]string{"10.0.0.1", "10.0.1.1", "fd00::1"}},
		{"adjacent is no overlap", []string{"10.0.0.0-10.0.0.4", "10.0.0.5"}, Options{},
			[]string{"10.0.0.0-10.0.0.4", "10.0.0.5"}},
		{"excluded ends do not overlap", []string{"10.0.0.0/30", "10.0.0.3"}, Options{}, []string{"10.0.0.1-10.0.0.2",
			"10.0.0.3"}},
		{"huge", []string{"2001:db8::/32"}, Options{}, []string{"2001:db8::1-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}},
		{"up to the first special network", []string{"223.255.255.0/24"}, Options{},
			[]string{"223.255.255.1-223.255.255.254"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ParsePool("p", tc.in, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, ranges(p)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParsePoolErrors(t *testing.T) {
	for _, tc := range []struct {
		name, pool string
		in         []string
		want       []string
	}{
		{"no name", "", []string{"10.0.0.1"}, []string{`pool ""`, "lower-case"}},
		{"bad name", "Up per", []string{"10.0.0.1"}, []string{"lower-case"}},
		{"dash at the end", "a-", []string{"10.0.0.1"}, []string{"lower-case"}},
		{"long name", strings.Repeat("a", 64), []string{"10.0.0.1"}, []string{"63"}},
		{"nothing", "p", nil, []string{`pool "p"`, "no addresses"}},
		{"empty entry", "p", []string{"10.0.0.1", ""}, []string{"addresses[1]", "not a CIDR"}},
		{"word", "p", []string{"ten"}, []string{`"ten"`, "not a CIDR"}},
		{"bad CIDR", "p", []string{"10.0.0.0/33"}, []string{"not a CIDR"}},
		{"host bits", "p", []string{"10.0.0.5/24"}, []string{"10.0.0.0/24"}},
		{"backwards", "p", []string{"10.0.0.9-10.0.0.1"}, []string{"ends before it begins"}},
		{"mixed", "p", []string{"10.0.0.9-fd00::1"}, []string{"mixes"}},
		{"half a range", "p", []string{"10.0.0.9-"}, []string{"not a CIDR"}},
		{"zone", "p", []string{"fe80::1%eth0"}, []string{"zone"}},
		{"mapped", "p", []string{"::ffff:10.0.0.1"}, []string{"10.0.0.1"}},
		{"mapped CIDR", "p", []string{"::ffff:10.0.0.0/120"}, []string{"IPv4"}},
		{"overlap", "p", []string{"10.0.0.0/24", "10.0.0.200-10.0.1.5"},
			[]string{`"10.0.0.0/24"`, `"10.0.0.200-10.0.1.5"`, "overlap"}},
		{"twice", "p", []string{"fd00::1", "fd00::1"}, []string{"overlap"}},
		{"inner overlap", "p", []string{"10.0.0.0/16", "10.0.3.0/24", "11.0.0.1"}, []string{`"10.0.0.0/16"`,
			`"10.0.3.0/24"`}},
		{"loopback", "p", []string{"127.0.0.1"}, []string{"loopback"}},
		{"loopback inside", "p", []string{"126.0.0.0-128.0.0.0"}, []string{"127.0.0.0/8"}},
		{"link-local", "p", []string{"169.254.1.0/24"}, []string{"link-local"}},
		{"IPv6 link-local", "p", []string{"fe80::1"}, []string{"link-local"}},
		{"multicast", "p", []string{"224.0.0.18"}, []string{"multicast"}},
		{"broadcast", "p", []string{"255.255.255.255"}, []string{"reserved"}},
		{"everything", "p", []string{"0.0.0.0/0"}, []string{"0.0.0.0/8"}},
		{"everything in IPv6", "p", []string{"::/0"}, []string{"no address of it can be a virtual IP"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ParsePool(tc.pool, tc.in, Options{})
			if err == nil {
				t.Fatalf("no error but %v", p)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func mustPool(tb testing.TB, name string, addresses ...string) Pool {
	tb.Helper()
	p, err := ParsePool(name, addresses, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestCheck(t *testing.T) {
	a := mustPool(t, "a", "10.0.0.0/24", "fd00::/64")
	for _, tc := range []struct {
		name  string
		pools []Pool
		want  string
	}{
		{"none", nil, ""},
		{"apart", []Pool{a, mustPool(t, "b", "10.0.1.0/24", "fd00:1::/64")}, ""},
		{"interleaved", []Pool{mustPool(t, "x", "10.0.0.1", "10.0.0.3"), mustPool(t, "y", "10.0.0.2")}, ""},
		{"overlap", []Pool{a, mustPool(t, "b", "10.0.0.7")},
			`pools "a" (10.0.0.1-10.0.0.254) and "b" (10.0.0.7) overlap`},
		{"IPv6 overlap", []Pool{mustPool(t, "b", "fd00::7"), a},
			`pools "a" (fd00::1-fd00::ffff:ffff:ffff:ffff) and "b" (fd00::7) overlap`},
		{"same name", []Pool{a, mustPool(t, "a", "10.9.0.7")}, `pool "a" is there twice`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := Check(tc.pools); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzParsePool holds every pool that can be written to the package's laws.
func FuzzParsePool(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.0/24", "10.0.0.1-10.0.0.9,fd00::/64", "0.0.0.0/0", "::/0", "255.255.255.255", "a-b-c", "1.2.3.4/",
		"223.255.255.255-224.0.0.0", "fd00::/127,fd00::2", "10.0.0.0/24,10.0.0.255", " - ", "10.0.0.1-", "::ffff:1.2.3.4",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, whole bool) {
		p, err := ParsePool("p", strings.Split(text, ","), Options{IncludeNetworkAndBroadcast: whole})
		if err != nil {
			if s := err.Error(); strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("control character in error %q", s)
			}
			return
		}
		var before netip.Addr
		var size uint64
		for i, r := range p.Ranges {
			if r.From.Compare(r.To) > 0 || i > 0 && r.From.Compare(before) <= 0 {
				t.Fatalf("unsorted or overlapping: %v", ranges(p))
			}
			before = r.To
			for _, a := range []netip.Addr{r.From, r.To} {
				if !p.Contains(a) || a.IsMulticast() || a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() ||
					a.Zone() != "" || a.Is4In6() {
					t.Fatalf("%s must not be in %v", a, ranges(p))
				}
			}
			size |= r.Size()
		}
		if size == 0 {
			t.Fatalf("empty pool from %q", text)
		}
		if again, err := ParsePool("p", ranges(p), Options{}); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("reads differently when written out: %v, %v, %v", p, again, err)
		}
	})
}
