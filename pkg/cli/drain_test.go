package cli

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// busy is a world with an address on each node.
func busy(t testing.TB, name string) *world {
	t.Helper()
	w := newWorld(t, name)
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.serve("milk", "10.88.100.2", "lb1", 80)
	w.shard.LoadBalancers[1].Group = 0
	w.serve("water", "10.88.100.3", "lb3", 80)
	w.shard.LoadBalancers[2].Group = 2
	w.publish()
	return w
}

func (w *world) runs(t *testing.T, name string, args ...string) {
	t.Helper()
	w.lb(t, args...).expect(t, name, args)
}

func TestDrainAndUndrain(t *testing.T) {
	w := busy(t, "drain")
	w.play(&puppets{})
	w.runs(t, "drain-dry-client", "drain", "lb2", "--dry-run")
	w.runs(t, "drain-dry-server", "drain", "lb2", "--dry-run=server")
	if _, err := w.client.CoreV1().ConfigMaps(w.system).Get(t.Context(), nodeconfig.OrdersName,
		metav1.GetOptions{}); err == nil {
		t.Error("a dry run has written orders")
	}
	w.runs(t, "drain", "drain", "node/lb2", "--reason", "new disk")
	order, err := nodeconfig.Decode[nodeconfig.Order](w.orders()["node.lb2"])
	if err != nil || order.Drain == nil || order.Drain.By != "admin" || order.Drain.Reason != "new disk" ||
		!order.Drain.Since.Equal(w.now) {
		t.Errorf("the order is %+v, %v", order.Drain, err)
	}
	w.runs(t, "drain-again", "drain", "lb2")
	w.runs(t, "drain-next", "drain", "lb1")
	w.runs(t, "drain-last", "drain", "lb3")
	w.runs(t, "undrain", "undrain", "lb2")
	if _, there := w.orders()["node.lb2"]; there {
		t.Error("an order that asks for nothing was left")
	}
	w.runs(t, "undrain-again", "undrain", "lb2")
}

func TestDrainUsage(t *testing.T) {
	w := busy(t, "drainusage")
	w.runs(t, "drain-no-node", "drain")
	w.runs(t, "drain-near", "drain", "lb22")
	w.runs(t, "drain-unknown", "drain", "control-plane-17")
	w.runs(t, "drain-dry-wrong", "drain", "lb1", "--dry-run=perhaps")
	w.runs(t, "rebalance-argument", "rebalance", "lb1")
}

// A wait that comes to nothing says what it still waits for, and that the order stands.
func TestDrainLate(t *testing.T) {
	w := busy(t, "drainlate")
	w.runs(t, "drain-late", "drain", "lb1", "--timeout", "300ms")
	w.statuses["lb2"].Reported = w.now.Add(-time.Hour)
	w.publish()
	w.runs(t, "drain-silent", "drain", "lb2", "--timeout", "300ms")
	w.runs(t, "undrain-late", "undrain", "lb1", "--timeout", "300ms")
}

// With nobody to take over, --force is needed, and nothing is waited for.
func TestDrainForce(t *testing.T) {
	w := busy(t, "drainforce")
	w.statuses["lb2"].Reported = w.now.Add(-time.Hour)
	w.statuses["lb3"].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
	w.publish()
	w.runs(t, "drain-nobody", "drain", "lb1")
	w.runs(t, "drain-forced", "drain", "lb1", "--force")
}

func TestRebalance(t *testing.T) {
	w := busy(t, "rebalance")
	p := w.play(&puppets{})
	w.runs(t, "rebalance-same", "rebalance")
	p.mu.Lock()
	p.homes = map[int]string{1: "lb3"}
	p.mu.Unlock()
	w.runs(t, "rebalance", "rebalance")
	w.runs(t, "rebalance-dry", "rebalance", "--dry-run=server")
	p.mu.Lock()
	p.deaf = true
	p.mu.Unlock()
	w.runs(t, "rebalance-late", "rebalance", "--timeout", "300ms")
}

// Orders of several people at once are all kept.
func TestOrdersAtOnce(t *testing.T) {
	w := newWorld(t, "atonce")
	c := &cluster{Interface: w.client, system: w.system}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			node := fmt.Sprintf("node%d", i%4)
			_, err := orderWriter{c: c, manager: "test"}.node(t.Context(), node, func(o *nodeconfig.Order) error {
				if i < 4 {
					o.Drain = &nodeconfig.Drain{Reason: "maintenance"}
				} else {
					o.Drill = &nodeconfig.Drill{ID: node}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", node, err)
			}
		})
	}
	all.Wait()
	for i := range 4 {
		node := fmt.Sprintf("node%d", i)
		order, err := nodeconfig.Decode[nodeconfig.Order](w.orders()[nodeconfig.OrderKey(node)])
		if err != nil || order.Drain == nil || order.Drill == nil || order.Drill.ID != node {
			t.Errorf("%s: %+v, %v", node, order, err)
		}
	}
}

// What can't be read is never overwritten.
func TestOrdersUnreadable(t *testing.T) {
	w := busy(t, "unreadable")
	w.document(nodeconfig.OrdersName, nodeconfig.AppOrders, "node.lb1", `{"version": 99}`)
	w.runs(t, "drain-unreadable", "drain", "lb1")
	if got := w.orders()["node.lb1"]; got != `{"version": 99}` {
		t.Errorf("overwritten with %s", got)
	}
	w.document(nodeconfig.OrdersName, "other", "node.lb1", "x")
	r := w.lb(t, "drain", "lb2")
	if r.code != ExitError || !strings.Contains(r.errOut, "lacks the label app=kubectl-lb-orders") {
		t.Errorf("exit status %d, stderr %q", r.code, r.errOut)
	}
}

// The leave that deploy/ gives to operators is enough, and without it the API server's word is shown.
func TestDrainLeave(t *testing.T) {
	w := busy(t, "drainleave")
	w.play(&puppets{})
	w.deploy()
	w.runs(t, "drain-forbidden", "drain", "lb1", "--as", "nobody")
	read := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
		Verbs: []string{"get", "list", "watch"}}
	w.allow("viewer", w.system, read)
	w.runs(t, "drain-viewer", "drain", "lb1", "--as", "viewer")
	w.allow("operator", w.system, read, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{nodeconfig.OrdersName},
		Verbs: []string{"update", "patch"},
	})
	w.runs(t, "drain-operator", "drain", "lb1", "--as", "operator")
}

func TestCompleteNode(t *testing.T) {
	w := newWorld(t, "completenode")
	for _, verb := range []string{"drain", "undrain"} {
		args := append(w.in([]string{"__complete", verb}), "--kubeconfig", w.kubeconfig, "")
		r := call{args: args, now: w.now}.run(t.Context())
		if !strings.Contains(r.out, "lb1\nlb2\nlb3\n") {
			t.Errorf("%s offers %q", verb, r.out)
		}
	}
}

func TestNodes(t *testing.T) {
	w := busy(t, "nodes")
	w.deploy()
	order, err := nodeconfig.Encode(nodeconfig.Order{Version: nodeconfig.Version, Drain: &nodeconfig.Drain{
		Since: w.now, By: "jane", Reason: "new \x1b[31mdisk"}})
	w.must(err)
	w.document(nodeconfig.OrdersName, nodeconfig.AppOrders, "node.lb1", order)
	w.statuses["lb1"].Share.State = nodeconfig.ShareDrained
	w.statuses["lb2"].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
	w.statuses["lb2"].Conflicts = []nodeconfig.Conflict{{Kind: nodeconfig.ConflictSkew, Group: 1}}
	w.statuses["lb3"].Reported = w.now.Add(-time.Hour)
	w.publish()
	w.runs(t, "nodes", "nodes")
	w.runs(t, "nodes-wide", "nodes", "-o", "wide")
	w.runs(t, "nodes-yaml", "nodes", "lb1", "-o", "yaml")
	w.runs(t, "nodes-name", "nodes", "-o", "name")
	w.runs(t, "nodes-near", "nodes", "lb9")
}
