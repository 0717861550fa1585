package agent_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// shard is the one shard of the tests.
const shard = "lb-shard-000"

// config returns a fleet of the lab's nodes, one group for each, and load balancers spread over them.
func (l *lab) config(revision int64, loads ...lb.LoadBalancer) nodeconfig.Config {
	f := nodeconfig.Fleet{
		Version: nodeconfig.Version, Revision: 1, Cluster: "test",
		Timing: nodeconfig.Timing{
			AdvertInterval: nodeconfig.Duration(50 * time.Millisecond), HoldTime: nodeconfig.Duration(time.Second),
		},
	}
	for i, n := range l.nodes {
		f.Nodes = append(f.Nodes, nodeconfig.Node{Name: n.name, Addresses: []netip.Addr{n.addr}})
		g := nodeconfig.Group{
			ID: i, VRID: uint8(100 + i), Home: n.name,
			Anchors: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("169.254.77.%d", i+1))},
		}
		for j, p := range l.nodes {
			distance := (j - i + len(l.nodes)) % len(l.nodes)
			g.Priorities = append(g.Priorities, nodeconfig.Priority{Node: p.name, Priority: []uint8{254, 236, 130}[distance]})
		}
		f.Groups = append(f.Groups, g)
	}
	s := nodeconfig.Shard{Version: nodeconfig.Version, Revision: revision}
	for i, load := range loads {
		e := nodeconfig.Entry{LoadBalancer: load, Group: i % len(l.nodes), Revision: revision}
		s.LoadBalancers = append(s.LoadBalancers, e)
	}
	return nodeconfig.Config{Fleet: f, Shards: map[string]nodeconfig.Shard{shard: s}}
}

// load returns a load balancer number n: its address ends in n, its target is the backend.
func load(n int, protocol lb.Protocol, port uint16) lb.LoadBalancer {
	key := lb.Key{Namespace: "default", Name: fmt.Sprintf("web%03d", n)}
	return lb.LoadBalancer{
		Origin: lb.Origin{Kind: "ConfigMap", Key: key, UID: fmt.Sprint(n)},
		VIPs:   []netip.Addr{vip(n)},
		Listeners: []lb.Listener{{Port: port, Protocol: protocol, Routes: []lb.Route{{
			Target: lb.Target{Service: lb.Service{Key: key, Port: 80}, Endpoints: []netip.AddrPort{backend}},
		}}}},
	}
}

func vip(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.77.100.%d", n)) }

func at(n int, port uint16) netip.AddrPort { return netip.AddrPortFrom(vip(n), port) }

func TestChangesAreServedAndHarmNobody(t *testing.T) {
	l := up(t, 3)
	first := load(1, lb.TCP, 80)
	stop := l.probe(at(1, 80))
	begun := time.Now()
	l.want(l.config(2, first, load(2, lb.HTTP, 80), load(3, lb.TCP, 8080)))
	l.answers(at(2, 80))
	t.Logf("change to answer: %s", time.Since(begun))
	l.answers(at(3, 8080))
	for revision := int64(3); revision < 13; revision++ {
		l.want(l.config(revision, first, load(int(revision), lb.HTTP, 80)))
		l.answers(at(int(revision), 80))
		for _, n := range l.nodes {
			n.runs(revision)
		}
		if have := l.holders(vip(int(revision - 1))); len(have) > 0 {
			t.Errorf("%s still holds %s after every node runs revision %d", have[0].name, vip(int(revision-1)), revision)
		}
	}
	asked, failed, gap := stop()
	t.Logf("%d probes, longest gap %s", asked, gap)
	if failed > 0 {
		l.dump()
		t.Errorf("%d of %d probes of the neighbour failed", failed, asked)
	}
}

// TestUnknownFeature: what asks for more than this daemon knows goes on as it was, and its neighbours change.
func TestUnknownFeature(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	l.want(l.config(1, load(1, lb.TCP, 80)))
	n.start()
	n.runs(1)
	l.answers(at(1, 80))
	next := l.config(2, load(1, lb.TCP, 81), load(2, lb.TCP, 80), load(3, lb.TCP, 80))
	entries := next.Shards[shard].LoadBalancers
	entries[0].Requires, entries[2].Requires = []nodeconfig.Feature{"quic"}, []nodeconfig.Feature{"quic"}
	l.want(next)
	n.runs(2)
	l.answers(at(2, 80))
	l.answers(at(1, 80))
	refused := map[string]bool{}
	for _, f := range n.status().Findings {
		refused[f.Key.Name] = f.Code == lb.CodeNodeRefused
	}
	if len(refused) != 2 || !refused["web001"] || !refused["web003"] {
		t.Errorf("findings: %+v", n.status().Findings)
	}
	if have := l.holders(vip(3)); len(have) > 0 {
		t.Error("what cannot be served is announced")
	}
}

// TestDualStack has a second instance for each group, whose anchor is link-local.
func TestDualStack(t *testing.T) {
	l := newLab(t, 2)
	both := load(1, lb.TCP, 80)
	both.VIPs = append(both.VIPs, six(vip(1)))
	c := l.config(1, both)
	for i := range c.Fleet.Nodes {
		c.Fleet.Nodes[i].Addresses = append(c.Fleet.Nodes[i].Addresses, six(l.nodes[i].addr))
		anchor := netip.MustParseAddr(fmt.Sprintf("fe80::77:%x", i+1))
		c.Fleet.Groups[i].Anchors = append(c.Fleet.Groups[i].Anchors, anchor)
	}
	l.want(c)
	for _, n := range l.nodes {
		n.start()
	}
	for _, n := range l.nodes {
		n.runs(1)
	}
	for _, a := range both.VIPs {
		l.answers(netip.AddrPortFrom(a, 80))
	}
	l.settled()
	stop := l.probe(netip.AddrPortFrom(six(vip(1)), 80))
	first := l.oneHolder(six(vip(1)))
	l.want(drained(c, first.name))
	first.shares(nodeconfig.ShareDrained)
	l.awaitResident(six(vip(1)), true, l.nodes...)
	if have := l.oneHolder(six(vip(1))); have == first {
		t.Errorf("%s still holds %s", first.name, six(vip(1)))
	}
	l.want(c)
	first.shares(nodeconfig.ShareServing)
	l.settled()
	if asked, failed, _ := stop(); failed > 2 { // see TestDrainMovesWithoutLoss
		t.Errorf("%d of %d probes failed", failed, asked)
	}
	n := l.oneHolder(six(vip(1)))
	if s := n.status(); len(s.Groups) != 4 || len(s.Holding) != 2 {
		t.Errorf("%s holds %v in groups %+v", n.name, s.Holding, s.Groups)
	}
	n.terminate()
	for _, a := range both.VIPs {
		if have := l.oneHolder(a); have == n {
			t.Errorf("%s still holds %s", n.name, a)
		}
		l.answers(netip.AddrPortFrom(a, 80))
	}
}

// TestManyAtOnce: a storm of documents is taken in few steps, and all of it is served.
func TestManyAtOnce(t *testing.T) {
	l := up(t, 1)
	var loads []lb.LoadBalancer
	begun := time.Now()
	for i := range 200 {
		protocol := lb.TCP
		if i%2 == 0 {
			protocol = lb.HTTP
		}
		loads = append(loads, load(i+1, protocol, 80))
		l.want(l.config(int64(i+2), loads...))
	}
	l.nodes[0].runs(201)
	for i := range loads {
		l.answers(at(i+1, 80))
	}
	t.Logf("200 load balancers answer after %s", time.Since(begun))
}
