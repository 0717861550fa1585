package controller

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// phases returns "lb1 lb2 lb3+": the nodes of the fleet, "+" for joining and "-" for leaving.
func (r *rig) phases() string {
	var out []string
	for _, n := range r.desired(r.t.Context()).Fleet.Nodes {
		out = append(out, n.Name+map[nodeconfig.Phase]string{
			nodeconfig.PhaseJoining: "+", nodeconfig.PhaseLeaving: "-",
		}[n.Phase])
	}
	return strings.Join(out, " ")
}

func (r *rig) waitPhases(want string) {
	r.t.Helper()
	r.eventually(func() string {
		if got := r.phases(); got != want {
			return fmt.Sprintf("the nodes are %q, not %q", got, want)
		}
		return ""
	})
}

// homes counts the groups at home on each node.
func (r *rig) homes() map[string]int {
	out := map[string]int{}
	for _, g := range r.desired(r.t.Context()).Fleet.Groups {
		out[g.Home]++
	}
	return out
}

// TestNodesComeAndGo: a node joins when the others have said that they know it, over a change of the controller too, and
// leaves when it has said that it is silent. The load balancer is served all the time.
func TestNodesComeAndGo(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	if got := r.phases(); got != "lb1 lb2 lb3" {
		t.Errorf("after the first start the nodes are %q", got)
	}
	r.frozen.Store(true)
	r.node(4)
	r.waitPhases("lb1 lb2 lb3 lb4+")
	r.stop()
	r.stop = r.start()
	if got := r.waitStatus(cm, "SUCCESS"); got.ResourceVersion != cm.ResourceVersion {
		t.Errorf("the status was written again: %v", got.Data)
	}
	r.waitPhases("lb1 lb2 lb3 lb4+")
	r.frozen.Store(false)
	r.waitPhases("lb1 lb2 lb3 lb4")
	if got := fmt.Sprint(r.homes()); got != "map[lb1:3 lb2:3 lb3:3 lb4:3]" {
		t.Errorf("homes: %s", got)
	}
	r.frozen.Store(true)
	r.must(r.client.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lb1"}}))
	r.waitPhases("lb1- lb2 lb3 lb4")
	r.frozen.Store(false)
	r.waitPhases("lb2 lb3 lb4")
	if got := fmt.Sprint(r.homes()); got != "map[lb2:4 lb3:4 lb4:4]" {
		t.Errorf("homes: %s", got)
	}
	r.waitStatus(cm, "SUCCESS")
}

// order writes a key of the ConfigMap of orders.
func (r *rig) order(key, text string) {
	r.t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.config.SystemNamespace, Name: nodeconfig.OrdersName,
		Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppOrders},
	}}
	if err := r.client.Get(r.t.Context(), client.ObjectKeyFromObject(cm), cm); err != nil {
		r.must(client.IgnoreNotFound(err))
		r.must(r.client.Create(r.t.Context(), cm))
	}
	cm.Data = map[string]string{key: text}
	r.must(r.client.Update(r.t.Context(), cm))
}

func (r *rig) rebalance(id string) {
	r.t.Helper()
	text, err := nodeconfig.Encode(nodeconfig.Rebalance{Version: nodeconfig.Version, ID: id, Requested: time.Now()})
	r.must(err)
	r.order(nodeconfig.KeyRebalance, text)
	r.eventually(func() string {
		if got := r.desired(r.t.Context()).Fleet.Rebalanced; got != id {
			return fmt.Sprintf("the fleet's last rebalancing is %q, not %q", got, id)
		}
		return ""
	})
}

// TestOrders: new load balancers avoid a drained node, and a rebalancing gives it its share back.
func TestOrders(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.99")
	text, err := nodeconfig.Encode(nodeconfig.Order{Version: nodeconfig.Version, Drain: &nodeconfig.Drain{By: "test"}})
	r.must(err)
	r.order(nodeconfig.OrderKey("lb2"), text)
	onNodes := func() string {
		c := r.desired(t.Context())
		out := map[string]int{}
		for _, e := range c.LoadBalancers() {
			for _, g := range c.Fleet.Groups {
				if g.ID == e.Group {
					out[g.Home]++
				}
			}
		}
		return fmt.Sprint(out)
	}
	for i := range 6 {
		r.waitStatus(r.coffee(fmt.Sprintf("coffee-%d", i)), "SUCCESS")
	}
	if got := onNodes(); got != "map[lb1:3 lb3:3]" {
		t.Errorf("with lb2 drained: %s", got)
	}
	r.order("node.lb2", `{"version":1}`)
	r.rebalance("r1")
	if got := onNodes(); got != "map[lb1:2 lb2:2 lb3:2]" {
		t.Errorf("rebalanced: %s", got)
	}
}

// TestDisputes: what the nodes see of an address's owners gets onto the object, as status and Event, and what concerns a
// node onto the Node.
func TestDisputes(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	r.frozen.Store(true)
	c := r.desired(t.Context())
	e := c.LoadBalancers()[0]
	report := func(node string, holds bool, conflicts ...nodeconfig.Conflict) {
		s := nodeconfig.Status{
			Version: nodeconfig.Version, Node: node, Hardware: "02:00:00:00:00:0" + strings.TrimPrefix(node, "lb"),
			Running: nodeconfig.Running{Fleet: c.Fleet.Revision, Shards: map[string]int64{"lb-shard-000": e.Revision}},
			Share:   nodeconfig.Share{State: nodeconfig.ShareServing}, Conflicts: conflicts,
		}
		if holds {
			s.Holding = e.VIPs
		}
		r.must(r.writeReport(t.Context(), s))
	}
	conflict := func(kind nodeconfig.ConflictKind, address netip.Addr, other string) nodeconfig.Conflict {
		return nodeconfig.Conflict{Kind: kind, Address: address, Group: e.Group, Family: lb.IPv4, Other: other}
	}
	report("lb3", false)
	report("lb1", true, conflict(nodeconfig.ConflictOwner, e.VIPs[0], "02:00:00:00:00:02"))
	report("lb2", true, conflict(nodeconfig.ConflictOwner, e.VIPs[0], "02:00:00:00:00:01"))
	r.waitStatus(cm, "PENDING : LB0404 10.88.0.1 is held by several nodes: lb1, lb2; they do not hear each other")
	r.waitEvent(cm, "Warning", "Warning", "LB0404")
	report("lb2", false)
	report("lb1", true)
	r.waitStatus(cm, "SUCCESS")
	report("lb1", true, conflict(nodeconfig.ConflictOwner, e.VIPs[0], "02:00:00:00:00:99"))
	r.waitStatus(cm, "ERROR : LB0406 10.88.0.1 is answered by 02:00:00:00:00:99")
	r.waitEvent(cm, "Warning", "Invalid", "LB0406")
	if got := r.desired(t.Context()).LoadBalancers(); len(got) != 1 {
		t.Errorf("it is served no longer: %v", got)
	}
	report("lb1", true, conflict(nodeconfig.ConflictVRID, netip.Addr{}, "10.0.0.99"))
	r.waitStatus(cm, "SUCCESS")
	node := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "lb1", UID: "lb1"}}
	r.waitEvent(node, "Warning", "ForeignVRID", "10.0.0.99, which is no load-balancer node, sends adverts")
	report("lb1", false)
	r.waitStatus(cm, "PENDING : LB0405 no node holds 10.88.0.1, although they could: lb1, lb2, lb3")
	// Until either had lasted, it may have been a move, of which nobody was told.
	for _, e := range r.eventsOf(cm) {
		if strings.Contains(e, "NotReady") && !strings.Contains(e, "LB040") {
			t.Errorf("told: %s", e)
		}
	}
}
