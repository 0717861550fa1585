package agent_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// drained returns the configuration with an order to drain nodes.
func drained(c nodeconfig.Config, names ...string) nodeconfig.Config {
	c.Orders = make(map[string]nodeconfig.Order)
	for _, name := range names {
		c.Orders[name] = nodeconfig.Order{
			Version: nodeconfig.Version, Drain: &nodeconfig.Drain{By: "alice", Reason: "new\nkernel"},
		}
	}
	return c
}

// shares waits until the node reports a share.
func (n *node) shares(want nodeconfig.ShareState) nodeconfig.Status {
	n.lab.t.Helper()
	var s nodeconfig.Status
	n.lab.eventually(patience, func() error {
		if s = n.status(); s.Share.State != want {
			return fmt.Errorf("%s is %s (%s), not %s", n.name, s.Share.State, s.Share.Reason, want)
		}
		return nil
	})
	return s
}

// resident reports whether the node's loopback interface has the address.
func (n *node) resident(a netip.Addr) bool {
	found := false
	n.lab.within(n.name, func() {
		have, err := ifaddr.List("lo")
		if err != nil {
			n.lab.t.Errorf("addresses of %s: %v", n.name, err)
		}
		found = slices.Contains(have, a)
	})
	return found
}

// awaitResident waits until the address is on the loopback interface of all nodes, or of none.
func (l *lab) awaitResident(a netip.Addr, want bool, nodes ...*node) {
	l.t.Helper()
	l.eventually(5*time.Second, func() error {
		for _, n := range nodes {
			if n.resident(a) != want {
				return fmt.Errorf("%s on the loopback interface of %s: %v", a, n.name, !want)
			}
		}
		return nil
	})
}

// TestDrainMovesWithoutLoss allows for the connection that is open in the moment of each move: its next packet reaches
// a node that does not know it, and is answered by a reset.
func TestDrainMovesWithoutLoss(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	c := l.config(1, load(1, lb.TCP, 80))
	nginx, keepalived := n.process("nginx"), n.process("keepalived")
	stop := l.probe(at(1, 80))
	l.want(drained(c, n.name))
	s := n.shares(nodeconfig.ShareDrained)
	if s.Share.Reason != `drained by "alice": "new\nkernel"` {
		t.Errorf("reason %s", s.Share.Reason)
	}
	for _, g := range s.Groups {
		if !g.Withheld || g.State != nodeconfig.StateBackup {
			t.Errorf("group %+v of a drained node", g)
		}
	}
	if have := l.oneHolder(vip(1)); have == n {
		t.Errorf("%s still holds %s", n.name, vip(1))
	}
	l.awaitResident(vip(1), true, l.nodes...)

	// It stays drained over the death of the agent, which nobody notices.
	n.kill()
	_ = os.Remove(filepath.Join(n.dir, "status.json"))
	n.start()
	n.runs(1)
	n.shares(nodeconfig.ShareDrained)

	l.want(c)
	n.shares(nodeconfig.ShareServing)
	l.settled()
	asked, failed, gap := stop()
	t.Logf("drained and back: %d of %d probes failed, gap %s", failed, asked, gap)
	if failed > 2 {
		t.Error("more than one connection a move")
	}
	if a, b := n.process("nginx"), n.process("keepalived"); a != nginx || b != keepalived {
		t.Errorf("nginx %d, keepalived %d; before %d and %d", a, b, nginx, keepalived)
	}
	if !strings.Contains(n.status().Hardware, ":") {
		t.Errorf("hardware address %q", n.status().Hardware)
	}
}

// TestAllDrained: an order is no reason to serve nobody.
func TestAllDrained(t *testing.T) {
	l := up(t, 2)
	l.want(drained(l.config(1, load(1, lb.TCP, 80)), "lb1", "lb2"))
	l.nodes[0].shares(nodeconfig.ShareDraining)
	l.oneHolder(vip(1))
	l.answers(at(1, 80))
}

// TestKeepalivedDiesInAnyWay kills one of its two processes, the other, both, and stops them: no address stays, the
// peers take over, and the node has its share back after a while.
func TestKeepalivedDiesInAnyWay(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	for _, way := range []struct {
		name string
		harm func(parent, child int) error
	}{
		{"parent killed", func(p, _ int) error { return syscall.Kill(p, syscall.SIGKILL) }},
		{"child killed", func(_, c int) error { return syscall.Kill(c, syscall.SIGKILL) }},
		{"both killed", func(p, _ int) error { return syscall.Kill(-p, syscall.SIGKILL) }},
		{"both stopped", func(p, _ int) error { return syscall.Kill(-p, syscall.SIGSTOP) }},
	} {
		parent := n.process("keepalived")
		stop := l.probe(at(1, 80))
		begun := time.Now()
		if err := way.harm(parent, vrrpChild(t, n)); err != nil {
			t.Fatal(err)
		}
		l.eventually(5*time.Second, func() error {
			if have := l.holders(vip(1)); len(have) != 1 || have[0] == n {
				return fmt.Errorf("%s: %d nodes hold %s", way.name, len(have), vip(1))
			}
			return nil
		})
		took := time.Since(begun)
		n.shares(nodeconfig.ShareHolding)
		n.shares(nodeconfig.ShareServing)
		l.settled()
		asked, failed, gap := stop()
		t.Logf("%s: one new owner after %s; %d of %d probes failed, gap %s", way.name, took, failed, asked, gap)
		if p := n.process("keepalived"); p == 0 || p == parent {
			t.Errorf("%s: keepalived is %d, before it was %d", way.name, p, parent)
		}
	}
}

func vrrpChild(t *testing.T, n *node) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.dir, "run", "keepalived-vrrp.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestHungNginxGivesTheAddressesUp(t *testing.T) {
	l := up(t, 3)
	n := l.oneHolder(vip(1))
	begun := time.Now()
	if err := syscall.Kill(-n.process("nginx"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l.eventually(5*time.Second, func() error {
		if have := l.holders(vip(1)); len(have) != 1 || have[0] == n {
			return fmt.Errorf("%d nodes hold %s", len(have), vip(1))
		}
		return nil
	})
	t.Logf("one new owner after %s", time.Since(begun))
	if s := n.shares(nodeconfig.ShareUnfit); s.Share.Reason != "nginx does not answer" {
		t.Errorf("reason %q", s.Share.Reason)
	}
	l.awaitResident(vip(1), false, n)
	l.answers(at(1, 80))
	stop := l.probe(at(1, 80))
	if err := syscall.Kill(-n.process("nginx"), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.shares(nodeconfig.ShareServing)
	l.settled()
	l.awaitResident(vip(1), true, n)
	if asked, failed, _ := stop(); failed > 1 {
		t.Errorf("%d of %d probes failed on the way back", failed, asked)
	}
}

// TestRehomingIsLossless gives a group another home, node after node in both orders: it moves by priority, make before
// break.
func TestRehomingIsLossless(t *testing.T) {
	l := up(t, 3)
	stop := l.probe(at(1, 80))
	first, second := l.nodes[0], l.nodes[1]
	for round, order := range [][]*node{{first, second, l.nodes[2]}, {first, l.nodes[2], second}} {
		revision := int64(2 + round)
		c := l.config(revision, load(1, lb.TCP, 80))
		home := first
		if round == 0 {
			home = second
			ps := c.Fleet.Groups[0].Priorities
			ps[0].Priority, ps[1].Priority = ps[1].Priority, ps[0].Priority
			c.Fleet.Groups[0].Home = second.name
		}
		for _, n := range order {
			l.want(c, n)
			n.runs(revision)
		}
		l.eventually(10*time.Second, func() error {
			if have := l.holders(vip(1)); len(have) != 1 || have[0] != home {
				return fmt.Errorf("%d nodes hold %s, not %s alone", len(have), vip(1), home.name)
			}
			return nil
		})
	}
	if asked, failed, _ := stop(); failed > 2 { // see TestDrainMovesWithoutLoss
		t.Errorf("%d of %d probes failed", failed, asked)
	}
}

// TestWrongGenerationIsToldAgain: a node whose nginx serves something else than it should tells it again, and gives its
// addresses up only when that is in vain.
func TestWrongGenerationIsToldAgain(t *testing.T) {
	l := up(t, 2)
	n := l.nodes[0]
	nginx := n.process("nginx")
	// Somebody makes nginx load another generation behind the agent's back.
	current := filepath.Join(n.dir, "state", "nginx", "current")
	good, err := os.Readlink(current)
	if err != nil {
		t.Fatal(err)
	}
	l.want(l.config(2, load(1, lb.TCP, 80), load(2, lb.TCP, 80)))
	n.runs(2)
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(good, current); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(nginx, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	l.eventually(10*time.Second, func() error {
		if have, err := os.Readlink(current); err != nil || have == good {
			return fmt.Errorf("nginx is left with %q, %w", have, err)
		}
		return nil
	})
	l.answers(at(1, 80))
	l.answers(at(2, 80))
	if s := n.status(); s.Share.State != nodeconfig.ShareServing {
		t.Errorf("share %+v", s.Share)
	}
	if p := n.process("nginx"); p != nginx {
		t.Errorf("nginx %d, not %d", p, nginx)
	}
}

// TestJoiningAndLeaving follows a node into the fleet and out of it.
func TestJoiningAndLeaving(t *testing.T) {
	l := up(t, 2)
	n, other := l.nodes[0], l.nodes[1]
	stop := l.probe(at(1, 80))
	c := l.config(2, load(1, lb.TCP, 80))
	c.Fleet.Revision, c.Fleet.Nodes[0].Phase = 2, nodeconfig.PhaseLeaving
	l.want(c)
	n.runs(2)
	s := n.shares(nodeconfig.ShareSilent)
	if s.Running.Fleet != 2 || len(s.Holding) > 0 || n.process("keepalived") != 0 {
		t.Errorf("it has left, and reports %+v", s)
	}
	if n.resident(vip(1)) || n.has(vip(1)) || !other.has(vip(1)) {
		t.Errorf("%s: on %s's loopback interface %v, on its eth0 %v; on %s %v", vip(1), n.name, n.resident(vip(1)),
			n.has(vip(1)), other.name, other.has(vip(1)))
	}
	c = l.config(3, load(1, lb.TCP, 80))
	c.Fleet.Revision, c.Fleet.Nodes[0].Phase = 3, nodeconfig.PhaseJoining
	l.want(c)
	n.runs(3)
	if s := n.shares(nodeconfig.ShareSilent); s.Running.Fleet != 3 || n.process("keepalived") != 0 {
		t.Errorf("it joins, and reports %+v", s)
	}
	c = l.config(4, load(1, lb.TCP, 80))
	c.Fleet.Revision = 4
	l.want(c)
	n.shares(nodeconfig.ShareServing)
	l.settled()
	if asked, failed, _ := stop(); failed > 2 {
		t.Errorf("%d of %d probes failed", failed, asked)
	}
}

// TestNothingStaysOnTheLoopbackInterface that is not served.
func TestNothingStaysOnTheLoopbackInterface(t *testing.T) {
	l := up(t, 2)
	n := l.nodes[0]
	l.awaitResident(vip(1), true, l.nodes...)
	l.want(l.config(2, load(2, lb.TCP, 80)))
	n.runs(2)
	if n.resident(vip(1)) || !n.resident(vip(2)) {
		t.Errorf("withdrawn %s is there: %v; served %s: %v", vip(1), n.resident(vip(1)), vip(2), n.resident(vip(2)))
	}
	// The agent dies, then nginx, and what is wanted has changed when the agent is back.
	nginx := n.process("nginx")
	n.kill()
	killGroup(t, nginx)
	l.want(l.config(3, load(3, lb.TCP, 80)))
	n.start()
	n.runs(3)
	if n.resident(vip(2)) || !n.resident(vip(3)) {
		t.Errorf("withdrawn %s is there: %v; served %s: %v", vip(2), n.resident(vip(2)), vip(3), n.resident(vip(3)))
	}
	n.terminate()
	if n.resident(vip(3)) {
		t.Errorf("%s stays after the end", vip(3))
	}
	if s := n.status(); s.Share.State != nodeconfig.ShareSilent {
		t.Errorf("the last word is %+v", s.Share)
	}
}
