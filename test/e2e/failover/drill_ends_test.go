package failover

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// begin starts a test on the client and returns once its fault is in place on the node.
func begin(t *testing.T, node string, args ...string) *exec.Cmd {
	t.Helper()
	before, err := shared.NodeStatus(t.Context(), node)
	must(t, err)
	cmd := clientCommand(t, append([]string{"failover", "test", "--yes"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	must(t, rig.Wait(t.Context(), 20*time.Second, "the fault", func() (bool, string) {
		s, err := shared.NodeStatus(t.Context(), node)
		if err != nil || s.Drill == nil {
			return false, fmt.Sprintf("%v", err)
		}
		fresh := before.Drill == nil || s.Drill.ID != before.Drill.ID
		return fresh && s.Drill.State == nodeconfig.DrillRunning, fmt.Sprintf("%+v", *s.Drill)
	}))
	return cmd
}

// restored waits until the node says that its drill is over.
func restored(t *testing.T, node string) nodeconfig.DrillStatus {
	t.Helper()
	var last nodeconfig.DrillStatus
	must(t, rig.Wait(t.Context(), 30*time.Second, node+" to restore itself", func() (bool, string) {
		s, err := shared.NodeStatus(t.Context(), node)
		if err != nil || s.Drill == nil {
			return false, fmt.Sprintf("%v", err)
		}
		last = *s.Drill
		return last.State == nodeconfig.DrillRestored, fmt.Sprintf("%+v", last)
	}))
	return last
}

// forgotten takes an order away that nobody stands behind any more, when the test ends.
func forgotten(t *testing.T, node string) {
	t.Helper()
	t.Cleanup(func() {
		must(t, shared.Order(context.WithoutCancel(t.Context()), node, nil))
		mended(t)
	})
}

// TestFailoverTestDies: the node restores itself when whoever ordered the fault is gone. As long as it lasts, no other
// drill may begin, on no node; the order that was left behind holds nobody up afterwards.
func TestFailoverTestDies(t *testing.T) {
	ip := serve(t, "orphaned", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	forgotten(t, home)
	cmd := begin(t, home, "orphaned", "--kind", "nginx", "--hold", "5s", "--duration", "10s", "--max-gap", "10s")
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	holds(t, home, ip, false, 10*time.Second)
	for _, n := range shared.LBNodes() {
		res := fromClient(t, 1, "failover", "test", "--node", n, "--yes", "--force", "--no-probe")
		if !strings.Contains(res.Stderr, "another drill is under way on "+home) {
			t.Errorf("a second drill, on %s: %s", n, res.Stderr)
		}
	}
	if end := restored(t, home); !strings.Contains(end.Message, "time was over") {
		t.Errorf("it ended because %s", end.Message)
	}
	holds(t, home, ip, true, 30*time.Second)
	settled(t)
	fromClient(t, 0, "failover", "test", "orphaned", "--yes", "--max-gap", generous)
	undrilled(t, home)
}

// TestFailoverTestDiesWithTheAPI: nor does the end of a fault need the API server, or the daemon that began it. The
// kernels alone tell what happens.
func TestFailoverTestDiesWithTheAPI(t *testing.T) {
	for _, c := range []struct {
		kind nodeconfig.DrillKind
		// killed daemons begin anew; the others end the fault at its deadline.
		killed bool
		// kept says that the node keeps its address during the fault, beside another owner.
		kept bool
		end  string
	}{
		{kind: nodeconfig.DrillIsolate, kept: true, end: "time was over"},
		{kind: nodeconfig.DrillCrash, killed: true, end: "when it was back"},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			ctx := t.Context()
			ip := serve(t, "bereft-"+string(c.kind), "target-service-name: coffee-svc")
			settled(t)
			home := holder(t, ip)
			forgotten(t, home)
			t.Cleanup(func() { must(t, shared.Lab.APIUp(context.WithoutCancel(ctx))) })
			cmd := begin(t, home, ip, "--kind", string(c.kind), "--hold", "10s", "--duration", "15s", "--max-gap", "10s")
			must(t, cmd.Process.Kill())
			_ = cmd.Wait()
			must(t, shared.Lab.APIDown(ctx))
			must(t, rig.Wait(ctx, 10*time.Second, "another node to take over", func() (bool, string) {
				nodes, err := shared.Holders(ip)
				kept := slices.Contains(nodes, home)
				others := slices.ContainsFunc(nodes, func(n string) bool { return n != home })
				return err == nil && kept == c.kept && others, fmt.Sprintf("%v, %v", nodes, err)
			}))
			if c.killed {
				must(t, shared.Lab.KillDaemon(home))
			}
			must(t, rig.Wait(ctx, time.Minute, ip+" to be back, and nowhere else", func() (bool, string) {
				nodes, err := shared.Holders(ip)
				return err == nil && slices.Equal(nodes, []string{home}), fmt.Sprintf("%v, %v", nodes, err)
			}))
			must(t, shared.Lab.APIUp(ctx))
			if end := restored(t, home); !strings.Contains(end.Message, c.end) {
				t.Errorf("it ended because %s", end.Message)
			}
			must(t, shared.Order(ctx, home, nil))
			mended(t)
		})
	}
}

// TestFailoverTestInterrupted: Ctrl-C ends the fault, waits until the node is as before, and leaves no order behind.
func TestFailoverTestInterrupted(t *testing.T) {
	ip := serve(t, "interrupted", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	forgotten(t, home)
	cmd := begin(t, home, "--node", home, "--kind", "crash", "--hold", "20s", "--duration", "60s", "--max-gap", "10s",
		"--count", "3")
	begun := time.Now()
	must(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit status %d\n%s", code, cmd.Stdout)
	}
	if d := time.Since(begun); d > 45*time.Second {
		t.Errorf("it went on for %s", d)
	}
	undrilled(t, home)
	if nodes, err := shared.Holders(ip); err != nil || !slices.Equal(nodes, []string{home}) {
		t.Errorf("%s is on %v, %v, and not home on %s", ip, nodes, err, home)
	}
}

// TestFailoverTestSkewed: no fault where those who would take over do not run what the node runs.
func TestFailoverTestSkewed(t *testing.T) {
	ctx := t.Context()
	ip := serve(t, "ahead", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	before, err := shared.NodeStatus(ctx, home)
	must(t, err)
	late := slices.DeleteFunc(shared.LBNodes(), func(n string) bool { return n == home })
	t.Cleanup(func() {
		must(t, shared.Lab.HealAll(context.WithoutCancel(ctx)))
		mended(t)
	})
	for _, n := range late {
		must(t, shared.Lab.Cut(n, fabric.API))
	}
	// The last of these cleanups runs first, so that everybody hears of the deletion.
	apply(t, loadBalancer("further-ahead", "target-service-name: coffee-svc"))
	t.Cleanup(func() { must(t, shared.Lab.HealAll(context.WithoutCancel(ctx))) })
	must(t, rig.Wait(ctx, 20*time.Second, home+" to run another configuration", func() (bool, string) {
		s, err := shared.NodeStatus(ctx, home)
		now := s.Running.Generation
		return err == nil && now != before.Running.Generation, fmt.Sprintf("%s, %v", now, err)
	}))
	res := fromClient(t, 1, "failover", "test", ip, "--yes", "--kind", "crash")
	if !strings.Contains(res.Stderr, "does not run the same configuration as "+home) {
		t.Errorf("refused for another reason: %s", res.Stderr)
	}
	undrilled(t, home)
}
