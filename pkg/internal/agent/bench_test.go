package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// manyWanted returns the configuration of three nodes and many load balancers, 200 in a shard.
func manyWanted(n int) nodeconfig.Config {
	c := nodeconfig.Config{
		Fleet:  nodeconfig.Fleet{Version: nodeconfig.Version, Revision: 1, Timing: nodeconfig.DefaultTiming()},
		Shards: map[string]nodeconfig.Shard{},
	}
	for i := range 3 {
		c.Fleet.Nodes = append(c.Fleet.Nodes, nodeconfig.Node{
			Name: fmt.Sprintf("lb%d", i+1), Addresses: addrs(fmt.Sprintf("10.0.0.%d", i+1)),
		})
	}
	for i := range 12 {
		g := nodeconfig.Group{ID: i, VRID: uint8(51 + i), Home: "lb1", Anchors: addrs(fmt.Sprintf("169.254.1.%d", i+1))}
		for j, node := range c.Fleet.Nodes {
			g.Priorities = append(g.Priorities, nodeconfig.Priority{Node: node.Name, Priority: uint8(200 - j)})
		}
		c.Fleet.Groups = append(c.Fleet.Groups, g)
	}
	for i := range n {
		name := nodeconfig.ShardName(i / 200)
		s := c.Shards[name]
		s.Version, s.Revision = nodeconfig.Version, 1
		e := entry(fmt.Sprintf("many-%05d", i), 80, fmt.Sprintf("10.1.%d.%d", i>>8, i&255))
		e.Group, e.Revision = i%12, 1
		e.Listeners = []lb.Listener{{Port: 80, Protocol: lb.HTTP, Routes: []lb.Route{{
			Host: fmt.Sprintf("host-%d.example.com", i), Target: lb.Target{
				Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: "tea"}, Port: 80},
				Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
			},
		}}}}
		s.LoadBalancers = append(s.LoadBalancers, e)
		c.Shards[name] = s
	}
	return c
}

// withPort returns the configuration with another port for one load balancer.
func withPort(c nodeconfig.Config, port uint16) nodeconfig.Config {
	shards := map[string]nodeconfig.Shard{}
	for name, s := range c.Shards {
		shards[name] = s
	}
	name := nodeconfig.ShardName(0)
	s := shards[name]
	s.LoadBalancers = append([]nodeconfig.Entry(nil), s.LoadBalancers...)
	e := &s.LoadBalancers[100]
	e.LoadBalancer = e.Clone()
	e.Listeners[0].Routes[0].Target.Endpoints[0] = netip.AddrPortFrom(netip.MustParseAddr("10.96.0.1"), port)
	shards[name] = s
	c.Shards = shards
	return c
}

// BenchmarkPrepare measures what is done about a configuration in which one of many load balancers has changed, without
// nginx and keepalived themselves: it is rendered, and its generations are written.
func BenchmarkPrepare(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		dir := b.TempDir()
		log := slog.New(slog.DiscardHandler)
		keys, err := keyring.Open(filepath.Join(dir, "tls"), 0, log)
		if err != nil {
			b.Fatal(err)
		}
		o := Options{Node: "lb1", StateDir: dir, RunDir: "/run/kubectl-lb", Log: log, keys: keys}
		o.Software.KeepalivedVersion = keepalived.Oldest()
		p := preparation{options: o, nginx: o.newNginx(), keepalived: o.newKeepalived()}
		wanted := manyWanted(n)
		compiled := func(c nodeconfig.Config) *candidate {
			iso := &isolation{asked: c}
			iso.refuseUnread(o.Node)
			out, err := p.compile(iso, "eth0", nil)
			if err != nil || len(out.findings) > 0 {
				b.Fatal(err, out.findings)
			}
			return out
		}
		p.last = compiled(wanted)
		turn := uint16(0)
		b.Run(fmt.Sprintf("render/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				turn++
				compiled(withPort(wanted, 1+turn%1000))
			}
		})
		b.Run(fmt.Sprintf("listens/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p.last.listens() == nil {
					b.Fatal("nothing")
				}
			}
		})
		b.Run(fmt.Sprintf("write/%d", n), func(b *testing.B) {
			var cs [2]*candidate
			for i := range cs {
				cs[i] = compiled(withPort(wanted, uint16(2000+i)))
			}
			var switching time.Duration
			b.ReportAllocs()
			for b.Loop() {
				turn++
				c := cs[turn%2]
				if _, err := p.nginx.Store.Write(c.nginx.Generation, c.nginx.Files); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				start := time.Now()
				if err := p.nginx.Store.Switch(c.nginx.Generation); err != nil {
					b.Fatal(err)
				}
				if err := p.nginx.Store.SetRunning(c.nginx.Generation); err != nil {
					b.Fatal(err)
				}
				switching += time.Since(start)
				if err := os.RemoveAll(p.nginx.Store.Path(cs[(turn+1)%2].nginx.Generation)); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(switching.Nanoseconds())/float64(b.N), "switch-ns/op")
		})
	}
}
