package drill

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// scene is three nodes with six groups, of which each is home to two, and a load balancer in each group. lb1 is home of
// 0 and 3, where lb2 and lb3 come second.
func scene(change func(*view.Documents)) view.Documents {
	d := view.Documents{HasFleet: true, Config: nodeconfig.Config{
		Fleet:  nodeconfig.Fleet{Revision: 4, Timing: nodeconfig.DefaultTiming()},
		Shards: map[string]nodeconfig.Shard{}, Orders: map[string]nodeconfig.Order{},
	}}
	shard := nodeconfig.Shard{Revision: 9}
	for n := range 3 {
		name := fmt.Sprintf("lb%d", n+1)
		d.Config.Fleet.Nodes = append(d.Config.Fleet.Nodes, nodeconfig.Node{
			Name: name, Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n+1))},
		})
		d.Statuses = append(d.Statuses, nodeconfig.Status{
			Node: name, Reported: t0().Add(-time.Second), Share: nodeconfig.Share{State: nodeconfig.ShareServing},
			Running: nodeconfig.Running{Generation: "abc", Fleet: 4, Shards: map[string]int64{"lb-shard-000": 9}},
			Wanted:  nodeconfig.Running{Generation: "abc"},
		})
	}
	for g := range 6 {
		group := nodeconfig.Group{ID: g, Home: d.Config.Fleet.Nodes[g%3].Name}
		for n := range 3 {
			p := []uint8{254, 236, 130}[(n-g+6)%3]
			if g >= 3 {
				p = []uint8{254, 130, 236}[(n-g+6)%3]
			}
			group.Priorities = append(group.Priorities, nodeconfig.Priority{Node: d.Config.Fleet.Nodes[n].Name, Priority: p})
		}
		d.Config.Fleet.Groups = append(d.Config.Fleet.Groups, group)
		a := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", g+1))
		shard.LoadBalancers = append(shard.LoadBalancers, nodeconfig.Entry{Group: g, LoadBalancer: lb.LoadBalancer{
			Origin: lb.Origin{Key: lb.Key{Namespace: "shop", Name: fmt.Sprintf("app%d", g)}}, VIPs: []netip.Addr{a},
			Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP}, {Port: 81, Protocol: lb.HTTP, Routes: []lb.Route{
				{Host: "*.example.com", Path: "/shop"}}}},
		}})
		s := &d.Statuses[g%3]
		s.Holding = append(s.Holding, a)
	}
	d.Config.Shards["lb-shard-000"] = shard
	if change != nil {
		change(&d)
	}
	return d
}

func vips(groups ...int) []netip.Addr {
	var out []netip.Addr
	for _, g := range groups {
		out = append(out, netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", g+1)))
	}
	return out
}

func wish() Wish {
	return Wish{Node: "lb1", Kind: nodeconfig.DrillCrash, MaxGap: 500 * ms, Duration: 20 * time.Second, Hold: time.Second,
		ProbeTimeout: 800 * ms, Count: 1}
}

// drilled is the scene while lb1 has a drill of ID "x" in some state, and its addresses are where holders say.
func drilled(state nodeconfig.DrillState, share nodeconfig.ShareState, lb1, lb2, lb3 []netip.Addr) view.Documents {
	return scene(func(d *view.Documents) {
		d.Statuses[0].Drill = &nodeconfig.DrillStatus{ID: "x", State: state, Message: "because", Started: at(30)}
		d.Statuses[0].Share.State = share
		d.Statuses[0].Holding = lb1
		d.Statuses[1].Holding = append(d.Statuses[1].Holding, lb2...)
		d.Statuses[2].Holding = append(d.Statuses[2].Holding, lb3...)
		for i := range d.Statuses {
			slices.SortFunc(d.Statuses[i].Holding, netip.Addr.Compare)
		}
	})
}

func plan(change func(*Wish)) v1alpha1.FailoverPlan {
	w := wish()
	if change != nil {
		change(&w)
	}
	p, _, err := Plan(w, scene(nil), t0())
	if err != nil {
		panic(err)
	}
	return p
}
