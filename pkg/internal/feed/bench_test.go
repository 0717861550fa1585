package feed

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// BenchmarkAssemble takes a new version of one of many shards, each of 200 load balancers.
func BenchmarkAssemble(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			docs := Documents{Config: texts{nodeconfig.FleetName: encode(b, fleet(1))}}
			var versions [2]string
			for i := range n / 200 {
				s := nodeconfig.Shard{Version: nodeconfig.Version, Revision: 1}
				for j := range 200 {
					s.LoadBalancers = append(s.LoadBalancers, realistic(i*200+j))
				}
				docs.Config[nodeconfig.ShardName(i)] = encode(b, s)
				s.Revision = 2
				versions = [2]string{docs.Config[nodeconfig.ShardName(i)], encode(b, s)}
			}
			last, turn := nodeconfig.ShardName(n/200-1), 0
			var a Assembler
			b.ReportAllocs()
			for b.Loop() {
				turn++
				docs.Config[last] = versions[turn%2]
				if got := a.Assemble(docs); len(got.Findings) > 0 || got.Config.Shards[last].Revision != int64(1+turn%2) {
					b.Fatalf("%+v", got.Findings)
				}
			}
		})
	}
}

// realistic returns an HTTP load balancer as the controller writes it.
func realistic(n int) nodeconfig.Entry {
	name := fmt.Sprintf("many-%05d", n)
	l := lb.LoadBalancer{
		Origin: lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: name}, UID: "uid-" + name},
		VIPs:   []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})},
	}
	l.Listeners = []lb.Listener{{Port: 80, Protocol: lb.HTTP, Routes: []lb.Route{{
		Host: fmt.Sprintf("host-%d.example.com", n), Target: lb.Target{
			Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: "tea"}, Port: 80},
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
		},
	}}}}
	return nodeconfig.Entry{LoadBalancer: l, Group: n % 12, Revision: 1}
}
