package agent_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// drilled returns the configuration with an order to a node.
func drilled(c nodeconfig.Config, name string, d nodeconfig.Drill) nodeconfig.Config {
	c.Orders = map[string]nodeconfig.Order{name: {Version: nodeconfig.Version, Drill: &d}}
	return c
}

// drill returns an order for ten seconds.
func drill(id string, kind nodeconfig.DrillKind) nodeconfig.Drill {
	return nodeconfig.Drill{ID: id, Kind: kind, Duration: nodeconfig.Duration(10 * time.Second), By: "alice"}
}

// drillIs waits until the node reports a state of a drill.
func (n *node) drillIs(id string, want nodeconfig.DrillState) nodeconfig.DrillStatus {
	n.lab.t.Helper()
	var have nodeconfig.DrillStatus
	n.lab.eventually(patience, func() error {
		if d := n.status().Drill; d != nil {
			have = *d
		}
		if have.ID != id || have.State != want {
			return fmt.Errorf("%s: the drill is %+v, want %s %s", n.name, have, id, want)
		}
		return nil
	})
	return have
}

// cuts returns the drill tables in the node's kernel.
func (n *node) cuts() string {
	out, err := exec.Command("ip", "netns", "exec", n.ns, "nft", "list", "tables").CombinedOutput()
	if err != nil {
		n.lab.t.Errorf("nft: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// serving brings three nodes up that all carry their share, with one address on each.
func serving(t *testing.T) (*lab, nodeconfig.Config) {
	t.Helper()
	l := newLab(t, 3)
	c := l.config(1, load(1, "TCP", 80), load(2, "TCP", 80), load(3, "TCP", 80))
	l.want(c)
	for _, n := range l.nodes {
		n.start()
	}
	for _, n := range l.nodes {
		n.runs(1)
		n.shares(nodeconfig.ShareServing)
	}
	for i, n := range l.nodes {
		l.heldBy(vip(i+1), n)
		l.answers(at(i+1, 80))
	}
	return l, c
}

// heldBy waits until that node, and nobody else, has the address.
func (l *lab) heldBy(a netip.Addr, n *node) {
	l.t.Helper()
	l.eventually(10*time.Second, func() error {
		if have := l.holders(a); !slices.Equal(have, []*node{n}) {
			return fmt.Errorf("%d nodes hold %s, not %s alone", len(have), a, n.name)
		}
		return nil
	})
}

// movesAway waits until another node, and in the end nobody else, has the address.
func (l *lab) movesAway(a netip.Addr, from *node) {
	l.t.Helper()
	l.eventually(10*time.Second, func() error {
		if have := l.holders(a); len(have) != 1 || have[0] == from {
			return fmt.Errorf("%d nodes hold %s", len(have), a)
		}
		return nil
	})
}

// TestDrills performs every kind on a node, by the order and its end, and sees the address move and come back.
func TestDrills(t *testing.T) {
	for _, kind := range nodeconfig.DrillKinds() {
		t.Run(string(kind), func(t *testing.T) {
			l, c := serving(t)
			n, a := l.nodes[0], vip(1)
			stop := l.probe(at(1, 80))
			l.want(drilled(c, n.name, drill("one", kind)))
			d := n.drillIs("one", nodeconfig.DrillRunning)
			if d.Kind != kind || d.Started.IsZero() || !d.Ended.IsZero() {
				t.Errorf("running: %+v", d)
			}
			if kind == nodeconfig.DrillIsolate {
				// Nobody tells it, so it is an owner, too.
				l.eventually(10*time.Second, func() error {
					if have := l.holders(a); len(have) != 2 {
						return fmt.Errorf("%d owners, each of them on its side", len(have))
					}
					return nil
				})
			} else {
				l.movesAway(a, n)
			}
			l.answers(at(1, 80))
			l.want(c) // the order is taken away
			if d = n.drillIs("one", nodeconfig.DrillRestored); d.Ended.Before(d.Started) || d.Message == "" {
				t.Errorf("restored: %+v", d)
			}
			if left := n.cuts(); left != "" {
				t.Errorf("left are the tables %q", left)
			}
			n.shares(nodeconfig.ShareServing)
			l.heldBy(a, n)
			_, failed, gap := stop()
			t.Logf("%s: %d probes failed, longest gap %s", kind, failed, gap)
			l.answers(at(1, 80))
			// The same ID is not performed again, another one is.
			l.want(drilled(c, n.name, drill("one", kind)))
			l.want(drilled(c, n.name, drill("two", nodeconfig.DrillDrain)))
			n.drillIs("two", nodeconfig.DrillRunning)
		})
	}
}

// TestDrillEnds ends a drill by its deadline though the order stays, and performs it once.
func TestDrillEnds(t *testing.T) {
	l, c := serving(t)
	n := l.nodes[0]
	short := drill("short", nodeconfig.DrillNginx)
	short.Duration = nodeconfig.Duration(2 * time.Second)
	l.want(drilled(c, n.name, short))
	d := n.drillIs("short", nodeconfig.DrillRestored)
	if took := d.Ended.Sub(d.Started); took < 2*time.Second || took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
	n.shares(nodeconfig.ShareServing)
	l.heldBy(vip(1), n)
	if d = *n.status().Drill; d.ID != "short" || d.State != nodeconfig.DrillRestored {
		t.Errorf("afterwards: %+v", d)
	}
}

func TestDrillRefused(t *testing.T) {
	l, c := serving(t)
	n := l.nodes[0]
	refused := func(d nodeconfig.Drill, words string) {
		t.Helper()
		l.want(drilled(c, n.name, d))
		if got := n.drillIs(d.ID, nodeconfig.DrillRefused); !strings.Contains(got.Message, words) {
			t.Errorf("%q is not in %q", words, got.Message)
		}
	}
	refused(drill("kind", "meteor"), `no drill "meteor"`)
	long := drill("long", nodeconfig.DrillDrain)
	long.Duration = nodeconfig.Duration(nodeconfig.MaxDrill + time.Second)
	refused(long, "up to 2m0s")
	refused(nodeconfig.Drill{ID: "none", Kind: nodeconfig.DrillDrain}, "up to 2m0s")
	l.want(drained(c, n.name))
	n.shares(nodeconfig.ShareDrained)
	d := drilled(c, n.name, drill("drained", nodeconfig.DrillCrash))
	o := d.Orders[n.name]
	o.Drain = &nodeconfig.Drain{By: "alice"}
	d.Orders[n.name] = o
	l.want(d)
	if got := n.drillIs("drained", nodeconfig.DrillRefused); !strings.Contains(got.Message, "it is Drained") {
		t.Errorf("refused with %q", got.Message)
	}
}

// TestDrillOutlivesNobody kills the agent in the midst of each fault. The next one clears everything away, and does not
// perform what is still ordered.
func TestDrillOutlivesNobody(t *testing.T) {
	for _, kind := range []nodeconfig.DrillKind{nodeconfig.DrillCrash, nodeconfig.DrillIsolate} {
		t.Run(string(kind), func(t *testing.T) {
			l, c := serving(t)
			n := l.nodes[0]
			l.want(drilled(c, n.name, drill("one", kind)))
			n.drillIs("one", nodeconfig.DrillRunning)
			n.kill()
			if n.cuts() == "" {
				t.Fatal("the fault has gone with the agent: nothing is shown")
			}
			n.start()
			d := n.drillIs("one", nodeconfig.DrillRestored)
			if !strings.Contains(d.Message, "lb-daemon ended") {
				t.Errorf("restored: %+v", d)
			}
			if left := n.cuts(); left != "" {
				t.Errorf("left are the tables %q", left)
			}
			n.shares(nodeconfig.ShareServing)
			l.heldBy(vip(1), n)
			l.answers(at(1, 80))
		})
	}
}

// TestDrillOrderedBefore is not performed.
func TestDrillOrderedBefore(t *testing.T) {
	l := newLab(t, 1)
	l.want(drilled(l.config(1, load(1, "TCP", 80)), "lb1", drill("old", nodeconfig.DrillNginx)))
	n := l.nodes[0]
	n.start()
	if d := n.drillIs("old", nodeconfig.DrillRefused); !strings.Contains(d.Message, "before lb-daemon started") {
		t.Errorf("refused: %+v", d)
	}
	l.answers(at(1, 80))
}

// TestDrillEndsWithTheDaemon restores before the daemon resigns.
func TestDrillEndsWithTheDaemon(t *testing.T) {
	l, c := serving(t)
	n := l.nodes[0]
	l.want(drilled(c, n.name, drill("one", nodeconfig.DrillIsolate)))
	n.drillIs("one", nodeconfig.DrillRunning)
	n.terminate()
	n.drillIs("one", nodeconfig.DrillRestored)
	if left := n.cuts(); left != "" {
		t.Errorf("left are the tables %q", left)
	}
	l.movesAway(vip(1), n)
}
