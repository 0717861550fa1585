package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// failoverBound is far above what a failover takes (docs/benchmarks.md has the figures), and far below what a broken
// one would: these tests prove that it happens, the benches how fast.
const failoverBound = 5 * time.Second

// lose takes the link from a node until the returned function, or the end of the test, gives it back.
func lose(t *testing.T, node string) (giveBack func()) {
	t.Helper()
	must(t, shared.Lab.LinkDown(node))
	lost := true
	giveBack = func() {
		if lost {
			must(t, shared.Lab.LinkUp(node))
		}
		lost = false
	}
	t.Cleanup(giveBack)
	return giveBack
}

// tookOver fails the test unless an outage happened and ended within the bound.
func tookOver(t *testing.T, r rig.Report) {
	t.Helper()
	if r.Failed == 0 || !r.Ended() || r.Outage() > failoverBound {
		t.Error(r)
	}
	t.Log(r)
}

// TestNodeLost: the node that holds the address is cut off; another takes over, and when it is back it serves again,
// with one owner in the end.
func TestNodeLost(t *testing.T) {
	ip := serve(t, "lost", "target-service-name: coffee-svc")
	active := holder(t, ip)
	running := probe(t, ip)
	giveBack := lose(t, active)
	report := running.StopAfter(failoverBound)
	tookOver(t, report)
	running = probe(t, ip)
	giveBack()
	mended(t)
	if now := holder(t, ip); now != active {
		t.Errorf("%s holds the address, not its home %s", now, active)
	}
	t.Logf("coming home: %s", running.Stop())
}

// TestControlPlaneDown: without an API server nothing that served stops, and a lost node still fails over.
func TestControlPlaneDown(t *testing.T) {
	ip := serve(t, "headless", "target-service-name: coffee-svc")
	active := holder(t, ip)
	running := probe(t, ip)
	must(t, shared.Lab.APIDown(t.Context()))
	t.Cleanup(func() {
		must(t, shared.Lab.APIUp(context.Background())) //nolint:usetesting // the test's context is done by then
	})
	lossless(t, running.StopAfter(10*time.Second))

	running = probe(t, ip)
	giveBack := lose(t, active)
	tookOver(t, running.StopAfter(failoverBound))
	giveBack()
	must(t, shared.Lab.APIUp(t.Context()))
	mended(t)
}

// TestDaemonKilled: keepalived and nginx outlive the daemon; the new one adopts them. No probe is lost, nothing moves,
// and it still works: a new load balancer is served.
func TestDaemonKilled(t *testing.T) {
	ip := serve(t, "orphan", "target-service-name: coffee-svc")
	active := holder(t, ip)
	before, err := shared.NodeStatus(t.Context(), active)
	must(t, err)
	daemon := onlyDaemon(t, active)
	running := probe(t, ip)
	must(t, shared.Lab.KillDaemon(active))
	must(t, rig.Wait(t.Context(), time.Minute, "another daemon", func() (bool, string) {
		all, err := shared.Lab.Processes(active, lab.Daemon)
		if err != nil {
			return false, err.Error()
		}
		for _, p := range all {
			if p.InnerPID != 1 && p.PID != daemon {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d daemons", len(all))
	}))
	serve(t, "orphan-two", "target-service-name: coffee-svc")
	lossless(t, running.Stop())
	if now := holder(t, ip); now != active {
		t.Errorf("the address moved from %s to %s", active, now)
	}
	after, err := shared.NodeStatus(t.Context(), active)
	must(t, err)
	for i, p := range after.Processes {
		if i < len(before.Processes) && p.PID != before.Processes[i].PID {
			t.Errorf("%s was not adopted: pid %d, was %d", p.Name, p.PID, before.Processes[i].PID)
		}
	}
}

// onlyDaemon returns the pid of the daemon proper, which is not the init of its container.
func onlyDaemon(t *testing.T, node string) int {
	t.Helper()
	all, err := shared.Lab.Processes(node, lab.Daemon)
	must(t, err)
	for _, p := range all {
		if p.InnerPID != 1 {
			return p.PID
		}
	}
	t.Fatalf("%s runs no daemon: %v", node, all)
	return 0
}

// TestProcessKilled: what is killed on the active node is started again, and the address answers.
func TestProcessKilled(t *testing.T) {
	ip := serve(t, "restarted", "target-service-name: coffee-svc")
	for _, program := range []string{lab.Nginx, lab.Keepalived} {
		t.Run(program, func(t *testing.T) {
			active := holder(t, ip)
			running := probe(t, ip)
			must(t, shared.Lab.Kill(active, program))
			report := running.StopAfter(failoverBound)
			if !report.Ended() {
				t.Error(report)
			}
			t.Log(report)
			mended(t)
			holder(t, ip) // one, not two
		})
	}
}

// TestNginxHung: an nginx that accepts nothing any more is as bad as a dead one. Its node gives the address up, and has
// it back when nginx serves again.
func TestNginxHung(t *testing.T) {
	ip := serve(t, "hung", "target-service-name: coffee-svc")
	active := holder(t, ip)
	running := probe(t, ip)
	must(t, shared.Lab.FreezeProgram(active, lab.Nginx))
	// The daemon may have replaced it by the time it is to go on, which is as good.
	t.Cleanup(func() { _ = shared.Lab.ThawProgram(active, lab.Nginx) })
	holds(t, active, ip, false, failoverBound)
	tookOver(t, running.StopAfter(failoverBound))
	_ = shared.Lab.ThawProgram(active, lab.Nginx)
	mended(t)
	holds(t, active, ip, true, time.Second)
}

// TestDaemonReplaced: a daemon that is told to end, by an update of the DaemonSet or by the host's shutdown, hands its
// addresses over before it goes, and the next one takes them back.
func TestDaemonReplaced(t *testing.T) {
	ip := serve(t, "updated", "target-service-name: coffee-svc")
	active := holder(t, ip)
	pods := shared.Client.CoreV1().Pods(rig.SystemNamespace)
	daemons, err := pods.List(t.Context(), metav1.ListOptions{
		FieldSelector: "spec.nodeName=" + active, LabelSelector: "app.kubernetes.io/component=daemon",
	})
	must(t, err)
	if len(daemons.Items) != 1 {
		t.Fatalf("%s has %d pods of the daemon", active, len(daemons.Items))
	}
	spans := watched(t, ip)
	running := probe(t, ip)
	must(t, pods.Delete(t.Context(), daemons.Items[0].Name, metav1.DeleteOptions{}))
	holds(t, active, ip, false, 30*time.Second)
	holds(t, active, ip, true, time.Minute)
	mended(t)
	lossless(t, running.StopAfter(time.Second))
	if moves := owner.Moves(spans()); moves != 2 {
		t.Errorf("%s moved %d times, not there and back: %v", ip, moves, spans())
	}
}

// TestLeaderKilled: the controller that leads dies; no address moves, no probe is lost, and the other one takes up
// the work without giving anything away twice.
func TestLeaderKilled(t *testing.T) {
	ip := serve(t, "led", "target-service-name: coffee-svc")
	active := holder(t, ip)
	running := probe(t, ip)
	leader, err := shared.Leader(t.Context())
	must(t, err)
	_, err = shared.MustKubectl(t.Context(), "", "-n", rig.SystemNamespace, "delete", "pod", leader,
		"--force", "--grace-period=0")
	must(t, err)
	must(t, rig.Wait(t.Context(), time.Minute, "another leader", func() (bool, string) {
		next, err := shared.Leader(t.Context())
		return err == nil && next != leader, fmt.Sprintf("%q leads, %v; the dead one was %q", next, err, leader)
	}))
	if other := serve(t, "led-two", "target-service-name: coffee-svc"); other == ip {
		t.Errorf("%s was given twice", ip)
	}
	lossless(t, running.Stop())
	if now := holder(t, ip); now != active {
		t.Errorf("the address moved from %s to %s", active, now)
	}
	mended(t)
}

// TestChurn: fifty neighbours come, change and go; the one that stays loses nothing.
func TestChurn(t *testing.T) {
	ip := serve(t, "rock", "target-service-name: coffee-svc")
	running := probe(t, ip)
	many := func(port int) (manifests string) {
		for i := range 50 {
			manifests += loadBalancer(fmt.Sprintf("sand-%02d", i), "target-service-name: coffee-svc",
				fmt.Sprintf("bind-port: \"%d\"", port)) + "---\n"
		}
		return manifests
	}
	apply(t, many(80))
	for _, port := range []int{80, 8080} {
		must(t, shared.Apply(t.Context(), many(port)))
		for i := range 50 {
			_, err := shared.WaitServing(t.Context(), "default", fmt.Sprintf("sand-%02d", i))
			must(t, err)
		}
	}
	remove(t, many(80))
	lossless(t, running.Stop())
}
