package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	macs  = []neighbor.Hardware{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}}
	equal = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func number(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// TestOwnersTurn has each of a thousand addresses asked for every ten seconds, about as many in each look, and new ones
// soon.
func TestOwnersTurn(t *testing.T) {
	b := newOwnerBook()
	var held []netip.Addr
	for i := range 1000 {
		held = append(held, number(i))
	}
	asked := make(map[netip.Addr]time.Time)
	for look := range 400 {
		now := noon.Add(time.Duration(look) * lookEvery)
		due := b.due(now, held)
		if limit := newPerLook + 26; len(due) > limit || look > 200 && len(due) > 50 {
			t.Fatalf("look %d asks for %d", look, len(due))
		}
		for _, a := range due {
			if at, ok := asked[a]; ok && look > 100 && now.Sub(at) > askOwnerEvery+lookEvery {
				t.Fatalf("%s waited %s", a, now.Sub(at))
			}
			asked[a] = now
		}
		b.heard(now, due, nil)
	}
	if len(asked) != len(held) {
		t.Errorf("%d of %d were asked for", len(asked), len(held))
	}
	for a, at := range asked {
		if since := noon.Add(400 * lookEvery).Sub(at); since > askOwnerEvery+lookEvery {
			t.Errorf("%s was last asked for %s ago", a, since)
		}
	}
}

func TestOwnersConviction(t *testing.T) {
	b := newOwnerBook()
	held := []netip.Addr{number(1), number(2)}
	instances := []nodeconfig.Instance{{Group: 7, Family: lb.IPv4, VIPs: held}}
	foe := map[netip.Addr][]neighbor.Hardware{number(2): macs[:2]}
	look := func(after time.Duration, found map[netip.Addr][]neighbor.Hardware) (asked int, healed bool) {
		now := noon.Add(after)
		due := b.due(now, held)
		return len(due), b.heard(now, due, found)
	}
	step := func(after time.Duration, found map[netip.Addr][]neighbor.Hardware, asked int, healed bool, conflicts int) {
		t.Helper()
		n, h := look(after, found)
		if got := b.conflicts(instances); n != asked || h != healed || len(got) != conflicts {
			t.Errorf("after %s: %d asked for, healed: %v, conflicts %v", after, n, h, got)
		}
	}
	step(0, foe, 2, false, 0) // once may be a takeover
	step(250*time.Millisecond, foe, 0, false, 0)
	step(500*time.Millisecond, foe, 1, false, 2)
	want := []nodeconfig.Conflict{
		{Kind: nodeconfig.ConflictOwner, Address: number(2), Group: 7, Family: lb.IPv4, Other: macs[0].String(), Since: noon},
		{Kind: nodeconfig.ConflictOwner, Address: number(2), Group: 7, Family: lb.IPv4, Other: macs[1].String(), Since: noon},
	}
	if diff := cmp.Diff(want, b.conflicts(instances), equal); diff != "" {
		t.Error(diff)
	}
	step(time.Second, nil, 1, true, 0)
	step(1100*time.Millisecond, nil, 0, false, 0)
	step(7*time.Second, nil, 1, false, 0)  // the turn of one of them
	step(11*time.Second, foe, 1, false, 0) // and of the other
	step(12*time.Second, foe, 2, false, 2)
	held = held[:1]
	step(14*time.Second, foe, 0, false, 0) // no more held, so nobody's conflict of ours
}

func TestPeers(t *testing.T) {
	b, peers := peerBook{}, []netip.Addr{number(1), number(2)}
	all := map[netip.Addr][]neighbor.Hardware{number(1): macs[:1], number(2): macs[1:2]}
	one := map[netip.Addr][]neighbor.Hardware{number(1): macs[:1]}
	for i, s := range []struct {
		after int // ms
		found map[netip.Addr][]neighbor.Hardware
		want  bool
	}{
		{0, all, false}, {250, all, false}, {500, one, false}, {750, one, false}, {1000, all, false}, {1250, one, false}, {1750, one, false},
		{2250, one, false}, {2500, all, true}, {2750, all, false},
	} {
		if got := b.heard(noon.Add(time.Duration(s.after)*time.Millisecond), peers, s.found); got != s.want {
			t.Errorf("step %d: back: %v", i, got)
		}
	}
}

func TestAdvertBook(t *testing.T) {
	instances := []nodeconfig.Instance{
		{Group: 0, Family: lb.IPv4, VRID: 50, Anchor: netip.MustParseAddr("169.254.7.1")},
		{Group: 0, Family: lb.IPv6, VRID: 50, Anchor: netip.MustParseAddr("fe80::7:1")},
		{Group: 1, Family: lb.IPv4, VRID: 51, Anchor: netip.MustParseAddr("169.254.7.2")},
	}
	sighting := func(sender string, vrid uint8) vrrp.Sighting {
		return vrrp.Sighting{Sender: netip.MustParseAddr(sender), Advert: vrrp.Advert{VRID: vrid}}
	}
	b := advertBook{kind: nodeconfig.ConflictVRID}
	b.put(noon, noon.Add(time.Second), sighting("10.0.0.9", 51))
	b.put(noon, noon.Add(time.Second), sighting("10.0.0.9", 50))
	b.put(noon.Add(time.Second), noon.Add(2*time.Second), sighting("10.0.0.9", 51))
	b.put(noon, noon.Add(time.Second), sighting("fd00::9", 50))
	b.put(noon, noon.Add(time.Second), sighting("fd00::9", 51)) // no such instance
	conflict := func(group int, f lb.Family, other string) nodeconfig.Conflict {
		return nodeconfig.Conflict{Kind: nodeconfig.ConflictVRID, Group: group, Family: f, Other: other, Since: noon}
	}
	want := []nodeconfig.Conflict{
		conflict(0, lb.IPv4, "10.0.0.9"), conflict(0, lb.IPv6, "fd00::9"), conflict(1, lb.IPv4, "10.0.0.9"),
	}
	if diff := cmp.Diff(want, b.conflicts(noon.Add(time.Second), instances), equal); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[2:], b.conflicts(noon.Add(1500*time.Millisecond), instances), equal); diff != "" {
		t.Error(diff)
	}
	if got := b.conflicts(noon.Add(3*time.Second), instances); len(got) != 0 {
		t.Errorf("not forgotten: %v", got)
	}
}

func TestSkewed(t *testing.T) {
	anchor, next := netip.MustParseAddr("169.254.7.1"), netip.MustParseAddr("169.254.7.2")
	instances := []nodeconfig.Instance{
		{VRID: 50, Family: lb.IPv4, Anchor: anchor}, {VRID: 51, Family: lb.IPv4, Anchor: next},
	}
	for name, c := range map[string]struct {
		sender string
		vrid   uint8
		addrs  []netip.Addr
		want   []uint8
	}{
		"the same":                {"10.0.0.2", 50, []netip.Addr{anchor}, nil},
		"another":                 {"10.0.0.2", 50, []netip.Addr{number(1)}, []uint8{50}},
		"one more":                {"10.0.0.2", 50, []netip.Addr{anchor, number(1)}, []uint8{50}},
		"none":                    {"10.0.0.2", 50, nil, []uint8{50}},
		"of another router":       {"10.0.0.2", 99, []netip.Addr{number(1)}, nil},
		"of another family":       {"fd00::2", 50, nil, nil},
		"ours by another number":  {"10.0.0.2", 99, []netip.Addr{anchor}, []uint8{50}},
		"ours by another's own":   {"10.0.0.2", 51, []netip.Addr{anchor}, []uint8{50, 51}},
		"ours, and its neighbour": {"10.0.0.2", 50, []netip.Addr{anchor, next}, []uint8{50, 51}},
	} {
		s := vrrp.Sighting{Sender: netip.MustParseAddr(c.sender), Advert: vrrp.Advert{VRID: c.vrid, Addresses: c.addrs}}
		if got := skewed(instances, s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestStrangers(t *testing.T) {
	s := newSenses()
	peers := []netip.Addr{number(1), number(2)}
	s.met(map[netip.Addr][]neighbor.Hardware{number(1): macs[:1], number(3): macs[2:]}, peers)
	s.met(nil, peers) // an answer that is missing once takes nothing away
	if got := s.strangers(macs, peers); !slices.Equal(got, macs[1:]) {
		t.Errorf("strangers %v", got)
	}
	if got := s.strangers(macs, peers[1:]); len(got) != 3 {
		t.Errorf("a node that has left is known still: %v", got)
	}
}

func TestDropProxies(t *testing.T) {
	found := map[netip.Addr][]neighbor.Hardware{
		number(1): {macs[0]}, number(2): {macs[0], macs[1]}, number(3): {macs[0]}, number(4): {macs[2]},
	}
	s := newSenses()
	own := []netip.Addr{number(1), number(9)}
	s.dropProxies(noon, found, own)
	want := map[netip.Addr][]neighbor.Hardware{number(1): {}, number(2): {macs[1]}, number(3): {}, number(4): {macs[2]}}
	if got := fmt.Sprint(found); got != fmt.Sprint(want) {
		t.Errorf("left %s, want %v", got, want)
	}
	for after, want := range map[time.Duration]int{time.Second: 1, proxyFor: 1, proxyFor + 1: 2} {
		s := newSenses()
		s.dropProxies(noon, map[netip.Addr][]neighbor.Hardware{number(1): {macs[0]}}, own)
		late := map[netip.Addr][]neighbor.Hardware{number(2): {macs[0], macs[1]}} // it has not answered for us yet
		s.dropProxies(noon.Add(after), late, own)
		if len(late[number(2)]) != want {
			t.Errorf("after %s there are %v", after, late)
		}
	}
}

func TestRefuseClaimed(t *testing.T) {
	load := func(name string, vips ...netip.Addr) lb.LoadBalancer {
		return lb.LoadBalancer{Origin: lb.Origin{Key: lb.Key{Namespace: "d", Name: name}}, VIPs: vips}
	}
	c := &candidate{view: nodeconfig.View{LoadBalancers: []lb.LoadBalancer{
		load("a", number(1)), load("b", number(2), number(3)), load("c", number(2)),
	}}}
	iso := &isolation{}
	p := preparation{options: Options{Node: "n1", Log: slog.New(slog.DiscardHandler)}}
	if p.refuseClaimed(c, iso, nil) {
		t.Error("refused without a claim")
	}
	if !p.refuseClaimed(c, iso, claims{number(2): macs[:1], number(3): macs[:1], number(9): macs[:1]}) {
		t.Error("nothing was refused")
	}
	var got []string
	for _, f := range iso.findings {
		got = append(got, fmt.Sprint(f.Key.Name, " ", f.Code))
	}
	if !slices.Equal(got, []string{"b LB0406", "c LB0406"}) {
		t.Errorf("refused %v", got)
	}
}

// TestAdvertBookIsBounded: whoever makes senders up gets no more room than that, and pushes nobody out.
func TestAdvertBookIsBounded(t *testing.T) {
	instances := []nodeconfig.Instance{{Family: lb.IPv4, VRID: 50}}
	b := advertBook{kind: nodeconfig.ConflictVRID}
	for i := range 10 * maxStrangers {
		b.put(noon, noon.Add(time.Second), vrrp.Sighting{Sender: number(i), Advert: vrrp.Advert{VRID: 50}})
	}
	got := b.conflicts(noon, instances)
	if len(got) != maxStrangers || got[0].Other != number(0).String() {
		t.Errorf("%d conflicts", len(got))
	}
	b.conflicts(noon.Add(2*time.Second), instances)
	b.put(noon, noon.Add(time.Minute), vrrp.Sighting{Sender: number(9999), Advert: vrrp.Advert{VRID: 50}})
	if got := b.conflicts(noon.Add(3*time.Second), instances); len(got) != 1 {
		t.Errorf("no room after they have gone: %v", got)
	}
}

// TestRepeatAfter: with slow adverts the nodes agree later on who has an address.
func TestRepeatAfter(t *testing.T) {
	for advert, want := range map[time.Duration]time.Duration{
		20 * time.Millisecond: 380 * time.Millisecond, 50 * time.Millisecond: 500 * time.Millisecond,
		time.Second: 4300 * time.Millisecond,
	} {
		if got := repeatAfter(nodeconfig.Timing{AdvertInterval: nodeconfig.Duration(advert)}); got != want {
			t.Errorf("adverts every %s: %s, want %s", advert, got, want)
		}
	}
}

// TestOwnersForgotten: nobody can be asked any more, so nobody is accused.
func TestOwnersForgotten(t *testing.T) {
	b := newOwnerBook()
	held := []netip.Addr{number(1)}
	foe := map[netip.Addr][]neighbor.Hardware{number(1): macs[:1]}
	for i := range 2 {
		now := noon.Add(time.Duration(i) * suspectEvery)
		b.heard(now, b.due(now, held), foe)
	}
	instances := []nodeconfig.Instance{{VIPs: held}}
	if len(b.conflicts(instances)) != 1 {
		t.Fatal("nothing is shown")
	}
	b.forget()
	if got := b.conflicts(instances); len(got) > 0 {
		t.Errorf("still accused: %v", got)
	}
	if due := b.due(noon.Add(2*suspectEvery), held); len(due) != 1 {
		t.Errorf("it is not asked for anew: %v", due)
	}
}

func TestSpoken(t *testing.T) {
	for _, tt := range []struct {
		name               string
		before, have, ours []string
		want               []string
	}{
		{"nothing", nil, nil, nil, nil},
		{"the lowest that is global and not ours", nil,
			[]string{"10.9.0.3", "10.9.0.5", "169.254.0.1", "fd00::1", "fd00::2", "fe80::1"}, []string{"10.9.0.3", "fd00::1"},
			[]string{"10.9.0.5", "fd00::2"}},
		{"what was is kept", []string{"10.9.0.5"}, []string{"10.9.0.4", "10.9.0.5"}, nil, []string{"10.9.0.5"}},
		{"what turns out to be a virtual IP is not", []string{"10.9.0.5"}, []string{"10.9.0.5", "10.9.0.6"}, []string{"10.9.0.5"},
			[]string{"10.9.0.6"}},
		{"another", []string{"10.9.0.5"}, []string{"10.9.0.4"}, nil, []string{"10.9.0.4"}},
		{"none for the moment", []string{"10.9.0.5", "fd00::1"}, []string{"fd00::1"}, nil, []string{"10.9.0.5", "fd00::1"}},
	} {
		got := spoken(addrs(tt.before...), addrs(tt.have...), addrs(tt.ours...))
		if !slices.Equal(got, addrs(tt.want...)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
