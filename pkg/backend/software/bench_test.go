package software

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// manyServed returns a backend with that many load balancers, which three nodes run and hold; they share one address by
// their hosts, or have one each.
func manyServed(b *testing.B, n int, sharing bool) (*testStore, *Backend, []lb.LoadBalancer) {
	b.Helper()
	store := newTestStore("lb1", "lb2", "lb3")
	sw := New(store, Options{Cluster: "c"})
	want := make([]lb.LoadBalancer, n)
	for i := range want {
		l := balancer(fmt.Sprintf("lb%05d", i))
		l.VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})}
		l.Listeners[0].Protocol = lb.HTTP
		l.Listeners[0].Routes[0].Host = fmt.Sprintf("host-%d.example.com", i)
		if sharing {
			l.Share, l.VIPs[0] = "default/edge", netip.MustParseAddr("10.1.0.1")
		}
		want[i] = l
	}
	if err := sw.Apply(b.Context(), want); err != nil {
		b.Fatal(err)
	}
	holding := map[int][]netip.Addr{}
	for name := range store.config {
		if strings.HasPrefix(name, nodeconfig.ShardPrefix) {
			for _, e := range store.shard(b, name).LoadBalancers {
				holding[e.Group%3] = append(holding[e.Group%3], e.VIPs...)
			}
		}
	}
	for i := range 3 {
		slices.SortFunc(holding[i], netip.Addr.Compare)
		store.report(b, nodeconfig.Status{
			Node: fmt.Sprintf("lb%d", i+1), Holding: slices.Compact(holding[i]),
			Running: nodeconfig.Running{Fleet: store.fleet(b).Revision, Shards: store.running(b)},
		})
	}
	state, err := sw.State(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for key, h := range state.Health {
		if !h.Ready {
			b.Fatalf("%s: %s", key, h.Reason)
		}
	}
	return store, sw, want
}

// BenchmarkState asks how many load balancers fare, and BenchmarkApply writes a change of one of them; every pass of
// the controller does the one twice and the other once.
func BenchmarkState(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		for _, sharing := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/sharing=%v", n, sharing), func(b *testing.B) {
				_, sw, _ := manyServed(b, n, sharing)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := sw.State(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		for _, sharing := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/sharing=%v", n, sharing), func(b *testing.B) {
				store, sw, want := manyServed(b, n, sharing)
				changes := 0
				b.ReportAllocs()
				for b.Loop() {
					changes++
					want[n/2].Listeners[0].Routes[0].Target.Service.Port = uint16(1 + changes%60000)
					store.writes = nil
					if err := sw.Apply(b.Context(), want); err != nil {
						b.Fatal(err)
					}
					if len(store.writes) != 1 {
						b.Fatalf("one change wrote %v", store.writes)
					}
				}
			})
		}
	}
}
