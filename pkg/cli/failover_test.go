package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// vip answers HTTP at an address of the loopback network, as a virtual IP does, and can be silenced.
type vip struct {
	address string
	mu      sync.Mutex
	server  *http.Server
	away    *time.Timer
}

func newVIP(t *testing.T, address string) *vip {
	t.Helper()
	v := &vip{address: address}
	v.open()
	t.Cleanup(v.close)
	return v
}

func (v *vip) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	l, err := net.Listen("tcp", v.address)
	if err != nil || v.server != nil {
		return
	}
	v.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "tea\n")
	})}
	go func(s *http.Server) { _ = s.Serve(l) }(v.server)
}

func (v *vip) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.server != nil {
		_ = v.server.Close()
		v.server = nil
	}
}

// silence keeps the address from answering for a while.
func (v *vip) silence(d time.Duration) {
	v.close()
	v.away = time.AfterFunc(d, v.open)
}

// stage is a world whose clock is the real one, with an address on each node of which two answer here.
func stage(t *testing.T, name string, number int) (*world, *vip, *puppets) {
	t.Helper()
	w := newWorld(t, name)
	w.now = time.Now().UTC().Truncate(time.Second)
	w.live = true
	vips := []string{fmt.Sprintf("127.88.%d.1", number), fmt.Sprintf("127.88.%d.2", number)}
	w.serve("tea", vips[0], "lb2", 8088)
	w.serve("milk", vips[1], "lb2", 8088)
	w.shard.LoadBalancers[0].Listeners[0].Protocol = lb.HTTP
	w.serve("water", fmt.Sprintf("127.88.%d.3", number), "lb1", 8088)
	w.shard.LoadBalancers[2].Group = 0
	for _, s := range w.statuses {
		s.Reported = time.Now().Add(-time.Second)
		s.Share.State = nodeconfig.ShareServing
	}
	w.publish()
	w.deploy()
	newVIP(t, vips[1]+":8088")
	first := newVIP(t, vips[0]+":8088")
	p := w.play(&puppets{})
	return w, first, p
}

// drill runs `failover test` in the world, by the real clock.
func (w *world) drill(t *testing.T, c call, args ...string) result {
	t.Helper()
	c.args = append(append(w.in([]string{"failover", "test"}), args...), "--kubeconfig", w.kubeconfig)
	return c.run(t.Context())
}

func (w *world) report(t *testing.T, r result) v1alpha1.FailoverReport {
	t.Helper()
	var report v1alpha1.FailoverReport
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v\n%s\n%s", err, r.out, r.errOut)
	}
	return report
}

// events returns the reasons of the Events about objects of a namespace, by object.
func (w *world) events(t *testing.T, namespace string) map[string]string {
	t.Helper()
	list, err := w.client.EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	w.must(err)
	out := map[string]string{}
	for _, e := range list.Items {
		name := e.Regarding.Kind + "/" + e.Regarding.Name
		out[name] = strings.TrimSpace(out[name] + " " + e.Reason)
	}
	return out
}

func TestFailoverTest(t *testing.T) {
	w, vip, p := stage(t, "failover", 1)
	p.onDrill = func(running bool) {
		if running {
			vip.silence(150 * time.Millisecond)
		}
	}
	file := filepath.Join(t.TempDir(), "report.html")
	r := w.drill(t, call{}, "tea", "--kind", "crash", "--count", "2", "--yes", "-o", "json", "--report", file, "--hold",
		"300ms")
	if r.code != ExitOK {
		t.Fatalf("exit status %d\n%s\n%s", r.code, r.out, r.errOut)
	}
	report := w.report(t, r)
	if report.Summary.Passed != 2 || len(report.Plan.Addresses) != 2 || len(report.Plan.Targets) != 1 {
		t.Errorf("summary %+v, plan %+v", report.Summary, report.Plan)
	}
	for _, run := range report.Runs {
		if gap := run.GapMillis.Duration(); gap < 100*time.Millisecond || gap > 400*time.Millisecond {
			t.Errorf("run %d: a gap of %s was measured where one of 150ms was made", run.Number, gap)
		}
		if run.Lost == 0 || run.TakeoverMillis == nil || run.RestoredMillis == nil || run.Moves[0].To != "lb3" {
			t.Errorf("run %d: %+v", run.Number, run)
		}
	}
	for _, want := range []string{"lb2 is going to fail (crash), 2 times; 2 addresses move.", "run 2 of 2",
		"the fault is in place", "every address is on another node", "the fault is ended", "back on lb2"} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("stderr lacks %q:\n%s", want, r.errOut)
		}
	}
	if page, err := os.ReadFile(file); err != nil || !strings.Contains(string(page), "crash on lb2") {
		t.Errorf("the report is %.100q, %v", page, err)
	}
	if order, there := w.orders()["node.lb2"]; there {
		t.Errorf("an order is left: %s", order)
	}
	twice := "FailoverTestStarted FailoverTestPassed FailoverTestStarted FailoverTestPassed"
	system, users := w.events(t, w.system), w.events(t, w.user)
	for name, got := range map[string]string{
		"the node": system["ConfigMap/lb-node-lb2"], "tea": users["ConfigMap/tea"], "milk": users["ConfigMap/milk"],
	} {
		if len(strings.Fields(got)) != 4 || strings.Count(got, "Started") != 2 {
			t.Errorf("Events about %s: %q, want %q", name, got, twice)
		}
	}
	if got := users["ConfigMap/water"]; got != "" {
		t.Errorf("Events about what did not move: %q", got)
	}
}

// figures replaces what differs from run to run.
func figures(s string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\d+/\d+ `, "L/N "}, {`\d+ms`, "Nms"}, {` +\d+\.\d{3}s`, "  N.NNNs"}, {`[a-z2-7]{12}`, "ID"}, {` {4,}`, "   "},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.with)
	}
	return s
}

func TestFailoverTestText(t *testing.T) {
	w, _, _ := stage(t, "failovertext", 2)
	args := []string{"failover", "test", "--node", "lb2", "--count", "2", "--yes", "--hold", "300ms"}
	r := w.drill(t, call{}, args[2:]...)
	r.errOut = regexp.MustCompile("note: answers were.*\n").ReplaceAllString(r.errOut, "")
	golden(t, "testdata/failover-text.golden", fmt.Sprintf("%s--- stderr\n%s--- exit %d\n", figures(r.out),
		figures(r.errOut), r.code))
}

func TestFailoverPlan(t *testing.T) {
	w, _, _ := stage(t, "failoverplan", 3)
	for name, args := range map[string][]string{
		"failover-plan":         {"tea", "--dry-run"},
		"failover-plan-address": {"127.88.3.2", "--dry-run", "--kind", "nginx"},
		"failover-plan-node":    {"--node", "lb2", "--dry-run", "--max-gap", "100ms", "--kind", "isolate"},
		"failover-plan-yaml":    {"tea", "--dry-run", "-o", "yaml"},
		"failover-unserved":     {"ghost"},
		"failover-unserved-far": {"nothing-of-the-kind"},
		"failover-near-name":    {"te"},
		"failover-idle":         {"--node", "lb3"},
		"failover-near":         {"--node", "lb"},
		"failover-no-terminal":  {"tea"},
		"failover-usage":        {},
		"failover-usage-both":   {"tea", "--node", "lb1"},
		"failover-usage-kind":   {"tea", "--kind", "meteor"},
		"failover-usage-long":   {"tea", "--duration", "3m"},
		"failover-usage-gap":    {"tea", "--max-gap", "0s"},
		"failover-usage-file":   {"tea", "--report", "/nowhere/at/all.html"},
		"failover-usage-dry":    {"tea", "--dry-run=maybe"},
		"failover-usage-report": {"tea", "--dry-run", "--report", "x.html"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.drill(t, call{}, args...)
			r.expect(t, name, append([]string{"failover", "test"}, args...))
		})
	}
	if len(w.events(t, w.system)) != 0 {
		t.Error("a plan leaves Events")
	}
}

func TestFailoverConfirm(t *testing.T) {
	w, _, _ := stage(t, "failoverconfirm", 4)
	r := w.drill(t, call{stdin: "n\n", terminal: true}, "tea")
	if r.code != ExitError || !strings.Contains(r.errOut, "Go on? [y/N]") || !strings.Contains(r.errOut, "nothing was done") {
		t.Errorf("exit status %d, %s", r.code, r.errOut)
	}
	r = w.drill(t, call{stdin: "Yes\n", terminal: true}, "tea", "--hold", "200ms")
	if r.code != ExitOK {
		t.Errorf("exit status %d, %s", r.code, r.errOut)
	}
}

// Refusals leave no order and no Event.
func TestFailoverRefusals(t *testing.T) {
	w, vip, p := stage(t, "failoverrefusals", 5)
	refused := func(want string, args ...string) {
		t.Helper()
		r := w.drill(t, call{}, append(args, "--yes")...)
		if r.code != ExitError || !strings.Contains(r.errOut, want) || r.out != "" {
			t.Errorf("exit status %d, want %d and %q:\n%s%s", r.code, ExitError, want, r.out, r.errOut)
		}
	}
	change := func(f func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		f()
		w.publish()
	}
	vip.close()
	refused("probes failed: connection refused); --no-probe goes by the nodes' reports alone", "tea")
	vip.open()
	change(func() {
		w.statuses["lb1"].Reported = time.Now().Add(-time.Hour)
		w.statuses["lb3"].Reported = time.Now().Add(-time.Hour)
		p.silent = map[string]bool{"lb1": true, "lb3": true}
	})
	refused("nobody can take 127.88.5.1 over (lb1 has been silent for 60m; lb3 has been silent for 60m); --force", "tea")
	change(func() {
		w.statuses["lb1"].Reported, w.statuses["lb3"].Reported, p.silent = time.Now(), time.Now(), nil
		w.statuses["lb3"].Running.Shards = map[string]int64{"lb-shard-000": 6}
	})
	refused("lb3 would take over, but does not run the same configuration as lb2", "tea")
	change(func() { w.statuses["lb3"].Running.Shards = w.statuses["lb2"].Running.Shards })
	other := nodeconfig.Order{Version: nodeconfig.Version, Drill: &nodeconfig.Drill{
		ID: "x", Kind: nodeconfig.DrillCrash, Requested: time.Now(), By: "joe",
	}}
	text, err := nodeconfig.Encode(other)
	w.must(err)
	p.mu.Lock()
	w.document(nodeconfig.OrdersName, nodeconfig.AppOrders, "node.lb3", text)
	refused("another drill is under way on lb3: crash, ordered ", "tea")
	w.deploy()
	p.mu.Unlock()
	w.eventually("lb3 is well again", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		d := w.statuses["lb3"].Drill
		return d == nil || d.State == nodeconfig.DrillRestored
	})
	change(func() { p.refuse = "there is no drill today" })
	refused("lb2 refuses: there is no drill today", "tea")
	if order, there := w.orders()["node.lb2"]; there {
		t.Errorf("an order is left: %s", order)
	}
}

// A blown budget takes the fault away at once, is waited for, and is exit status 3.
func TestFailoverBudget(t *testing.T) {
	w, vip, p := stage(t, "failoverbudget", 6)
	p.onDrill = func(running bool) {
		if running {
			vip.close()
		} else {
			vip.open()
		}
	}
	begin := time.Now()
	r := w.drill(t, call{}, "tea", "--yes", "--max-gap", "200ms", "--count", "5", "-o", "json", "--hold", "300ms")
	report := w.report(t, r)
	if r.code != ExitFindings || report.Summary.Result != v1alpha1.FailoverGapExceeded || len(report.Runs) != 1 {
		t.Errorf("exit status %d, %+v\n%s", r.code, report.Summary, r.errOut)
	}
	if gap := report.Runs[0].GapMillis.Duration(); gap < 200*time.Millisecond || gap > 2*time.Second {
		t.Errorf("the gap is %s", gap)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s: the fault was not taken away at once", took)
	}
	if report.Runs[0].RestoredMillis == nil {
		t.Error("it was not waited until all was restored")
	}
	if got := w.events(t, w.system)["ConfigMap/lb-node-lb2"]; !strings.Contains(got, "FailoverTestFailed") {
		t.Errorf("Events: %q", got)
	}
}

// With --no-probe the nodes' reports are all that counts; nobody reports the addresses.
func TestFailoverNoTakeover(t *testing.T) {
	w, _, p := stage(t, "failoveridle", 7)
	p.idle = true
	r := w.drill(t, call{}, "tea", "--yes", "--no-probe", "--duration", "1200ms", "--hold", "100ms", "-o", "json")
	report := w.report(t, r)
	if r.code != ExitFindings || report.Summary.Result != v1alpha1.FailoverNoTakeover || report.Runs[0].GapMillis != nil {
		t.Errorf("exit status %d, %+v\n%s", r.code, report.Runs, r.errOut)
	}
}

// Ctrl-C takes the order back and waits for the restore.
func TestFailoverInterrupted(t *testing.T) {
	w, _, p := stage(t, "failoverinterrupt", 8)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.onDrill = func(running bool) {
		if running {
			cancel()
		}
	}
	c := call{args: append(w.in([]string{"failover", "test", "tea", "--yes"}), "--kubeconfig", w.kubeconfig)}
	r := c.run(ctx)
	if r.code != ExitInterrupted || r.out != "" || !strings.Contains(r.errOut, "every address is back on lb2") {
		t.Errorf("exit status %d\n%s\n%s", r.code, r.out, r.errOut)
	}
	if order, there := w.orders()["node.lb2"]; there {
		t.Errorf("an order is left: %s", order)
	}
	if got := w.events(t, w.system)["ConfigMap/lb-node-lb2"]; !strings.Contains(got, "FailoverTestFailed") {
		t.Errorf("Events: %q", got)
	}
}

// Without leave, nothing begins; with the operator's, Events on users' objects are left out.
func TestFailoverLeave(t *testing.T) {
	w, _, _ := stage(t, "failoverleave", 9)
	read := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
		Verbs: []string{"get", "list", "watch"}}
	w.allow("viewer", w.system, read)
	r := w.drill(t, call{}, "tea", "--yes", "--as", "viewer")
	want := `you lack in namespace "failoverleave-system": patch configmaps lb-orders, create events; the Role lb-operator`
	if r.code != ExitError || !strings.Contains(r.errOut, want) {
		t.Errorf("exit status %d, %s", r.code, r.errOut)
	}
	w.allow("operator", w.system, read,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
			ResourceNames: []string{nodeconfig.OrdersName}, Verbs: []string{"update", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}})
	r = w.drill(t, call{}, "tea", "--yes", "--as", "operator", "--hold", "200ms")
	if r.code != ExitOK {
		t.Errorf("exit status %d, %s", r.code, r.errOut)
	}
	if got := w.events(t, w.system)["ConfigMap/lb-node-lb2"]; len(strings.Fields(got)) != 2 {
		t.Errorf("Events: %q", got)
	}
	if got := w.events(t, w.user); len(got) != 0 {
		t.Errorf("Events without leave: %v", got)
	}
}
