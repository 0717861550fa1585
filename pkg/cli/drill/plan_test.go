package drill

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func TestPlanWho(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Wish)
		targets string
	}{
		{"a node: a port of each address", nil, "192.0.2.1:80 192.0.2.4:80"},
		{"a load balancer: its ports", func(w *Wish) {
			w.Node, w.Key = "", lb.Key{Namespace: "shop", Name: "app3"}
		}, "192.0.2.4:80 192.0.2.4:81"},
		{"an address: its ports", func(w *Wish) { w.Node, w.Address = "", vips(0)[0] }, "192.0.2.1:80 192.0.2.1:81"},
		{"nothing is probed", func(w *Wish) { w.NoProbe = true }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan(c.change)
			var moves, targets []string
			for _, a := range p.Addresses {
				moves = append(moves, fmt.Sprintf("%s->%s", a.Address, a.Successor))
			}
			for _, a := range p.Targets {
				targets = append(targets, a.Address.String())
			}
			if got := strings.Join(moves, " "); got != "192.0.2.1->lb2 192.0.2.4->lb3" || p.Node != "lb1" {
				t.Errorf("on %s: %s", p.Node, got)
			}
			if got := strings.Join(targets, " "); got != c.targets {
				t.Errorf("probes %s, want %s", got, c.targets)
			}
		})
	}
}

func TestPlanHTTPTarget(t *testing.T) {
	p := plan(func(w *Wish) { w.Node, w.Address = "", vips(0)[0] })
	want := v1alpha1.FailoverTarget{Address: netip.AddrPortFrom(vips(0)[0], 81), Protocol: lb.HTTP,
		Host: "probe.example.com", Path: "/shop", Namespace: "shop", Name: "app0"}
	if diff := cmp.Diff(want, p.Targets[1], cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// Of many addresses some of every group are probed.
func TestPlanManyTargets(t *testing.T) {
	docs := scene(func(d *view.Documents) {
		shard := d.Config.Shards["lb-shard-000"]
		for i := range 100 {
			a := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			shard.LoadBalancers = append(shard.LoadBalancers, nodeconfig.Entry{Group: 3 * (i / 90), LoadBalancer: lb.LoadBalancer{
				Origin: lb.Origin{Key: lb.Key{Namespace: "many", Name: fmt.Sprint(i)}}, VIPs: []netip.Addr{a},
				Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP}},
			}})
			d.Statuses[0].Holding = append(d.Statuses[0].Holding, a)
		}
		d.Config.Shards["lb-shard-000"] = shard
	})
	p, _, err := Plan(wish(), docs, t0())
	if err != nil || len(p.Targets) != maxTargets || len(p.Addresses) != 102 {
		t.Fatalf("%v, %d targets of %d addresses", err, len(p.Targets), len(p.Addresses))
	}
	groups := map[int]int{}
	for _, target := range p.Targets {
		for _, a := range p.Addresses {
			if a.Address == target.Address.Addr() {
				groups[a.Group]++
			}
		}
	}
	if groups[0] != maxTargets/2 || groups[3] != maxTargets/2 {
		t.Errorf("targets by group: %v", groups)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "only 12 of 102 addresses are probed") {
		t.Errorf("warnings: %v", p.Warnings)
	}
}

func TestPlanRefuses(t *testing.T) {
	order := func(o nodeconfig.Order) func(*view.Documents) {
		return func(d *view.Documents) { d.Config.Orders["lb1"] = o }
	}
	elsewhere := func(requested time.Time) func(*view.Documents) {
		return func(d *view.Documents) {
			d.Config.Orders["lb3"] = nodeconfig.Order{Drill: &nodeconfig.Drill{
				Kind: nodeconfig.DrillNginx, Requested: requested, By: "joe",
			}}
		}
	}
	named := func(w *Wish) { w.Node, w.Address = "", vips(0)[0] }
	for _, c := range []struct {
		name   string
		wish   func(*Wish)
		docs   func(*view.Documents)
		err    string
		objecs string
	}{
		{"all is well", nil, nil, "", ""},
		{"unknown", func(w *Wish) { w.Node, w.Key = "", lb.Key{Namespace: "shop", Name: "x"} }, nil,
			"shop/x is not served by any node", ""},
		{"nobody has it", named, func(d *view.Documents) { d.Statuses[0].Holding = nil }, "no node reports 192.0.2.1", ""},
		{"who has it is silent", named, func(d *view.Documents) { d.Statuses[0].Reported = t0().Add(-time.Hour) },
			"no node reports 192.0.2.1 (silent: lb1)", ""},
		{"a gap that no probe can tell", func(w *Wish) { w.MaxGap = 29 * time.Millisecond }, nil,
			"--max-gap 29ms is finer than probes that are 10ms apart can tell; give 30ms or more", ""},
		{"a gap for the nodes' reports", func(w *Wish) { w.MaxGap, w.NoProbe = time.Millisecond, true }, nil, "", ""},
		{"two have it", named, func(d *view.Documents) { d.Statuses[1].Holding = vips(0, 1) },
			"192.0.2.1 is on lb1 and lb2 at once; find out why first ('status' shows it)", ""},
		{"idle node", nil, func(d *view.Documents) { d.Statuses[0].Holding = nil },
			"lb1 has no address, so there is nothing to fail over", ""},
		{"drained", nil, order(nodeconfig.Order{Drain: &nodeconfig.Drain{}}), "lb1 is drained", ""},
		{"unfit", nil, func(d *view.Documents) {
			d.Statuses[0].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "no nginx"}
		}, "lb1 is unfit: no nginx", ""},
		{"silent node", nil, func(d *view.Documents) { d.Statuses[0].Reported = t0().Add(-time.Minute) },
			"lb1 has been silent for 60s", ""},
		{"joining", nil, func(d *view.Documents) { d.Config.Fleet.Nodes[0].Phase = nodeconfig.PhaseJoining },
			"lb1 is joining", ""},
		{"another drill", nil, elsewhere(t0().Add(-time.Second)),
			`another drill is under way on lb3: nginx, ordered 1s ago by "joe"; try again when it is over, in 2m29s at the latest`,
			""},
		{"a drill that was left behind", nil, elsewhere(t0().Add(-time.Hour)), "", ""},
		{"a drill without an order", nil, func(d *view.Documents) {
			d.Statuses[1].Drill = &nodeconfig.DrillStatus{
				Kind: nodeconfig.DrillCrash, State: nodeconfig.DrillRunning, Started: t0().Add(-90 * time.Second)}
		}, "another drill is under way on lb2: crash, begun 90s ago; try again when it is over, in 30s at the latest", ""},
		{"a drill of a node that is not in the fleet", nil, func(d *view.Documents) {
			d.Config.Orders["gone"] = nodeconfig.Order{Drill: &nodeconfig.Drill{
				Kind: "meteor\x1b[2J", Requested: t0().Add(time.Minute), By: "joe\nerror: \u202e",
			}}
		}, `another drill is under way on gone: "meteor\x1b[2J", ordered 0s ago by "joe\nerror: \u202e"; ` +
			"try again when it is over, in 3m30s at the latest", ""},
		{"a drill that is over, and its order", nil, func(d *view.Documents) {
			elsewhere(t0().Add(-time.Second))(d)
			d.Statuses[2].Drill = &nodeconfig.DrillStatus{State: nodeconfig.DrillRestored}
		}, "", ""},
		{"no standby", nil, func(d *view.Documents) {
			d.Statuses[1].Share.State = nodeconfig.ShareDrained
			d.Statuses[2].Reported = t0().Add(-time.Hour)
		}, "", "nobody can take 192.0.2.1 over (lb2 is drained; lb3 has been silent for 60m)"},
		{"standby of another configuration", nil, func(d *view.Documents) { d.Statuses[1].Running.Shards = nil },
			"", "lb2 would take over, but does not run the same configuration as lb1"},
		{"standby in the midst of a change", nil, func(d *view.Documents) { d.Statuses[2].Wanted.Generation = "def" },
			"", "lb3 would take over, but does not run the same configuration as lb1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wish()
			if c.wish != nil {
				c.wish(&w)
			}
			_, objections, err := Plan(w, scene(c.docs), t0())
			if got := fmt.Sprint(err); c.err != "" && got != c.err || c.err == "" && err != nil {
				t.Errorf("error %q, want %q", got, c.err)
			}
			if got := strings.Join(objections, "; "); got != c.objecs {
				t.Errorf("objections %q, want %q", got, c.objecs)
			}
		})
	}
}

func TestPlanWarnings(t *testing.T) {
	w := wish()
	w.MaxGap = 100 * ms
	docs := scene(func(d *view.Documents) { d.Statuses[1].Share.State = nodeconfig.ShareDrained })
	p, _, err := Plan(w, docs, t0())
	if err != nil || len(p.Warnings) != 2 || !strings.Contains(p.Warnings[0], "more than --max-gap 100ms") ||
		!strings.Contains(p.Warnings[1], "lb3 alone") {
		t.Errorf("%v, %q", err, p.Warnings)
	}
	for _, a := range p.Addresses {
		if a.Successor != "lb3" {
			t.Errorf("%s is expected to go to %s", a.Address, a.Successor)
		}
	}
}

func TestExpected(t *testing.T) {
	slow := nodeconfig.Timing{AdvertInterval: nodeconfig.Duration(time.Second)}
	for kind, want := range map[nodeconfig.DrillKind]time.Duration{
		nodeconfig.DrillDrain: 0, nodeconfig.DrillCrash: 3500 * ms, nodeconfig.DrillIsolate: 3500 * ms,
		nodeconfig.DrillNginx: 550 * ms,
	} {
		if got := Expected(kind, slow); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}
