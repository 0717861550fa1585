package feed

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func encode[D nodeconfig.Document](tb testing.TB, d D) string {
	tb.Helper()
	text, err := nodeconfig.Encode(d)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

type texts = map[string]string

func fleet(revision int64) nodeconfig.Fleet {
	return nodeconfig.Fleet{Version: nodeconfig.Version, Revision: revision}
}

// shardOf returns a shard with load balancers of those numbers; number n has the address 10.0.0.n.
func shardOf(revision int64, numbers ...int) nodeconfig.Shard {
	s := nodeconfig.Shard{Version: nodeconfig.Version, Revision: revision}
	for _, n := range numbers {
		var e nodeconfig.Entry
		e.Origin.Key = lb.Key{Namespace: "ns", Name: fmt.Sprint("lb", n)}
		e.VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})}
		s.LoadBalancers = append(s.LoadBalancers, e)
	}
	return s
}

// summary tells a configuration as "f1 s0@3:1,2": fleet revision, shards with revision and numbers.
func summary(c *nodeconfig.Config) string {
	if c == nil {
		return "nothing"
	}
	words := []string{fmt.Sprintf("f%d", c.Fleet.Revision)}
	for _, name := range slices.Sorted(maps.Keys(c.Shards)) {
		s := c.Shards[name]
		var numbers []string
		for _, e := range s.LoadBalancers {
			numbers = append(numbers, strings.TrimPrefix(e.Origin.Name, "lb"))
		}
		words = append(words, fmt.Sprintf("%s@%d:%s", name[len(name)-1:], s.Revision, strings.Join(numbers, ",")))
	}
	words = append(words, slices.Sorted(maps.Keys(c.Orders))...)
	return strings.Join(words, " ")
}

func TestAssemble(t *testing.T) {
	const s0, s1 = "lb-shard-000", "lb-shard-001"
	last := &nodeconfig.Config{
		Fleet:  fleet(1),
		Shards: map[string]nodeconfig.Shard{s0: shardOf(1, 1, 2), s1: shardOf(5, 3)},
	}
	withdrawn := shardOf(2, 1, 2)
	withdrawn.Withdrawn = []nodeconfig.Withdrawal{{Key: lb.Key{Namespace: "ns", Name: "lb3"}, Revision: 2}}
	tests := []struct {
		name     string
		last     *nodeconfig.Config
		docs     texts
		want     string
		findings []string
	}{
		{name: "nothing known, nothing there", want: "nothing"},
		{
			name: "the first documents",
			docs: texts{nodeconfig.FleetName: encode(t, fleet(1)), s0: encode(t, shardOf(1, 1))},
			want: "f1 0@1:1",
		},
		{name: "shards without a fleet", docs: texts{s0: encode(t, shardOf(1, 1))}, want: "nothing"},
		{
			name: "everything has vanished", last: last, want: "f1 0@1:1,2 1@5:3",
			findings: []string{"ConfigMap lb-fleet has vanished"},
		},
		{
			name: "the fleet has vanished, a shard has changed", last: last,
			docs: texts{s0: encode(t, shardOf(2))}, want: "f1 0@1:1,2 1@5:3",
			findings: []string{"ConfigMap lb-fleet has vanished"},
		},
		{
			name: "a broken fleet", last: last,
			docs:     texts{nodeconfig.FleetName: "{", s0: encode(t, shardOf(2, 1)), s1: encode(t, shardOf(6))},
			want:     "f1 0@2:1 1@6:",
			findings: []string{"ConfigMap lb-fleet cannot be read"},
		},
		{
			name: "a broken shard", last: last,
			docs:     texts{nodeconfig.FleetName: encode(t, fleet(2)), s0: `{"version":99}`, s1: encode(t, shardOf(6, 3))},
			want:     "f2 0@1:1,2 1@6:3",
			findings: []string{"ConfigMap lb-shard-000 cannot be read"},
		},
		{
			name:     "a broken shard that never was good",
			docs:     texts{nodeconfig.FleetName: encode(t, fleet(2)), s0: ""},
			want:     "f2",
			findings: []string{"ConfigMap lb-shard-000 cannot be read"},
		},
		{
			name: "load balancers withdrawn", last: last,
			docs: texts{
				nodeconfig.FleetName: encode(t, fleet(1)), s0: encode(t, shardOf(2)), s1: encode(t, shardOf(6)),
			},
			want: "f1 0@2: 1@6:",
		},
		{
			name: "a shard with a load balancer has vanished", last: last,
			docs:     texts{nodeconfig.FleetName: encode(t, fleet(1)), s0: encode(t, shardOf(1, 1, 2))},
			want:     "f1 0@1:1,2 1@5:3",
			findings: []string{"ConfigMap lb-shard-001 has vanished"},
		},
		{
			name: "its load balancer has moved to another shard", last: last,
			docs: texts{nodeconfig.FleetName: encode(t, fleet(1)), s0: encode(t, shardOf(2, 1, 2, 3))},
			want: "f1 0@2:1,2,3",
		},
		{
			name: "its load balancer has been withdrawn by another shard", last: last,
			docs: texts{nodeconfig.FleetName: encode(t, fleet(1)), s0: encode(t, withdrawn)},
			want: "f1 0@2:1,2",
		},
		{
			name: "an empty shard has vanished",
			last: &nodeconfig.Config{Fleet: fleet(1), Shards: map[string]nodeconfig.Shard{s0: shardOf(9)}},
			docs: texts{nodeconfig.FleetName: encode(t, fleet(1))},
			want: "f1",
		},
		{
			name:     "a stranger",
			docs:     texts{nodeconfig.FleetName: encode(t, fleet(1)), "kube-root-ca.crt": "x"},
			want:     "f1",
			findings: []string{"ConfigMap kube-root-ca.crt is none of this project's documents"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := Assembler{Last: tt.last}
			u := a.Assemble(Documents{Config: tt.docs})
			if diff := cmp.Diff(tt.want, summary(u.Config)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if len(u.Findings) != len(tt.findings) {
				t.Fatalf("findings %v, want %v", u.Findings, tt.findings)
			}
			for i, f := range u.Findings {
				if !strings.HasPrefix(f.Message, tt.findings[i]) || f.Code != lb.CodeNodeRefused {
					t.Errorf("finding %v, want %q", f, tt.findings[i])
				}
			}
			if got := summary(a.Last); got != summary(u.Config) {
				t.Errorf("it remembers %q, not %q", got, summary(u.Config))
			}
		})
	}
}

// TestAssembleRemembers follows a shard that is deleted by accident and comes back.
func TestAssembleRemembers(t *testing.T) {
	var a Assembler
	full := texts{nodeconfig.FleetName: encode(t, fleet(1)), "lb-shard-000": encode(t, shardOf(1, 1))}
	bare := texts{nodeconfig.FleetName: encode(t, fleet(1))}
	mended := texts{nodeconfig.FleetName: encode(t, fleet(1)), "lb-shard-000": encode(t, shardOf(2))}
	for i, step := range []struct {
		docs texts
		want string
	}{{full, "f1 0@1:1"}, {bare, "f1 0@1:1"}, {nil, "f1 0@1:1"}, {bare, "f1 0@1:1"}, {mended, "f1 0@2:"}, {bare, "f1"}} {
		if got := summary(a.Assemble(Documents{Config: step.docs}).Config); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}

// FuzzAssemble: whatever the documents hold, what ran is only given up for a fleet that can be read.
func FuzzAssemble(f *testing.F) {
	f.Add(encode(f, fleet(1)), encode(f, shardOf(1, 1)), "lb-shard-000")
	f.Add("", "{", "lb-shard-9")
	f.Add(`{"version":1,"nodes":null}`, `{"version":1,"loadBalancers":[{}]}`, "lb-fleet")
	f.Fuzz(func(t *testing.T, fleetText, shardText, name string) {
		last := &nodeconfig.Config{Fleet: fleet(7), Shards: map[string]nodeconfig.Shard{"lb-shard-000": shardOf(1, 1)}}
		a := Assembler{Last: last}
		u := a.Assemble(Documents{Config: texts{nodeconfig.FleetName: fleetText, name: shardText}})
		if u.Config == nil {
			t.Fatal("what was known is forgotten")
		}
		if _, err := nodeconfig.Decode[nodeconfig.Shard](shardText); err != nil && len(u.Config.Shards) == 0 {
			t.Errorf("the shard that ran is gone for %q", shardText)
		}
	})
}

// TestOrders follows the orders of two nodes: what is told to them is in force until something else is.
func TestOrders(t *testing.T) {
	drain := nodeconfig.Order{Version: nodeconfig.Version, Drain: &nodeconfig.Drain{By: "alice"}}
	drill := nodeconfig.Order{Version: nodeconfig.Version, Drill: &nodeconfig.Drill{ID: "1", Kind: nodeconfig.DrillNginx}}
	nameless := nodeconfig.Order{Version: nodeconfig.Version, Drill: &nodeconfig.Drill{
		ID: strings.Repeat("x", 65), Kind: nodeconfig.DrillNginx,
	}}
	both := texts{
		nodeconfig.OrderKey("lb1"): encode(t, drain), nodeconfig.OrderKey("lb2"): encode(t, drill),
		nodeconfig.KeyRebalance: "not the daemon's business",
	}
	var a Assembler
	docs := texts{nodeconfig.FleetName: encode(t, fleet(1))}
	for i, step := range []struct {
		config, orders texts
		// want names the nodes that are to be drained, then those that are to drill.
		want     string
		findings int
	}{
		{nil, both, "", 0}, // no configuration, nobody to obey
		{docs, nil, "", 0}, // never there
		{docs, texts{}, "", 0},
		{docs, both, "lb1 lb2!", 0},
		{docs, nil, "lb1 lb2!", 1},
		{nil, nil, "lb1 lb2!", 2},
		{docs, texts{nodeconfig.OrderKey("lb1"): "{"}, "lb1", 1},
		{docs, texts{nodeconfig.OrderKey("lb1"): `{"version":99}`, nodeconfig.OrderKey("lb9"): ""}, "lb1", 1},
		{docs, texts{nodeconfig.OrderKey("lb1"): encode(t, nameless)}, "lb1", 1},
		{nil, texts{}, "", 1}, // a fleet that has vanished does not keep anybody drained
		{docs, texts{nodeconfig.OrderKey("lb2"): encode(t, drain)}, "lb2", 0},
		{docs, texts{nodeconfig.OrderKey("lb2"): encode(t, nodeconfig.Order{Version: nodeconfig.Version})}, "", 0},
	} {
		u := a.Assemble(Documents{Config: step.config, Orders: step.orders})
		var words []string
		if u.Config != nil {
			for _, node := range slices.Sorted(maps.Keys(u.Config.Orders)) {
				if u.Config.Orders[node].Drain != nil {
					words = append(words, node)
				}
				if u.Config.Orders[node].Drill != nil {
					words = append(words, node+"!")
				}
			}
		}
		if got := strings.Join(words, " "); got != step.want || len(u.Findings) != step.findings {
			t.Errorf("step %d: %q, findings %v; want %q, %d findings", i, got, u.Findings, step.want, step.findings)
		}
	}
}

// FuzzOrders: an order that was read stays, unless its key is gone or says something else that can be read.
func FuzzOrders(f *testing.F) {
	f.Add("node.lb1", "{")
	f.Add("node.lb1", `{"version":1}`)
	f.Add("node.", `{"version":1,"drain":{}}`)
	f.Fuzz(func(t *testing.T, key, text string) {
		drained := map[string]nodeconfig.Order{"lb1": {Version: nodeconfig.Version, Drain: &nodeconfig.Drain{}}}
		a := Assembler{Last: &nodeconfig.Config{Fleet: fleet(1), Orders: drained}}
		u := a.Assemble(Documents{Orders: texts{key: text}})
		order, ok := u.Config.Orders["lb1"]
		_, err := nodeconfig.Decode[nodeconfig.Order](text)
		if mine := key == nodeconfig.OrderKey("lb1"); ok != mine || mine && err != nil && order.Drain == nil {
			t.Errorf("%q: %q makes %+v", key, text, u.Config.Orders)
		}
	})
}

// TestReadsWhatHasChanged: a shard whose text is the same is not read again, whatever happens to the others.
func TestReadsWhatHasChanged(t *testing.T) {
	zero, one := nodeconfig.ShardName(0), nodeconfig.ShardName(1)
	docs := Documents{Config: texts{
		nodeconfig.FleetName: encode(t, fleet(1)), zero: encode(t, shardOf(1, 1)), one: encode(t, shardOf(1, 2)),
	}}
	var a Assembler
	first := func(name string) *nodeconfig.Entry { return &a.Assemble(docs).Config.Shards[name].LoadBalancers[0] }
	kept, changed := first(zero), first(one)
	docs.Config[one] = encode(t, shardOf(2, 2, 3))
	if first(zero) != kept {
		t.Error("an unchanged shard is read again")
	}
	if first(one) == changed || len(a.Last.Shards[one].LoadBalancers) != 2 {
		t.Error("a changed shard is not read")
	}
	for _, damaged := range []string{"{", ""} {
		good := docs.Config[one]
		docs.Config[one] = damaged
		if got := a.Assemble(docs); len(got.Findings) != 1 || len(got.Config.Shards[one].LoadBalancers) != 2 {
			t.Errorf("%q: %s, %v", damaged, summary(got.Config), got.Findings)
		}
		docs.Config[one] = good
		if got := a.Assemble(docs); len(got.Findings) != 0 || summary(got.Config) != "f1 0@1:1 1@2:2,3" {
			t.Errorf("after %q: %s, %v", damaged, summary(got.Config), got.Findings)
		}
	}
}
