package cut_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/cut"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
)

const (
	short    = 300 * time.Millisecond
	deadline = 15 * time.Second
)

func addrs(texts ...string) []netip.Addr {
	as := []netip.Addr{}
	for _, s := range texts {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// pair is a client and a node, which have addresses of their own and the node a virtual one of each family.
type pair struct {
	t            *testing.T
	client, node *nstest.Host
	wire         *neighbor.Wire
	echo         map[bool]*neighbor.Echo
}

func newPair(t *testing.T) *pair {
	t.Helper()
	net := nstest.New(t)
	p := &pair{
		t: t, echo: make(map[bool]*neighbor.Echo),
		client: net.Host("c", "10.9.0.1/24", "fd00:9::1/64"),
		node:   net.Host("n", "10.9.0.2/24", "10.9.0.50/32", "fd00:9::2/64", "fd00:9::50/128"),
	}
	p.client.Within(func() {
		var err error
		if p.wire, err = neighbor.Open(nstest.Interface); err != nil {
			t.Error(err)
			return
		}
		for _, a := range addrs("10.9.0.1", "fd00:9::1") {
			if p.echo[a.Is6()], err = neighbor.OpenEcho(t.Context(), nstest.Interface, a); err != nil {
				t.Error(err)
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { _ = p.wire.Close() })
	return p
}

// answers tells which of the node's addresses answer ARP or ND, and which a ping.
func (p *pair) answers(within time.Duration, as []netip.Addr) (neighbors, pings []netip.Addr) {
	p.t.Helper()
	found, err := p.wire.Probe(p.t.Context(), as, within)
	if err != nil {
		p.t.Error(err)
	}
	for _, a := range as {
		if len(found[a]) > 0 {
			neighbors = append(neighbors, a)
		}
		if ok, _ := p.echo[a.Is6()].Ask(p.t.Context(), []netip.Addr{a}, within); ok {
			pings = append(pings, a)
		}
	}
	return neighbors, pings
}

func (p *pair) want(reachable ...string) {
	p.t.Helper()
	all := addrs("10.9.0.2", "10.9.0.50", "fd00:9::2", "fd00:9::50")
	var neighbors, pings []netip.Addr
	if !rendertest.Poll(deadline, func() bool {
		neighbors, pings = p.answers(short, all)
		return slices.Equal(neighbors, addrs(reachable...)) && slices.Equal(pings, neighbors)
	}) {
		p.t.Fatalf("neighbours know %v, pings reach %v, want %v", neighbors, pings, reachable)
	}
}

func (p *pair) do(f func() error) {
	p.t.Helper()
	p.node.Within(func() {
		if err := f(); err != nil {
			p.t.Fatal(err)
		}
	})
}

// tables are those of the node.
func (p *pair) tables() string {
	p.t.Helper()
	out, err := p.node.Command("nft", "list", "tables").CombinedOutput()
	if err != nil {
		p.t.Fatalf("nft: %v: %s", err, out)
	}
	return string(out)
}

// TestCut takes the virtual IPs away from a client that knows where they are, and nothing else, and gives them back.
func TestCut(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if out, err := p.node.Command("nft", "add", "table", "inet", "theirs").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	p.do(cut.Mend) // there is nothing to mend
	p.want("10.9.0.2", "10.9.0.50", "fd00:9::2", "fd00:9::50")
	c := cut.Cut{Interface: nstest.Interface, Addresses: addrs("10.9.0.50", "fd00:9::50", "10.9.0.50", "169.254.7.1")}
	for id := 1; id < 256; id += 2 {
		c.VRIDs = append(c.VRIDs, uint8(id)) // as many runs as there can be
	}
	p.do(c.Make)
	p.want("10.9.0.2", "fd00:9::2")
	c.Addresses = c.Addresses[:1]
	p.do(c.Make) // another cut replaces it
	p.want("10.9.0.2", "fd00:9::2", "fd00:9::50")
	c.Inbound = true
	p.do(c.Make)
	p.want("10.9.0.2", "fd00:9::2", "fd00:9::50")
	p.do(cut.Mend)
	p.want("10.9.0.2", "10.9.0.50", "fd00:9::2", "fd00:9::50")
	p.do(cut.Mend)
	if have := p.tables(); strings.TrimSpace(have) != "table inet theirs" {
		t.Errorf("left are the tables %q", have)
	}
}

// TestCutAnnouncements keeps a node's announcements, which pass by the IP stack, from the segment.
func TestCutAnnouncements(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	vips := addrs("10.9.0.50", "fd00:9::50")
	for _, v := range vips {
		p.client.IP("neigh", "replace", v.String(), "dev", nstest.Interface, "lladdr", "02:00:00:00:99:99", "nud", "stale")
	}
	learnt := func() int {
		return strings.Count(p.client.IP("neigh", "show", "dev", nstest.Interface), p.node.Hardware())
	}
	announce := func() error {
		w, err := neighbor.Open(nstest.Interface)
		if err != nil {
			return err
		}
		defer w.Close()
		return w.Announce(t.Context(), vips)
	}
	p.do(cut.Cut{Interface: nstest.Interface, Addresses: vips}.Make)
	p.do(announce)
	if rendertest.Poll(short, func() bool { return learnt() > 0 }) {
		t.Error("an announcement got through")
	}
	p.do(cut.Mend)
	p.do(announce)
	if !rendertest.Poll(deadline, func() bool { return learnt() == 2 }) {
		t.Errorf("the announcements do not get through: %s", p.client.IP("neigh", "show", "dev", nstest.Interface))
	}
}

// router is a VRRP router: two of the node's own, of each version, and one of somebody else's.
type router struct {
	vrid, version int
	anchor        string
}

var (
	ours   = []router{{51, 3, "169.254.7.1"}, {51, 3, "fe80::7:1"}, {53, 2, "169.254.7.3"}}
	theirs = []router{{52, 3, "169.254.7.2"}, {52, 3, "fe80::7:2"}, {54, 2, "169.254.7.4"}}
)

// anchors returns the addresses of routers.
func anchors(rs []router) []netip.Addr {
	var as []netip.Addr
	for _, r := range rs {
		as = append(as, netip.MustParseAddr(r.anchor))
	}
	return as
}

// conf is a configuration with all routers.
func conf(self, peer [2]string, priority int) string {
	var b strings.Builder
	b.WriteString("global_defs {\n router_id t\n}\n")
	for i, r := range slices.Concat(ours, theirs) {
		six := 0
		if strings.Contains(r.anchor, ":") {
			six = 1
		}
		fmt.Fprintf(&b, "vrrp_instance i%d {\n state BACKUP\n interface eth0\n version %d\n virtual_router_id %d\n priority %d\n"+
			"advert_int %s\nunicast_src_ip %s\nunicast_peer {\n%s\n}\nvirtual_ipaddress {\n%s\n}\n}\n",
			i, r.version, r.vrid, priority, map[int]string{2: "1", 3: "0.1"}[r.version], self[six], peer[six], r.anchor)
	}
	return b.String()
}

// TestCutAdverts makes two routers of one, and mends that. Another's adverts pass.
func TestCutAdverts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	one, two := [2]string{"10.9.0.1", "fd00:9::1"}, [2]string{"10.9.0.2", "fd00:9::2"}
	p.node.Keepalived(conf(two, one, 200))
	p.client.Keepalived(conf(one, two, 100))
	state := func(rs []router, node, client bool) {
		t.Helper()
		for _, a := range anchors(rs) {
			if !rendertest.Poll(deadline, func() bool { return p.node.Has(a) == node && p.client.Has(a) == client }) {
				t.Fatalf("%s: the node has it: %v, the peer: %v", a, p.node.Has(a), p.client.Has(a))
			}
		}
	}
	state(ours, true, false)
	state(theirs, true, false)
	p.do(cut.Cut{Interface: nstest.Interface, Addresses: anchors(ours)}.Make)
	if rendertest.Poll(time.Second, func() bool {
		return slices.ContainsFunc(anchors(ours), func(a netip.Addr) bool { return p.client.Has(a) })
	}) {
		t.Fatal("the adverts are cut without being asked for")
	}
	p.do(cut.Cut{Interface: nstest.Interface, Addresses: anchors(ours), VRIDs: []uint8{53, 51, 53}}.Make)
	state(ours, true, true)
	if out, err := p.node.Command("nft", "list", "ruleset").CombinedOutput(); err != nil || !strings.Contains(string(out), cut.Table) {
		t.Errorf("nft cannot show it: %v: %s", err, out)
	}
	if rendertest.Poll(4*time.Second, func() bool { // longer than version 2 takes to miss a master
		return slices.ContainsFunc(anchors(theirs), func(a netip.Addr) bool { return p.client.Has(a) })
	}) {
		t.Error("another's adverts are cut")
	}
	p.do(cut.Mend)
	state(ours, true, false)
}

func TestCutNowhere(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.node.Within(func() {
		if err := (cut.Cut{Interface: "nowhere"}).Make(); err == nil {
			t.Error("cut an interface that is not there")
		}
	})
	if have := p.tables(); have != "" {
		t.Errorf("left are the tables %q", have)
	}
}
