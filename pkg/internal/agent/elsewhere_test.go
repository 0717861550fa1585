package agent_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// second gives every node an interface eth1 on a bridge of its own.
func (l *lab) second() map[string]netip.Addr {
	l.t.Helper()
	l.in("f", "link", "add", "br1", "type", "bridge")
	l.in("f", "link", "set", "br1", "up")
	addrs := make(map[string]netip.Addr)
	for i, n := range l.nodes {
		l.in("f", "link", "add", "q-"+n.name, "type", "veth", "peer", "name", "eth1", "netns", n.ns)
		l.in("f", "link", "set", "q-"+n.name, "master", "br1", "up")
		l.in(n.name, "link", "set", "eth1", "up")
		addrs[n.name] = netip.MustParseAddr(fmt.Sprintf("10.78.0.%d", i+1))
		l.in(n.name, "addr", "add", addrs[n.name].String()+"/16", "dev", "eth1")
	}
	return addrs
}

// on reports which nodes have an address on an interface.
func (l *lab) on(iface string, a netip.Addr) []string {
	var names []string
	for _, n := range l.nodes {
		l.within(n.name, func() {
			have, err := ifaddr.List(iface)
			if err != nil {
				l.t.Errorf("addresses of %s: %v", n.name, err)
			}
			if slices.Contains(have, a) {
				names = append(names, n.name)
			}
		})
	}
	return names
}

// TestInterfaceWithoutTheNodesAddress: nodes that are known by addresses of another interface do not hear each other on
// this one, and would all be masters. They announce nothing, say why and with which addresses they would, and go on
// when the fleet knows them by those.
func TestInterfaceWithoutTheNodesAddress(t *testing.T) {
	l := newLab(t, 2)
	addrs := l.second()
	c := l.config(1, load(1, lb.TCP, 80))
	l.want(c)
	for _, n := range l.nodes {
		n.env = []string{"KLB_AGENT_INTERFACE=eth1"}
		n.start()
	}
	for _, n := range l.nodes {
		n.runs(1)
		n.shares(nodeconfig.ShareSilent)
		n.finding(lb.CodeNodeRefused, "its address "+n.addr.String()+", which is on eth0 and not on eth1", true)
		l.eventually(5*time.Second, func() error {
			if have := n.status().Addresses; !slices.Equal(have, []netip.Addr{addrs[n.name]}) {
				return fmt.Errorf("%s says that it has %v", n.name, have)
			}
			return nil
		})
	}
	for i, n := range c.Fleet.Nodes {
		c.Fleet.Nodes[i].Addresses = []netip.Addr{addrs[n.Name]}
	}
	c.Fleet.Revision = 2
	l.want(c)
	for _, n := range l.nodes {
		n.shares(nodeconfig.ShareServing)
		n.finding(lb.CodeNodeRefused, "", false)
	}
	l.eventually(10*time.Second, func() error {
		if have := l.on("eth1", vip(1)); !slices.Equal(have, []string{"lb1"}) {
			return fmt.Errorf("%v have it", have)
		}
		return nil
	})
	for _, n := range l.nodes {
		if have := n.status().Addresses; !slices.Equal(have, []netip.Addr{addrs[n.name]}) {
			t.Errorf("%s says that it has %v though it is to keep what it had", n.name, have)
		}
	}
}

// TestAnotherInterface moves the node's address to another interface. Nothing stays on the one that it left.
func TestAnotherInterface(t *testing.T) {
	l := up(t, 1)
	n := l.nodes[0]
	l.second()
	l.in(n.name, "addr", "del", n.addr.String()+"/16", "dev", "eth0")
	l.in(n.name, "addr", "add", n.addr.String()+"/16", "dev", "eth1")
	l.want(l.config(2, load(1, lb.TCP, 80), load(2, lb.TCP, 80)))
	n.runs(2)
	l.eventually(10*time.Second, func() error {
		if old, now := l.on("eth0", vip(1)), l.on("eth1", vip(1)); len(old) > 0 || len(now) != 1 {
			return fmt.Errorf("on the old interface: %v, on the new one: %v", old, now)
		}
		return nil
	})
}
