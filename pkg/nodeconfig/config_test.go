package nodeconfig_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func TestLoadBalancers(t *testing.T) {
	type shards = map[string]nodeconfig.Shard
	of := func(revision int64, entries ...nodeconfig.Entry) nodeconfig.Shard {
		return nodeconfig.Shard{Revision: revision, LoadBalancers: entries}
	}
	for _, tc := range []struct {
		name   string
		shards shards
		want   string
	}{
		{"none", nil, ""},
		{"merged and sorted", shards{"s1": of(1, entry("b", 0), entry("d", 0)), "s0": of(2, entry("a", 0), entry("c", 1))},
			"a:0 b:0 c:1 d:0"},
		{"the newer shard has it", shards{"s0": of(5, entry("a", 0)), "s1": of(6, entry("a", 1))}, "a:1"},
		{"whatever their names", shards{"s0": of(6, entry("a", 0)), "s1": of(5, entry("a", 1))}, "a:0"},
		{"else the smaller name", shards{"s1": of(5, entry("a", 1)), "s0": of(5, entry("a", 0)), "s2": of(5, entry("a",
			2))}, "a:0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 10 {
				var got []string
				for _, e := range (nodeconfig.Config{Shards: tc.shards}).LoadBalancers() {
					got = append(got, fmt.Sprintf("%s:%d", e.Origin.Name, e.Group))
				}
				if strings.Join(got, " ") != tc.want {
					t.Fatalf("got %v, want %s", got, tc.want)
				}
			}
		})
	}
}

func TestNodeAddress(t *testing.T) {
	n := nodeconfig.Node{Addresses: addrs("10.0.0.1")}
	if a, ok := n.Address(lb.IPv4); !ok || a.String() != "10.0.0.1" {
		t.Errorf("IPv4: %v, %v", a, ok)
	}
	if a, ok := n.Address(lb.IPv6); ok || a.IsValid() {
		t.Errorf("IPv6: %v, %v", a, ok)
	}
}

func TestStale(t *testing.T) {
	s := nodeconfig.Status{Reported: then}
	for age, want := range map[time.Duration]bool{
		-time.Hour: false, 0: false, nodeconfig.StaleAfter: false, nodeconfig.StaleAfter + 1: true,
	} {
		if got := s.Stale(then.Add(age)); got != want {
			t.Errorf("after %s: %v", age, got)
		}
	}
	if nodeconfig.StaleAfter < 2*nodeconfig.HeartbeatInterval {
		t.Error("one lost heartbeat makes a node stale")
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		nodeconfig.ShardName(0): "lb-shard-000", nodeconfig.ShardName(41): "lb-shard-041",
		nodeconfig.ShardName(1000): "lb-shard-1000", nodeconfig.StatusName("lb1"): "lb-node-lb1",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
