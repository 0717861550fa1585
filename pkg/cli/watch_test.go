package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// watching runs a command that goes on until stop is called, which returns what it left behind.
func (w *world) watching(t *testing.T, args ...string) (seen *screen, stop func() result) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan result, 1)
	seen = &screen{}
	c := call{args: append(w.in(args), "--kubeconfig", w.kubeconfig), now: w.now, screen: seen}
	go func() { done <- c.run(ctx) }()
	return seen, func() result {
		cancel()
		r := <-done
		r.out = seen.String()
		return r
	}
}

// What is watched in a pipe is appended; a change that only moves a heartbeat is none.
func TestStatusWatch(t *testing.T) {
	w := newWorld(t, "watch")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	screen, stop := w.watching(t, "status", "-w")
	w.eventually("the first picture", func() bool { return strings.Contains(screen.String(), "tea ") })
	// Heartbeats are no changes.
	for _, s := range w.statuses {
		s.Reported = s.Reported.Add(time.Second)
	}
	w.publish()
	w.serve("late", "10.88.100.9", "lb1", 80)
	w.publish()
	w.eventually("the change", func() bool { return strings.Contains(screen.String(), "late ") })
	r := stop()
	if r.code != ExitInterrupted || r.errOut != "" {
		t.Errorf("exit status %d, stderr %q; want a quiet %d", r.code, r.errOut, ExitInterrupted)
	}
	if n := strings.Count(r.out, "NAME "); n != 1 {
		t.Errorf("%d header lines, want 1:\n%s", n, r.out)
	}
	if n := strings.Count(r.out, "tea "); n != 1 {
		t.Errorf("tea is shown %d times, want once:\n%s", n, r.out)
	}
}

// Nodes are watched likewise.
func TestNodesWatch(t *testing.T) {
	w := newWorld(t, "nodeswatch")
	w.publish()
	screen, stop := w.watching(t, "nodes", "lb1", "lb2", "-w")
	w.eventually("the first picture", func() bool { return strings.Contains(screen.String(), "lb2 ") })
	for _, s := range w.statuses { // heartbeats are no changes, and a node that was not named is not shown
		s.Reported = s.Reported.Add(time.Second)
	}
	w.statuses["lb3"].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
	w.publish()
	w.statuses["lb1"].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
	w.publish()
	w.eventually("the change", func() bool { return strings.Contains(screen.String(), "Unfit") })
	w.statuses["lb2"].Reported = w.now.Add(-time.Hour)
	w.publish()
	w.eventually("the silence", func() bool { return strings.Count(screen.String(), "lb2 ") == 2 })
	for i := range 3 { // which goes on
		w.statuses["lb2"].Reported = w.now.Add(-time.Hour - time.Duration(i)*time.Minute)
		w.publish()
		time.Sleep(2 * redrawInterval)
	}
	r := stop()
	if r.code != ExitInterrupted || r.errOut != "" {
		t.Errorf("exit status %d, stderr %q; want a quiet %d", r.code, r.errOut, ExitInterrupted)
	}
	for text, want := range map[string]int{"NAME ": 1, "lb1 ": 2, "lb2 ": 2, "lb3 ": 0} {
		if n := strings.Count(r.out, text); n != want {
			t.Errorf("%q is shown %d times, not %d:\n%s", text, n, want, r.out)
		}
	}
}

// A node that goes is told of, and may come back.
func TestNodesGone(t *testing.T) {
	var errOut bytes.Buffer
	w := &nodeWatcher{
		nodesOptions: &nodesOptions{
			program: &program{IOStreams: genericiooptions.IOStreams{ErrOut: &errOut}}, output: printer.NewTableFlags(),
		},
		shown: map[string]string{},
	}
	both := []v1alpha1.NodeStatus{{Name: "lb1"}, {Name: "lb2"}}
	for i, want := range []int{2, 0, 1} {
		nodes := both
		if i == 1 {
			nodes = both[:1]
		}
		if got := w.changes(nodes); len(got) != want {
			t.Errorf("picture %d: %v", i, got)
		}
	}
	if got := errOut.String(); got != "node/lb2: gone\n" {
		t.Errorf("told %q", got)
	}
	both[0].Current = true // which is in the wide table only
	if got := w.changes(both); len(got) != 0 {
		t.Errorf("shown again: %v", got)
	}
}

// One that goes while it is watched is shown once more, its neighbours are not, and it may come back.
func TestStatusWatchGone(t *testing.T) {
	w := newWorld(t, "watchgone")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.serve("coffee", "10.88.100.2", "lb1", 80)
	w.publish()
	screen, stop := w.watching(t, "status", "tea", "-w")
	w.eventually("the first picture", func() bool { return strings.Contains(screen.String(), "Healthy") })
	w.must(w.client.CoreV1().ConfigMaps(w.user).Delete(t.Context(), "tea", metav1.DeleteOptions{}))
	w.eventually("its end", func() bool { return strings.Contains(screen.String(), "Gone") })
	w.object("tea", map[string]string{"target-service-name": "tea", "bind-ip": "10.88.100.1", "status": "PENDING : wait"})
	w.eventually("its return", func() bool { return strings.Count(screen.String(), "tea ") == 3 })
	if r := stop(); strings.Contains(r.out, "coffee") || r.code != ExitInterrupted {
		t.Errorf("exit status %d:\n%s", r.code, r.out)
	}
}

// A name that does not exist is the same error as without --watch.
func TestStatusWatchNotFound(t *testing.T) {
	w := newWorld(t, "watchnone")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	want := w.lb(t, "status", "tee")
	if got := w.lb(t, "status", "tee", "-w"); got != want || got.code != ExitError {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Who may list but not watch sees changes, too, if later.
func TestStatusWatchByLists(t *testing.T) {
	w := newWorld(t, "watchlists")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}
	w.allow("lister", w.user, rule)
	screen, stop := w.watching(t, "status", "-w", "--as", "lister")
	w.eventually("the first picture", func() bool { return strings.Contains(screen.String(), "tea ") })
	w.must(w.client.CoreV1().ConfigMaps(w.user).Delete(t.Context(), "tea", metav1.DeleteOptions{}))
	w.eventually("its end", func() bool { return strings.Contains(screen.String(), "Gone") })
	stop()
}

// While the API server is away, nothing is said about the nodes, but that once.
func TestStatusWatchWithoutServer(t *testing.T) {
	var errOut bytes.Buffer
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	p := &program{IOStreams: genericiooptions.IOStreams{ErrOut: &errOut}, now: time.Now}
	w := &watcher{statusOptions: &statusOptions{program: p}, cluster: &cluster{Interface: client}}
	for range 2 {
		if _, ok := w.ask(t.Context()); ok {
			t.Error("an answer from nobody")
		}
	}
	if said := errOut.String(); strings.Count(said, "no longer up to date: The connection to the server") != 1 {
		t.Errorf("said %q", said)
	}
}

// A terminal is drawn anew, also when what was named is gone.
func TestRedrawGone(t *testing.T) {
	var out, errOut bytes.Buffer
	p := &program{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}}
	w := &watcher{
		statusOptions: &statusOptions{program: p, names: []string{"tea"}, output: printer.NewTableFlags()},
		redraw:        true, drawn: true, shown: map[lb.Key]v1alpha1.LoadBalancerStatus{},
	}
	if err := w.draw(t.Context(), &cluster{namespace: "shop"}, &v1alpha1.LoadBalancerStatusList{}); err != nil {
		t.Fatal(err)
	}
	if got := errOut.String(); got != "tea: gone\n" {
		t.Errorf("stderr %q, stdout %q", got, out.String())
	}
}
