package agent_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// masterOfAll waits until a node carries every group: whom it heard before has other VRIDs by now.
func (l *lab) masterOfAll(n *node, c nodeconfig.Config) {
	l.t.Helper()
	l.eventually(10*time.Second, func() error {
		for _, g := range c.Fleet.Groups {
			if !n.has(g.Anchors[0]) {
				return fmt.Errorf("%s has not taken group %d", n.name, g.ID)
			}
		}
		return nil
	})
}

// TestRenumberedGroups gives the groups other VRIDs, of which some were another group's, node after node. In the end
// every group is at home with all of its addresses: keepalived tells its instances by VRID when it reloads, and would
// leave one master without an address for good.
func TestRenumberedGroups(t *testing.T) {
	l := up(t, 3)
	loads := []lb.LoadBalancer{load(1, lb.TCP, 80), load(2, lb.TCP, 80), load(3, lb.TCP, 80)}
	for round, change := range []struct {
		base uint8
		late int
	}{{99, 2}, {98, 1}, {99, 0}} {
		revision := int64(2 + round)
		c := l.config(revision, loads...)
		c.Fleet.Revision = revision
		for i := range c.Fleet.Groups {
			c.Fleet.Groups[i].VRID = change.base + uint8(i)
		}
		for i := range l.nodes {
			n := l.nodes[(change.late+1+i)%len(l.nodes)]
			if last := i == len(l.nodes)-1; last {
				l.masterOfAll(n, c)
			}
			l.want(c, n)
			n.runs(revision)
		}
		for i, home := range l.nodes {
			for _, a := range []netip.Addr{c.Fleet.Groups[i].Anchors[0], vip(i + 1)} {
				l.eventually(15*time.Second, func() error {
					if have := l.holders(a); len(have) != 1 || have[0] != home {
						return fmt.Errorf("round %d: %d nodes hold %s, not %s alone", round, len(have), a, home.name)
					}
					return nil
				})
			}
		}
	}
	l.answers(at(1, 80))
}
