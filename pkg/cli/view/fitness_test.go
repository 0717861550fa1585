package view

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// fleet is three nodes and one group, at home on lb1, where lb2 comes second; lb1 has its address.
func fleet(change func(*Documents)) Documents {
	vip := netip.MustParseAddr("192.0.2.1")
	d := Documents{HasFleet: true, Config: nodeconfig.Config{
		Fleet: nodeconfig.Fleet{Groups: []nodeconfig.Group{{ID: 4, Home: "lb1", Priorities: []nodeconfig.Priority{
			{Node: "lb1", Priority: 254}, {Node: "lb2", Priority: 236}, {Node: "lb3", Priority: 130},
		}}}},
		Shards: map[string]nodeconfig.Shard{"lb-shard-000": {LoadBalancers: []nodeconfig.Entry{{
			Group: 4, LoadBalancer: lb.LoadBalancer{Origin: lb.Origin{Key: lb.Key{Namespace: "a", Name: "b"}},
				VIPs: []netip.Addr{vip}},
		}}}},
		Orders: map[string]nodeconfig.Order{},
	}}
	for i := range 3 {
		name := fmt.Sprintf("lb%d", i+1)
		d.Config.Fleet.Nodes = append(d.Config.Fleet.Nodes, nodeconfig.Node{Name: name,
			Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1))}})
		d.Statuses = append(d.Statuses, nodeconfig.Status{Node: name, Reported: now(),
			Running: nodeconfig.Running{Generation: "abc"}, Share: nodeconfig.Share{State: nodeconfig.ShareServing}})
	}
	d.Statuses[0].Holding = []netip.Addr{vip}
	if change != nil {
		change(&d)
	}
	return d
}

func TestFitness(t *testing.T) {
	share := func(state nodeconfig.ShareState, reason string) func(*Documents) {
		return func(d *Documents) { d.Statuses[1].Share = nodeconfig.Share{State: state, Reason: reason} }
	}
	for _, c := range []struct {
		name                           string
		change                         func(*Documents)
		problem, successor, lastResort string
	}{
		{"well", nil, "", "lb2", ""},
		{"waits for its hold time", share(nodeconfig.ShareHolding, ""), "", "lb2", ""},
		{"does not tell", share("", ""), "", "lb2", ""},
		{"draining", share(nodeconfig.ShareDraining, ""), "is drained", "lb3", "lb2"},
		{"drained, says why", share(nodeconfig.ShareDrained, "new disk"), "is drained: new disk", "lb3", "lb2"},
		{"unfit", share(nodeconfig.ShareUnfit, "no nginx"), "is unfit: no nginx", "lb3", ""},
		{"silent by intent", share(nodeconfig.ShareSilent, ""), "announces nothing", "lb3", ""},
		{"drained by order", func(d *Documents) {
			d.Config.Orders["lb2"] = nodeconfig.Order{Drain: &nodeconfig.Drain{}}
		}, "is drained", "lb3", "lb2"},
		{"to be drilled", func(d *Documents) {
			d.Config.Orders["lb2"] = nodeconfig.Order{Drill: &nodeconfig.Drill{ID: "x", Requested: now()}}
		}, "is in a drill", "lb3", ""},
		{"drilled, and the order left behind", func(d *Documents) {
			d.Config.Orders["lb2"] = nodeconfig.Order{Drill: &nodeconfig.Drill{ID: "x", Requested: now()}}
			d.Statuses[1].Drill = &nodeconfig.DrillStatus{ID: "x", State: nodeconfig.DrillRestored}
		}, "", "lb2", ""},
		{"an order from long ago", func(d *Documents) {
			d.Config.Orders["lb2"] = nodeconfig.Order{Drill: &nodeconfig.Drill{ID: "x", Requested: now().Add(-time.Hour)}}
		}, "", "lb2", ""},
		{"in a drill", func(d *Documents) {
			d.Statuses[1].Drill = &nodeconfig.DrillStatus{State: nodeconfig.DrillRunning}
		}, "is in a drill", "lb3", ""},
		{"after a drill", func(d *Documents) {
			d.Statuses[1].Drill = &nodeconfig.DrillStatus{State: nodeconfig.DrillRestored}
		}, "", "lb2", ""},
		{"stale", func(d *Documents) { d.Statuses[1].Reported = now().Add(-time.Hour) },
			"has been silent for 60m", "lb3", ""},
		{"never heard of", func(d *Documents) { d.Statuses = append(d.Statuses[:1], d.Statuses[2]) },
			"has never reported", "lb3", ""},
		{"runs nothing", func(d *Documents) { d.Statuses[1].Running.Generation = "" },
			"runs no configuration yet", "lb3", ""},
		{"joining", func(d *Documents) { d.Config.Fleet.Nodes[1].Phase = nodeconfig.PhaseJoining }, "is joining", "lb3", ""},
		{"leaving", func(d *Documents) { d.Config.Fleet.Nodes[1].Phase = nodeconfig.PhaseLeaving }, "is leaving", "lb3", ""},
		{"gone", func(d *Documents) { d.Config.Fleet.Nodes = d.Config.Fleet.Nodes[2:] },
			"is no load-balancer node", "lb3", ""},
		{"withheld here", func(d *Documents) {
			d.Statuses[1].Groups = []nodeconfig.GroupStatus{{ID: 4, Family: lb.IPv4, Withheld: true}}
		}, "", "lb3", ""},
		{"no address of the family", func(d *Documents) { d.Config.Fleet.Nodes[1].Addresses = nil }, "", "lb3", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fleet(c.change)
			if got := d.Problem("lb2", now()); got != c.problem {
				t.Errorf("problem %q, want %q", got, c.problem)
			}
			if got := d.Successor(4, lb.IPv4, now(), "lb1"); got != c.successor {
				t.Errorf("successor %q, want %q", got, c.successor)
			}
			if got := d.LastResort(4, lb.IPv4, now(), "lb1"); got != c.lastResort {
				t.Errorf("last resort %q, want %q", got, c.lastResort)
			}
			fit, problems := d.Standbys("lb1", now())
			if len(fit) == 0 || strings.Contains(fmt.Sprint(problems), "lb1") {
				t.Errorf("standbys %v, problems %v", fit, problems)
			}
		})
	}
	if got := fleet(nil).Successor(7, lb.IPv4, now()); got != "" {
		t.Errorf("a group that is not there goes to %q", got)
	}
}

func TestAstray(t *testing.T) {
	vip := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for _, c := range []struct {
		name, node string
		change     func(*Documents)
		want       string
	}{
		{"at home", "", nil, ""},
		{"elsewhere", "lb1", func(d *Documents) { d.Statuses[0].Holding, d.Statuses[1].Holding = nil, vip },
			"192.0.2.1 is on lb2, not yet on lb1"},
		{"nowhere", "", func(d *Documents) { d.Statuses[0].Holding = nil }, "192.0.2.1 is on no node, not yet on lb1"},
		{"twice", "", func(d *Documents) { d.Statuses[2].Holding = vip },
			"192.0.2.1 is on lb1 and lb3, not yet on lb1"},
		{"another node's", "lb2", func(d *Documents) { d.Statuses[0].Holding = nil }, ""},
		{"home can't", "", func(d *Documents) {
			d.Statuses[0].Holding, d.Statuses[1].Holding = nil, vip
			d.Statuses[0].Share.State = nodeconfig.ShareDrained
		}, ""},
	} {
		if got := fleet(c.change).Astray(c.node, now()); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// An order that can't be read is a problem of its own.
func TestDecodeOrders(t *testing.T) {
	d := DecodeDocuments([]corev1.ConfigMap{{
		ObjectMeta: metav1.ObjectMeta{Name: nodeconfig.OrdersName, Labels: map[string]string{
			nodeconfig.LabelApp: nodeconfig.AppOrders}},
		Data: map[string]string{
			"node.lb1": `{"version":1,"drain":{"since":"2026-11-23T08:00:00Z","by":"jane"}}`, "node.lb2": "{", "node.lb3": "",
			"rebalance": `{"version":1,"id":"r"}`, "other": "x",
		},
	}})
	if d.Config.Orders["lb1"].Drain.By != "jane" || len(d.Config.Orders) != 1 || d.Rebalance.ID != "r" ||
		len(d.Problems) != 1 || !strings.Contains(d.Problems[0], "node.lb2") {
		t.Errorf("%+v, %v, %v", d.Config.Orders, d.Rebalance, d.Problems)
	}
}

func TestConflictWords(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.1")
	d := fleet(func(d *Documents) {
		d.Statuses[1].Hardware = "02:00:00:00:00:02"
		d.Statuses[0].Conflicts = []nodeconfig.Conflict{
			{Kind: nodeconfig.ConflictOwner, Address: vip, Other: "02:00:00:00:00:02"},
			{Kind: nodeconfig.ConflictOwner, Address: netip.MustParseAddr("192.0.2.99"), Other: "x"},
			{Kind: nodeconfig.ConflictSkew, Group: 4, Family: lb.IPv4, Other: d.Config.Fleet.Nodes[1].Addresses[0].String()},
			{Kind: nodeconfig.ConflictVRID, Group: 4, Family: lb.IPv4, Other: "10.0.0.9"},
			{Kind: nodeconfig.ConflictVRID, Group: 4, Family: lb.IPv6}, {Kind: nodeconfig.ConflictVRID, Group: 5, Family: lb.IPv4},
		}
		d.Statuses[2].Conflicts, d.Statuses[2].Reported = d.Statuses[0].Conflicts, now().Add(-time.Hour)
	})
	f := newFleetView(&d, now())
	e, _ := f.entry(lb.Key{Namespace: "a", Name: "b"})
	var got []string
	for _, c := range f.conflicts(e) {
		got = append(got, ConflictWords(c))
	}
	want := []string{
		"lb2 answers for 192.0.2.1 too (seen by lb1)",
		"lb2 runs another configuration than lb1: its adverts contradict it",
		"10.0.0.9 sends adverts with the same virtual router ID (seen by lb1)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if got := ConflictWords(v1alpha1.Conflict{Kind: "New", Node: "lb1"}); got != "New (seen by lb1)" {
		t.Error(got)
	}
}

func TestNodes(t *testing.T) {
	d := fleet(func(d *Documents) {
		d.Statuses[2].Reported = now().Add(-time.Hour)
		d.Config.Orders["lb2"] = nodeconfig.Order{Drain: &nodeconfig.Drain{Reason: "disk"}}
	})
	got := Nodes(d, now()).Items
	if len(got) != 3 || got[0].Addresses != 1 || got[0].Home != 1 || got[0].Problem != "" || got[0].Stale ||
		got[1].Drain.Reason != "disk" || got[1].Problem != "is drained" || got[1].Addresses != 0 ||
		got[2].Share != "" || !got[2].Stale {
		t.Errorf("%+v", got)
	}
}
