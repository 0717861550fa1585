package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// order gives a node an order beside those of the others.
func (w *world) order(node string, o nodeconfig.Order) {
	w.t.Helper()
	o.Version = nodeconfig.Version
	text, err := nodeconfig.Encode(o)
	w.must(err)
	cm, err := w.client.CoreV1().ConfigMaps(w.system).Get(context.Background(), nodeconfig.OrdersName,
		metav1.GetOptions{})
	w.must(err)
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[nodeconfig.OrderKey(node)] = text
	_, err = w.client.CoreV1().ConfigMaps(w.system).Update(context.Background(), cm, metav1.UpdateOptions{})
	w.must(err)
}

// Two who begin at the same moment both see a fleet without a drill. Whoever writes the order second is refused, on
// whichever node the other's is.
func TestFailoverOrderBesideAnother(t *testing.T) {
	w := newWorld(t, "failoverbeside")
	w.deploy()
	c := &cluster{Interface: w.client, system: w.system}
	cms, err := c.documents(t.Context())
	w.must(err)
	newTester := func(change func(*view.Documents)) *tester {
		docs := view.DecodeDocuments(cms)
		if change != nil {
			change(&docs)
		}
		return &tester{
			failoverOptions: &failoverOptions{program: &program{now: func() time.Time { return w.now }}}, c: c,
			plan: v1alpha1.FailoverPlan{Node: "lb2", Kind: nodeconfig.DrillDrain},
			feed: &feed{documents: func() view.Documents { return docs }},
		}
	}
	refused := func(tt *tester, want string) {
		t.Helper()
		if err := tt.order(t.Context(), "mine"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if text := w.orders()["node.lb2"]; strings.Contains(text, "mine") {
			t.Errorf("the order was written: %s", text)
		}
	}
	w.order("lb3", nodeconfig.Order{Drill: &nodeconfig.Drill{
		ID: "theirs", Kind: nodeconfig.DrillCrash, Requested: w.now, By: "joe",
	}})
	refused(newTester(nil), `another drill is under way on lb3: crash, ordered 0s ago by "joe"`)
	w.order("lb3", nodeconfig.Order{})
	w.order("lb2", nodeconfig.Order{Drain: &nodeconfig.Drain{Since: w.now, By: "jane"}})
	refused(newTester(nil), `lb2 has been drained meanwhile, by "jane"`)
	w.order("lb2", nodeconfig.Order{})
	// The order of a drill that runs may be gone already.
	refused(newTester(func(d *view.Documents) {
		d.Statuses[1].Drill = &nodeconfig.DrillStatus{
			ID: "old", Kind: nodeconfig.DrillCrash, State: nodeconfig.DrillRunning, Started: w.now,
		}
	}), "another drill is under way on lb2: crash, begun 0s ago")
	w.must(newTester(nil).order(t.Context(), "mine"))
}

// The standby of the first run may be gone at the second. What has been measured by then is shown, and then why there
// is no more.
func TestFailoverStandbyGone(t *testing.T) {
	w, _, p := stage(t, "failoverstandby", 10)
	p.onDrill = func(running bool) {
		if !running {
			for _, n := range []string{"lb1", "lb3"} {
				w.order(n, nodeconfig.Order{Drain: &nodeconfig.Drain{Since: time.Now(), By: "jane"}})
			}
		}
	}
	file := filepath.Join(t.TempDir(), "report.html")
	r := w.drill(t, call{}, "tea", "--yes", "--count", "3", "--hold", "200ms", "-o", "json", "--report", file)
	const want = "error: run 2 of 3: nobody can take 127.88.10.1 over (lb1 is drained; lb3 is drained)"
	if r.code != ExitError || !strings.Contains(r.errOut, want) {
		t.Errorf("exit status %d, want %d and %q\n%s", r.code, ExitError, want, r.errOut)
	}
	report := w.report(t, r)
	if len(report.Runs) != 1 || report.Runs[0].Result != v1alpha1.FailoverPassed || report.Summary.Passed != 1 ||
		report.Summary.Gap == nil || report.Summary.Result != v1alpha1.FailoverStopped ||
		!strings.Contains(report.Summary.Message, "nobody can take") {
		t.Errorf("%+v\n%+v", report.Summary, report.Runs)
	}
	if page, err := os.ReadFile(file); err != nil || !strings.Contains(string(page), "1 of 3 runs were made, and passed") {
		t.Errorf("the page says nothing of it, %v", err)
	}
}

// Ctrl-C at a later run shows what the earlier ones have measured.
func TestFailoverInterruptedLater(t *testing.T) {
	w, _, p := stage(t, "failoverlater", 11)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := 0
	p.onDrill = func(running bool) {
		if !running {
			return
		}
		begun++
		if begun == 2 {
			cancel()
		}
	}
	c := call{args: append(w.in([]string{"failover", "test", "tea", "--yes", "--count", "9", "--hold", "200ms"}),
		"--kubeconfig", w.kubeconfig)}
	r := c.run(ctx)
	if r.code != ExitInterrupted || strings.Count(r.out, "Passed") != 1 {
		t.Errorf("exit status %d\n%s\n%s", r.code, r.out, r.errOut)
	}
	if order, there := w.orders()["node.lb2"]; there {
		t.Errorf("an order is left: %s", order)
	}
}
