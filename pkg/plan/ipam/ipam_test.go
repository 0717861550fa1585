package ipam

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestContains(t *testing.T) {
	p := mustPool(t, "p", "10.0.0.0/29", "10.0.1.5", "fd00::10-fd00::20")
	for a, want := range map[string]bool{
		"10.0.0.0": false, "10.0.0.1": true, "10.0.0.6": true, "10.0.0.7": false, "10.0.1.4": false, "10.0.1.5": true,
		"10.0.1.6": false, "fd00::f": false, "fd00::10": true, "fd00::1f": true, "fd00::20": true, "fd00::21": false,
		"::a00:1": false, "9.9.9.9": false, "255.255.255.255": false, "::1": false,
	} {
		if got := p.Contains(addr(a)); got != want {
			t.Errorf("Contains(%s) = %v", a, got)
		}
	}
	if p.Contains(netip.Addr{}) {
		t.Error("contains the zero address")
	}
	if (Pool{}).Contains(addr("10.0.0.1")) {
		t.Error("an empty pool contains an address")
	}
}

func TestSize(t *testing.T) {
	for _, tc := range []struct {
		addresses []string
		v4, v6    uint64
	}{
		{[]string{"10.0.0.0/24"}, 254, 0},
		{[]string{"10.0.0.0/24", "10.1.0.7", "fd00::1-fd00::ff"}, 255, 255},
		{[]string{"fd00::/64"}, 0, math.MaxUint64},
		{[]string{"fd00::/65"}, 0, math.MaxInt64},
		{[]string{"fd00::/65", "fd00::8000:0:0:0/65", "fd00:0:0:1::7"}, 0, math.MaxUint64},
		{[]string{"2001:db8::/32"}, 0, math.MaxUint64},
	} {
		p := mustPool(t, "p", tc.addresses...)
		if v4, v6 := p.Size(lb.IPv4), p.Size(lb.IPv6); v4 != tc.v4 || v6 != tc.v6 {
			t.Errorf("%v: got %d and %d, want %d and %d", tc.addresses, v4, v6, tc.v4, tc.v6)
		}
	}
}

func TestPoolString(t *testing.T) {
	p := mustPool(t, "p", "10.0.0.1", "10.0.0.3-10.0.0.4", "10.0.0.6", "10.0.0.8", "fd00::1")
	if got, want := p.String(), `"p" (10.0.0.1, 10.0.0.3-10.0.0.4, 10.0.0.6, and 2 more)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNamedAndHolding(t *testing.T) {
	pools := []Pool{mustPool(t, "a", "10.0.0.1"), mustPool(t, "b", "10.0.0.2")}
	if p, ok := Named(pools, "b"); !ok || p.Name != "b" {
		t.Errorf("Named: %v %v", p, ok)
	}
	if p, ok := Named(pools, "c"); ok {
		t.Errorf("Named: %v", p)
	}
	if p, ok := Holding(pools, addr("10.0.0.2")); !ok || p.Name != "b" {
		t.Errorf("Holding: %v %v", p, ok)
	}
	if p, ok := Holding(pools, addr("10.0.0.3")); ok {
		t.Errorf("Holding: %v", p)
	}
}

// pickAll picks until nothing is left.
func pickAll(pools []Pool, f lb.Family, pool string, taken map[netip.Addr]bool, most int) []string {
	p := NewPicker(pools, func(a netip.Addr) bool { return taken[a] })
	var out []string
	for len(out) < most {
		a, ok := p.Pick(f, pool)
		if !ok {
			break
		}
		taken[a] = true
		out = append(out, a.String())
	}
	return out
}

func TestPick(t *testing.T) {
	manual := mustPool(t, "m", "10.0.9.1-10.0.9.2")
	manual.Manual = true
	pools := []Pool{manual, mustPool(t, "b", "10.0.1.0/30", "10.0.0.8", "fd00::/64"), mustPool(t, "a", "10.0.0.1")}
	for _, tc := range []struct {
		name   string
		family lb.Family
		pool   string
		taken  []string
		want   []string
	}{
		{"lowest first, pool by pool", lb.IPv4, "", nil, []string{"10.0.0.8", "10.0.1.1", "10.0.1.2", "10.0.0.1"}},
		{"around what is taken", lb.IPv4, "", []string{"10.0.0.8", "10.0.1.2"}, []string{"10.0.1.1", "10.0.0.1"}},
		{"named", lb.IPv4, "a", nil, []string{"10.0.0.1"}},
		{"manual only by name", lb.IPv4, "m", nil, []string{"10.0.9.1", "10.0.9.2"}},
		{"IPv6", lb.IPv6, "", []string{"fd00::1", "fd00::3"}, []string{"fd00::2", "fd00::4", "fd00::5", "fd00::6",
			"fd00::7"}},
		{"a pool without the family", lb.IPv6, "a", nil, nil},
		{"unknown pool", lb.IPv4, "zzz", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			taken := map[netip.Addr]bool{}
			for _, a := range tc.taken {
				taken[addr(a)] = true
			}
			if d := cmp.Diff(tc.want, pickAll(pools, tc.family, tc.pool, taken, 5)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPickAgainWhileFree(t *testing.T) {
	p := NewPicker([]Pool{mustPool(t, "p", "10.0.0.0/24")}, func(netip.Addr) bool { return false })
	a, _ := p.Pick(lb.IPv4, "")
	b, _ := p.Pick(lb.IPv4, "")
	if a != b {
		t.Errorf("picked %s, then %s, though nobody took the first", a, b)
	}
}

// The last address of all must not make the picker run in circles.
func TestPickAtTheEnd(t *testing.T) {
	last := Range{From: addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"),
		To: addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}
	got := pickAll([]Pool{{Name: "p", Ranges: []Range{last}}}, lb.IPv6, "", map[netip.Addr]bool{}, 5)
	if len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

// 20,000 picks cost one walk, not 200 million steps.
func TestPickMany(t *testing.T) {
	pick := func(n int) time.Duration {
		start := time.Now()
		got := pickAll([]Pool{mustPool(t, "p", "fd00::/64")}, lb.IPv6, "", map[netip.Addr]bool{}, n)
		if last := fmt.Sprintf("fd00::%x", n); len(got) != n || got[n-1] != last {
			t.Errorf("got %d, last %s, want %s", len(got), got[len(got)-1], last)
		}
		return time.Since(start)
	}
	// What is quadratic takes 64 times as long for eight times as many; whatever else runs makes a run longer.
	few, many := min(pick(5000), pick(5000), pick(5000)), min(pick(40000), pick(40000), pick(40000))
	if many > 40*few {
		t.Errorf("5,000 addresses take %s, 40,000 take %s", few, many)
	}
}
