package software

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// placed returns how many addresses each node is the home of, by what is stored.
func placed(t *testing.T, s *testStore) map[string]int {
	t.Helper()
	homes := map[int]string{}
	f := s.fleet(t)
	for _, g := range f.Groups {
		homes[g.ID] = g.Home
	}
	out := map[string]int{}
	for name := range s.running(t) {
		for _, e := range s.shard(t, name).LoadBalancers {
			out[homes[e.Group]] += len(e.VIPs)
		}
	}
	return out
}

func some(n int) []lb.LoadBalancer {
	var out []lb.LoadBalancer
	for i := range n {
		out = append(out, balancer(fmt.Sprintf("b%02d", i), fmt.Sprintf("10.9.0.%d", i+1)))
	}
	return out
}

func TestPlacing(t *testing.T) {
	drained := map[string]string{
		"node.lb2": `{"version":1,"drain":{"since":"2026-01-02T03:04:05Z"}}`,
		"node.lb3": `{"version":1}`,
	}
	for _, tc := range []struct {
		name   string
		nodes  []string
		orders map[string]string
		gone   string
		want   string
	}{
		{"evenly by node", []string{"lb1", "lb2", "lb3"}, nil, "", "map[lb1:4 lb2:4 lb3:4]"},
		{"not evenly divisible", []string{"lb1", "lb2", "lb3", "lb4", "lb5"}, nil, "",
			"map[lb1:3 lb2:3 lb3:2 lb4:2 lb5:2]"},
		{"not to a drained node", []string{"lb1", "lb2", "lb3"}, drained, "", "map[lb1:6 lb3:6]"},
		{"to a drained one if there is no other", []string{"lb2"}, drained, "", "map[lb2:12]"},
		{"not to one that leaves", []string{"lb1", "lb2", "lb3"}, nil, "lb1", "map[lb2:6 lb3:6]"},
		{"without nodes", nil, nil, "", "map[:12]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := newTestStore(tc.nodes...)
			b := New(store, Options{})
			apply(t, b)
			store.orders = tc.orders
			if tc.gone != "" {
				delete(store.nodes, tc.gone)
			}
			apply(t, b, some(12)...)
			if got := fmt.Sprint(placed(t, store)); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// TestUnreadableOrders: an order that nobody can read is none.
func TestUnreadableOrders(t *testing.T) {
	store := newTestStore("lb1", "lb2")
	store.orders = map[string]string{
		"node.lb1": "{", "node.lb2": `{"version":9,"drain":{}}`, nodeconfig.KeyRebalance: "nonsense", "strange": "x",
	}
	b := New(store, Options{})
	apply(t, b, some(4)...)
	if got := fmt.Sprint(placed(t, store)); got != "map[lb1:2 lb2:2]" {
		t.Error(got)
	}
	if got := store.fleet(t).Rebalanced; got != "" {
		t.Errorf("rebalanced %q", got)
	}
}

// TestAddressesStay: through everything that happens to the nodes, a load balancer stays in its group.
func TestAddressesStay(t *testing.T) {
	store := newTestStore("lb1", "lb2", "lb3")
	b := New(store, Options{Cluster: "c"})
	apply(t, b, some(9)...)
	groups := func() string {
		out := map[string]int{}
		for name := range store.running(t) {
			for _, e := range store.shard(t, name).LoadBalancers {
				out[e.Origin.Name] = e.Group
			}
		}
		return fmt.Sprint(out)
	}
	before := groups()
	for _, step := range []func(){
		func() { store.join("lb4") },
		func() { delete(store.nodes, "lb1") },
		func() { store.orders = map[string]string{"rebalance": `{"version":1,"id":"r1"}`} },
		func() { clear(store.nodes) },
		func() { store.join("lb7") },
	} {
		step()
		for range 3 {
			apply(t, b, some(9)...)
			store.catchUp(t, "lb1", "lb2", "lb3", "lb4", "lb7")
		}
		if got := groups(); got != before {
			t.Fatalf("groups were %s and are %s", before, got)
		}
	}
}

// TestBackToItsGroup: an address that is given back while a node may still hold it stays in its group, whatever would be
// the best group by now: in two groups it would have two owners.
func TestBackToItsGroup(t *testing.T) {
	store := newTestStore("lb1", "lb2", "lb3")
	b := New(store, Options{})
	group := func() int {
		for name := range store.running(t) {
			for _, e := range store.shard(t, name).LoadBalancers {
				if e.Origin.Name == "b05" {
					return e.Group
				}
			}
		}
		return -1
	}
	all := some(9)
	apply(t, b, all...)
	before := group()
	others := slices.Delete(slices.Clone(all), 5, 6)
	apply(t, b, others...)
	if group() != -1 {
		t.Fatal("b05 is still there")
	}
	others = append(others, balancer("x", "10.9.1.1"), balancer("y", "10.9.1.2"), balancer("z", "10.9.1.3"))
	apply(t, b, others...)
	apply(t, b, append(others, all[5])...)
	if after := group(); after != before {
		t.Errorf("b05 was in group %d and came back into %d", before, after)
	}
}

// TestSharingMovesNoAddress has two load balancers of both families begin to share the IPv4 address of the one and the
// IPv6 address of the other. One of the two has to change its group, and does when no node can hold it any more.
func TestSharingMovesNoAddress(t *testing.T) {
	store := newTestStore("lb1", "lb2")
	b := New(store, Options{})
	want := []lb.LoadBalancer{balancer("a", "10.9.0.1", "fd00::1"), balancer("b", "10.9.0.2", "fd00::2")}
	runs := map[string]nodeconfig.Shard{}
	groups := func() map[string]int {
		t.Helper()
		out, carried := map[string]int{}, map[netip.Addr]int{}
		for _, sh := range append(slices.Collect(maps.Values(runs)), store.shard(t, nodeconfig.ShardName(0))) {
			for _, e := range sh.LoadBalancers {
				for _, a := range e.VIPs {
					if g, ok := carried[a]; ok && g != e.Group {
						t.Fatalf("%s is in the groups %d and %d", a, g, e.Group)
					}
					carried[a] = e.Group
				}
				out[e.Origin.Name] = e.Group
			}
		}
		return out
	}
	catchUp := func(nodes ...string) {
		for _, n := range nodes {
			runs[n] = store.shard(t, nodeconfig.ShardName(0))
		}
		store.catchUp(t, nodes...)
	}
	apply(t, b, want...)
	catchUp("lb1", "lb2")
	before := groups()
	if before["a"] == before["b"] {
		t.Fatalf("nothing is shown: %v", before)
	}
	for i := range want {
		want[i].VIPs = []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd00::2")}
		want[i].Share = "default/s"
	}
	for _, nodes := range [][]string{nil, {"lb1"}, {"lb2"}, {"lb1", "lb2"}, nil} {
		apply(t, b, want...)
		if g := groups(); g["a"] != g["b"] {
			t.Errorf("they share, and are in the groups %v", g)
		}
		catchUp(nodes...)
	}
	for _, e := range store.shard(t, nodeconfig.ShardName(0)).LoadBalancers {
		if !slices.Equal(e.VIPs, want[0].VIPs) || e.Group != before["a"] {
			t.Errorf("%s has %v in group %d in the end", e.Origin.Key, e.VIPs, e.Group)
		}
	}
}
