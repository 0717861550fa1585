package failover

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// splitBound is the longest that two nodes which hear each other may both own an address here; far above what it takes.
const splitBound = 2 * time.Second

// lb runs the plugin as a user does, and fails the test if that does.
func lb(t *testing.T, args ...string) string {
	t.Helper()
	out, err := shared.MustKubectl(t.Context(), "", append([]string{"lb"}, args...)...)
	must(t, err)
	return out
}

// watchAll records who owns what until the test ends. The returned function yields who owned an address since it began.
func watchAll(t *testing.T) (spans func(address string) []owner.Span) {
	t.Helper()
	var nodes []fabric.Node
	for _, n := range shared.Lab.Info().Nodes {
		if n.Role == fabric.RoleLB {
			nodes = append(nodes, n)
		}
	}
	w, err := owner.Start(nodes)
	must(t, err)
	t.Cleanup(w.Stop)
	begun := time.Now()
	return func(address string) []owner.Span {
		t.Helper()
		history, err := w.History()
		must(t, err)
		return owner.Clip(history.Spans(netip.MustParseAddr(address), time.Now()), begun, time.Now())
	}
}

// watched records who owns an address until the returned function is called, which fails the test if it ever had two
// owners for long.
func watched(t *testing.T, address string) (stop func() []owner.Span) {
	t.Helper()
	all := watchAll(t)
	return func() []owner.Span {
		t.Helper()
		spans := all(address)
		if d := owner.Longest(spans, owner.Several); d > splitBound {
			t.Errorf("%s had two owners for %s: %v", address, d, spans)
		}
		return spans
	}
}

// TestDrain: a drained node hands its addresses over and keeps free of them, also when its daemon is killed and when the
// API server is away; undrained, it has its share back. No probe is lost at either end.
func TestDrain(t *testing.T) {
	ip := serve(t, "drained", "target-service-name: coffee-svc")
	home := holder(t, ip)
	spans := watched(t, ip)
	t.Cleanup(func() {
		must(t, shared.Order(context.WithoutCancel(t.Context()), home, nil))
		mended(t)
	})
	running := probe(t, ip)
	lb(t, "drain", home, "--reason", "e2e")
	holds(t, home, ip, false, 10*time.Second)
	lossless(t, running.StopAfter(time.Second))
	if s, err := shared.NodeStatus(t.Context(), home); err != nil || s.Share.State != nodeconfig.ShareDrained {
		t.Errorf("%s is %q after its drain, %v", home, s.Share.State, err)
	}

	must(t, shared.Lab.APIDown(t.Context()))
	must(t, shared.Lab.KillDaemon(home))
	must(t, shared.Lab.Kill(home, lab.Keepalived))
	time.Sleep(2 * time.Duration(nodeconfig.DefaultTiming().HoldTime)) // by then a node that had forgotten would be back
	holds(t, home, ip, false, time.Second)
	must(t, shared.Lab.APIUp(t.Context()))

	running = probe(t, ip)
	lb(t, "undrain", home)
	holds(t, home, ip, true, time.Minute)
	mended(t)
	lossless(t, running.Stop())
	spans()
}

// TestDrainOfAll: when all nodes are drained, the addresses are served nevertheless.
func TestDrainOfAll(t *testing.T) {
	ip := serve(t, "last-resort", "target-service-name: coffee-svc")
	nodes := shared.LBNodes()
	t.Cleanup(func() {
		for _, n := range nodes {
			must(t, shared.Order(context.WithoutCancel(t.Context()), n, nil))
		}
		mended(t)
	})
	running := probe(t, ip)
	for _, n := range nodes {
		must(t, shared.Order(t.Context(), n, &nodeconfig.Order{Drain: &nodeconfig.Drain{Since: time.Now(), By: "e2e"}}))
	}
	report := running.StopAfter(5 * time.Second)
	if !report.Ended() || report.Outage() > time.Second {
		t.Error(report)
	}
	holder(t, ip)
}

// TestNodeLeavesAndComesBack: the label is taken from the node that holds the address, and given back. No probe is lost,
// there are never two owners, and the node that left keeps nothing of ours.
func TestNodeLeavesAndComesBack(t *testing.T) {
	ip := serve(t, "moving", "target-service-name: coffee-svc")
	leaver := holder(t, ip)
	others := slices.DeleteFunc(shared.LBNodes(), func(n string) bool { return n == leaver })
	spans := watched(t, ip)
	settled := func(nodes []string) {
		t.Helper()
		must(t, rig.Wait(t.Context(), 90*time.Second, fmt.Sprintf("a fleet of %v", nodes), func() (bool, string) {
			return shared.Settled(t.Context(), nodes)
		}))
	}
	t.Cleanup(func() {
		must(t, shared.Enlist(context.WithoutCancel(t.Context()), leaver, true))
		mended(t)
	})
	running := probe(t, ip)
	must(t, shared.Enlist(t.Context(), leaver, false))
	settled(others)
	lossless(t, running.Stop())
	expectNothingOn(t, leaver)

	running = probe(t, ip)
	must(t, shared.Enlist(t.Context(), leaver, true))
	settled(shared.LBNodes())
	mended(t)
	lossless(t, running.Stop())
	spans()
}

// expectNothingOn fails the test if the node has an address of the load balancers' pools, on any interface.
func expectNothingOn(t *testing.T, node string) {
	t.Helper()
	out, err := shared.Lab.Output(t.Context(), node, "ip", "-o", "address", "show")
	must(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		prefix, err := netip.ParsePrefix(fields[3])
		if err == nil && ofPools(prefix.Addr()) {
			t.Errorf("%s has %s on %s", node, prefix, fields[1])
		}
	}
}

func ofPools(a netip.Addr) bool {
	return netip.MustParsePrefix("10.88.96.0/20").Contains(a) || netip.MustParsePrefix(fabric.Pool6).Contains(a)
}

// TestSweep: a node is cut off from the API server, a load balancer is deleted meanwhile, and everything in the node's
// container dies at once and leaves its addresses behind. What comes back must remove what is not served any more, and
// leave alone what it does not own.
func TestSweep(t *testing.T) {
	ctx := t.Context()
	stays := serve(t, "stays", "target-service-name: coffee-svc")
	manifest := loadBalancer("goes", "target-service-name: coffee-svc")
	apply(t, manifest)
	goes, err := shared.WaitServing(ctx, "default", "goes")
	must(t, err)
	node := holder(t, goes)
	const foreign = "10.88.111.7" // of the pools' range, but nobody's
	_, err = shared.Lab.Output(ctx, node, "ip", "address", "add", foreign+"/32", "dev", "eth0")
	must(t, err)
	t.Cleanup(func() {
		must(t, shared.Lab.Heal(node))
		last := context.WithoutCancel(ctx)
		if _, err := shared.Lab.Output(last, node, "ip", "address", "del", foreign+"/32", "dev", "eth0"); err != nil {
			t.Error("the sweep took an address that is not ours:", err)
		}
		mended(t)
	})
	running := probe(t, stays)
	must(t, shared.Lab.Cut(node, fabric.API))
	remove(t, manifest)
	killContainer(t, node)
	must(t, shared.Lab.Heal(node))
	must(t, rig.Wait(ctx, time.Minute, goes+" to be gone from everywhere", func() (bool, string) {
		for _, n := range shared.LBNodes() {
			out, err := shared.Lab.Output(ctx, n, "ip", "-o", "address", "show", "to", goes)
			if err != nil || len(out) > 0 {
				return false, fmt.Sprintf("%s: %s %v", n, out, err)
			}
		}
		return true, ""
	}))
	mended(t)
	holder(t, stays)
	if report := running.Stop(); !report.Ended() || report.Outage() > failoverBound {
		t.Error(report)
	}
}

// killContainer kills everything of the node's daemon at once, by the init of its container.
func killContainer(t *testing.T, node string) {
	t.Helper()
	all, err := shared.Lab.Processes(node, lab.Daemon)
	must(t, err)
	for _, p := range all {
		if p.InnerPID == 1 {
			must(t, p.Signal(9))
			return
		}
	}
	t.Fatalf("%s runs no container of the daemon: %v", node, all)
}
