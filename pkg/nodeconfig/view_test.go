package nodeconfig_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range texts {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// entry is a load balancer "default/name" of a group.
func entry(name string, group int, vips ...string) nodeconfig.Entry {
	l := lb.LoadBalancer{Origin: lb.Origin{Key: lb.Key{Namespace: "default", Name: name}}, VIPs: addrs(vips...)}
	return nodeconfig.Entry{LoadBalancer: l, Group: group}
}

// priorities makes priorities of names and numbers in turn.
func priorities(pairs ...any) []nodeconfig.Priority {
	var ps []nodeconfig.Priority
	for i := 0; i < len(pairs); i += 2 {
		ps = append(ps, nodeconfig.Priority{Node: pairs[i].(string), Priority: uint8(pairs[i+1].(int))})
	}
	return ps
}

// shard makes a shard of entries.
func shard(entries ...nodeconfig.Entry) nodeconfig.Shard {
	return nodeconfig.Shard{LoadBalancers: entries}
}

// viewed is a configuration of three nodes, of which c has no IPv6 and d takes no part in group 1, and two groups, of
// which the second has no IPv6 anchor.
func viewed() nodeconfig.Config {
	return nodeconfig.Config{
		Fleet: nodeconfig.Fleet{
			Nodes: []nodeconfig.Node{
				{Name: "a", Addresses: addrs("10.0.0.1", "fd00::1")},
				{Name: "b", Addresses: addrs("10.0.0.2", "fd00::2")},
				{Name: "c", Addresses: addrs("10.0.0.3")},
				{Name: "d", Addresses: addrs("10.0.0.4", "fd00::4")},
			},
			Groups: []nodeconfig.Group{
				{
					ID: 0, VRID: 50, Home: "a", Anchors: addrs("169.254.1.1", "fe80::1"),
					Priorities: priorities("a", 200, "b", 150, "c", 100, "d", 50),
				},
				{
					ID: 1, VRID: 51, Home: "b", Anchors: addrs("169.254.1.2"),
					Priorities: priorities("a", 100, "b", 200, "c", 150),
				},
			},
			Timing: nodeconfig.DefaultTiming(),
		},
		Shards: map[string]nodeconfig.Shard{
			"lb-shard-001": shard(entry("a", 0, "10.0.0.101", "fd00::101"), entry("y", 1, "10.0.0.104")),
			"lb-shard-000": shard(entry("b", 0, "10.0.0.100"), entry("x", 1, "10.0.0.103")),
		},
	}
}

func TestFor(t *testing.T) {
	v, err := viewed().For("a")
	if err != nil {
		t.Fatal(err)
	}
	want := []nodeconfig.Instance{
		{
			Group: 0, Family: lb.IPv4, VRID: 50, Priority: 200, Source: addrs("10.0.0.1")[0],
			Peers: addrs("10.0.0.2", "10.0.0.3", "10.0.0.4"), Anchor: addrs("169.254.1.1")[0],
			VIPs: addrs("10.0.0.100", "10.0.0.101"),
		},
		{
			Group: 0, Family: lb.IPv6, VRID: 50, Priority: 200, Source: addrs("fd00::1")[0],
			Peers: addrs("fd00::2", "fd00::4"), Anchor: addrs("fe80::1")[0], VIPs: addrs("fd00::101"),
		},
		{
			Group: 1, Family: lb.IPv4, VRID: 51, Priority: 100, Source: addrs("10.0.0.1")[0],
			Peers: addrs("10.0.0.2", "10.0.0.3"), Anchor: addrs("169.254.1.2")[0], VIPs: addrs("10.0.0.103", "10.0.0.104"),
		},
	}
	if diff := cmp.Diff(want, v.Instances, sameAddr); diff != "" {
		t.Error(diff)
	}
	var keys []string
	for _, l := range v.LoadBalancers {
		keys = append(keys, l.Origin.Name)
	}
	if !slices.Equal(keys, []string{"a", "b", "x", "y"}) {
		t.Errorf("load balancers are %v", keys)
	}
	if v.Node.Name != "a" || v.Timing != nodeconfig.DefaultTiming() {
		t.Errorf("node %v, timing %v", v.Node, v.Timing)
	}
}

// TestForOthers wants every node to serve every load balancer, and only the instances that it takes part in.
func TestForOthers(t *testing.T) {
	for node, want := range map[string]string{
		"b": "0IPv4/150 0IPv6/150 1IPv4/200",
		"c": "0IPv4/100 1IPv4/150",
		"d": "0IPv4/50 0IPv6/50",
	} {
		v, err := viewed().For(node)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range v.Instances {
			got = append(got, string('0'+rune(i.Group))+string(i.Family)+"/"+itoa(i.Priority))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", node, got, want)
		}
		if len(v.LoadBalancers) != 4 {
			t.Errorf("%s serves %d load balancers, want 4", node, len(v.LoadBalancers))
		}
	}
}

func itoa(n uint8) string {
	return strings.TrimLeft(string([]byte{'0' + n/100, '0' + n/10%10, '0' + n%10}), "0")
}

// TestForPeersAgree wants each node of an instance to name exactly the others, and the same VRID, anchor and virtual
// IPs.
func TestForPeersAgree(t *testing.T) {
	c := viewed()
	type id struct {
		group  int
		family lb.Family
	}
	seen := make(map[id][]nodeconfig.Instance)
	for _, n := range c.Fleet.Nodes {
		v, err := c.For(n.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range v.Instances {
			seen[id{i.Group, i.Family}] = append(seen[id{i.Group, i.Family}], i)
		}
	}
	for k, all := range seen {
		for _, i := range all {
			members := append(slices.Clone(i.Peers), i.Source)
			if len(members) != len(all) {
				t.Errorf("%v: %s sees %d members of %d", k, i.Source, len(members), len(all))
			}
			for _, o := range all {
				same := i.VRID == o.VRID && i.Anchor == o.Anchor && slices.Equal(i.VIPs, o.VIPs)
				if !same || !slices.Contains(members, o.Source) {
					t.Errorf("%v: %v and %v do not agree", k, i, o)
				}
			}
		}
	}
}

// TestForConstant wants the same instances whatever virtual IPs there are.
func TestForConstant(t *testing.T) {
	with, without := viewed(), viewed()
	without.Shards = nil
	a, err := with.For("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := without.For("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Instances {
		a.Instances[i].VIPs = nil
	}
	if diff := cmp.Diff(a.Instances, b.Instances, sameAddr); diff != "" {
		t.Error(diff)
	}
}

func TestForStranger(t *testing.T) {
	if v, err := viewed().For("z"); err == nil || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("got %v, %v", v, err)
	}
}

// TestLoadBalancersOnce has a key in two shards, as it can be between two writes.
func TestLoadBalancersOnce(t *testing.T) {
	c := viewed()
	c.Shards["lb-shard-002"] = nodeconfig.Shard{LoadBalancers: []nodeconfig.Entry{entry("b", 1, "10.0.0.200")}}
	var got []string
	for _, e := range c.LoadBalancers() {
		got = append(got, e.Origin.Name+" "+e.VIPs[0].String())
	}
	want := []string{"a 10.0.0.101", "b 10.0.0.100", "x 10.0.0.103", "y 10.0.0.104"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
