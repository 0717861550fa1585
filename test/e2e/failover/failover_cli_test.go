package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// generous is a budget that a drill on two cores, which carry the whole cluster, keeps to for sure. How long a gap is on
// a machine with nothing else to do is for the benches.
const generous = "3s"

// clientCommand is kubectl lb as a user runs it on a machine that reaches the addresses: the lab's client.
func clientCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd, err := shared.Lab.Command("client", append([]string{filepath.Join(shared.Bin, "kubectl-lb")}, args...)...)
	must(t, err)
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir(), "TERM=dumb")
	return cmd
}

// fromClient runs kubectl lb on the client and fails the test unless it ends with the code.
func fromClient(t *testing.T, code int, args ...string) rig.Result {
	t.Helper()
	cmd := clientCommand(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	res := rig.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if res.Code != code {
		t.Fatalf("kubectl lb %s: exit status %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), res.Code, code,
			res.Stdout, res.Stderr)
	}
	return res
}

func reportOf(t *testing.T, res rig.Result) v1alpha1.FailoverReport {
	t.Helper()
	var report v1alpha1.FailoverReport
	if err := json.Unmarshal([]byte(res.Stdout), &report); err != nil || len(report.Runs) == 0 {
		t.Fatalf("%v\n%s\n%s", err, res.Stdout, res.Stderr)
	}
	return report
}

// settled waits until every node carries its share again.
func settled(t *testing.T) {
	t.Helper()
	must(t, rig.Wait(t.Context(), 60*time.Second, "the fleet to settle", func() (bool, string) {
		return shared.Settled(t.Context(), shared.LBNodes())
	}))
}

// undrilled fails the test if an order or a fault is left on the node.
func undrilled(t *testing.T, node string) {
	t.Helper()
	data, err := shared.Data(t.Context(), rig.SystemNamespace, nodeconfig.OrdersName)
	if err != nil || data[nodeconfig.OrderKey(node)] != "" {
		t.Errorf("an order is left: %v, %v", data, err)
	}
	if s, err := shared.NodeStatus(t.Context(), node); err != nil || s.Share.State != nodeconfig.ShareServing {
		t.Errorf("%s is %q, %v", node, s.Share.State, err)
	}
}

// TestFailoverTest: every kind of fault, twice, as a user orders it, with what is left of it afterwards: the address at
// home, no order, Events, a report.
func TestFailoverTest(t *testing.T) {
	ip := serve(t, "rehearsed", "target-service-name: coffee-svc", "protocol: HTTP")
	for _, kind := range nodeconfig.DrillKinds() {
		t.Run(string(kind), func(t *testing.T) {
			settled(t)
			home := holder(t, ip)
			file := filepath.Join(t.TempDir(), "report.html")
			res := fromClient(t, 0, "failover", "test", "rehearsed", "--kind", string(kind), "--count", "2", "--yes",
				"--max-gap", generous, "-o", "json", "--report", file)
			report := reportOf(t, res)
			if report.Summary.Passed != 2 || report.Plan.Node != home {
				t.Errorf("%+v on %s, which was to be %s", report.Summary, report.Plan.Node, home)
			}
			for _, run := range report.Runs {
				if run.FaultMillis == nil || run.TakeoverMillis == nil || run.RestoredMillis == nil || run.Sent < 100 {
					t.Errorf("run %d: %+v", run.Number, run)
					continue
				}
				for _, m := range run.Moves {
					if m.To == "" || m.To == home {
						t.Errorf("run %d: %s went to %q", run.Number, m.Address, m.To)
					}
				}
				t.Logf("%s: gap %s, back %s, %d of %d lost, taken over after %s", kind, run.GapMillis.Duration(),
					run.ReturnGapMillis.Duration(), run.Lost, run.Sent, run.Moves[0].AfterMillis.Duration())
			}
			if nodes, err := shared.Holders(ip); err != nil || len(nodes) != 1 || nodes[0] != home {
				t.Errorf("%s is on %v, %v, and not home on %s", ip, nodes, err, home)
			}
			undrilled(t, home)
			if page, err := os.ReadFile(file); err != nil || !bytes.Contains(page, []byte("</svg>")) {
				t.Errorf("the report has %d bytes, %v", len(page), err)
			}
		})
	}
	events := func(namespace, object string) string {
		out, err := shared.MustKubectl(t.Context(), "", "get", "events.events.k8s.io", "-n", namespace,
			"--field-selector", "regarding.name="+object, "-o", "jsonpath={.items[*].reason}")
		must(t, err)
		return out
	}
	for where, got := range map[string]string{
		"the load balancer": events("default", "rehearsed"),
		"the node's report": events(rig.SystemNamespace, nodeconfig.StatusName(holder(t, ip))),
	} {
		if strings.Count(got, "FailoverTestStarted") < 8 || strings.Count(got, "FailoverTestPassed") < 8 {
			t.Errorf("Events on %s: %s", where, got)
		}
	}
}

// TestFailoverTestRefuses: no fault where nobody could take over, where the addresses can't be reached, and for those
// without leave.
func TestFailoverTestRefuses(t *testing.T) {
	ip := serve(t, "refusing", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	refused := func(res rig.Result, want string) {
		t.Helper()
		if !strings.Contains(res.Stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, res.Stderr)
		}
		undrilled(t, home)
	}
	// Behind this one is no pod, so nginx answers 503; the nodes' reports alone do without the answer.
	apply(t, "apiVersion: v1\nkind: Service\nmetadata:\n  name: empty\n  namespace: default\nspec:\n  ports: [{port: 80}]\n")
	serve(t, "answerless", "target-service-name: empty", "protocol: HTTP")
	refused(fromClient(t, 1, "failover", "test", "answerless", "--yes"), "not every address answers steadily from here")
	report := reportOf(t, kubectlLB(t, 0, "", "failover", "test", "refusing", "--yes", "--no-probe", "-o", "json"))
	if run := report.Runs[0]; run.GapMillis != nil || run.Moves[0].To == "" || run.Moves[0].To == home {
		t.Errorf("by reports alone: %+v", run)
	}
	refused(fromClient(t, 1, "failover", "test", "refusing", "--yes", "--as", "nobody"), "needs leave that you lack")
	refused(fromClient(t, 2, "failover", "test", "refusing"), "--yes confirms")
	t.Cleanup(func() {
		for _, n := range shared.LBNodes() {
			must(t, shared.Order(context.WithoutCancel(t.Context()), n, nil))
		}
		mended(t)
	})
	for _, n := range shared.LBNodes() {
		if n != home {
			kubectlLB(t, 0, "", "drain", n, "--reason", "e2e")
		}
	}
	refused(fromClient(t, 1, "failover", "test", "refusing", "--yes"), "nobody can take ")
	// Drained nodes serve rather than nobody, so with --force there is something to see.
	report = reportOf(t, fromClient(t, 0, "failover", "test", "refusing", "--yes", "--force", "--kind", "crash",
		"--max-gap", generous, "-o", "json"))
	if to := report.Runs[0].Moves[0].To; report.Summary.Passed != 1 || to == "" || to == home {
		t.Errorf("with --force: %+v", report.Runs[0])
	}
}

// TestFailoverTestAborts: a blown budget takes the fault away at once.
func TestFailoverTestAborts(t *testing.T) {
	ip := serve(t, "aborted", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	res := fromClient(t, 3, "failover", "test", ip, "--kind", "crash", "--max-gap", "100ms", "--count", "5", "--yes",
		"-o", "json", "--hold", "10s", "--duration", "30s")
	report := reportOf(t, res)
	run := report.Runs[0]
	if len(report.Runs) != 1 || run.Result != v1alpha1.FailoverGapExceeded || run.RestoredMillis == nil {
		t.Fatalf("%+v\n%s", report.Summary, res.Stderr)
	}
	if ended := run.EndedMillis.Duration(); ended > 5*time.Second {
		t.Errorf("the fault was not ended before %s, although the budget was blown", ended)
	}
	undrilled(t, home)
}

// TestNodesAndSuccession: who is drained, by whom and why, and who would take over, in words.
func TestNodesAndSuccession(t *testing.T) {
	ip := serve(t, "inherited", "target-service-name: coffee-svc")
	settled(t)
	home := holder(t, ip)
	if tree := kubectlLB(t, 0, "", "status", "inherited").Stdout; !strings.Contains(tree, "if "+home+" dies: ") {
		t.Errorf("status does not say who takes over:\n%s", tree)
	}
	t.Cleanup(func() {
		must(t, shared.Order(context.WithoutCancel(t.Context()), home, nil))
		mended(t)
	})
	if out := kubectlLB(t, 0, "", "drain", home, "--reason", "new disk").Stdout; !strings.Contains(out, ip) {
		t.Errorf("drain does not show what has moved:\n%s", out)
	}
	for _, want := range []string{"Drained", "new disk"} {
		if out := kubectlLB(t, 0, "", "nodes").Stdout; !strings.Contains(out, want) {
			t.Errorf("nodes lacks %q:\n%s", want, out)
		}
	}
	if out := kubectlLB(t, 0, "", "undrain", home).Stdout; !strings.Contains(out, home+" undrained") {
		t.Errorf("undrain: %s", out)
	}
	holds(t, home, ip, true, time.Second)
	told, err := shared.MustKubectl(t.Context(), "", "get", "events", "--field-selector", "involvedObject.name=inherited")
	must(t, err)
	if !strings.Contains(told, "Ready") || strings.Contains(told, "NotReady") {
		t.Errorf("a drain is no trouble of the load balancer:\n%s", told)
	}
}
