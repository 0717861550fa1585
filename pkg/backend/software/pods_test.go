package software

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// byPods lets a load balancer go by endpoints, of which it has so many.
func byPods(l lb.LoadBalancer, pods int) lb.LoadBalancer {
	l = l.Clone()
	s := &l.Listeners[0]
	s.Options.Upstream.Endpoints = true
	s.Routes[0].Target.Endpoints = nil
	for i := range pods {
		a := netip.AddrFrom4([4]byte{10, 244, byte(i / 256), byte(i)})
		s.Routes[0].Target.Endpoints = append(s.Routes[0].Target.Endpoints, netip.AddrPortFrom(a, 80))
	}
	return l
}

// find returns the stored entry of a load balancer, and the name of its shard.
func find(t *testing.T, s *testStore, name string) (nodeconfig.Entry, string) {
	t.Helper()
	for shard := range s.running(t) {
		for _, e := range s.shard(t, shard).LoadBalancers {
			if e.Origin.Name == name {
				return e, shard
			}
		}
	}
	t.Fatalf("%s is stored nowhere", name)
	return nodeconfig.Entry{}, ""
}

// Pods that come and go are written to the one shard that their load balancer is in, and leave it as ready as it was.
func TestPodsComeAndGo(t *testing.T) {
	store := newTestStore("lb1", "lb2")
	b := New(store, Options{})
	b.target = 2 << 10
	apply(t, b)
	want := some(12)
	want[3] = byPods(want[3], 2)
	apply(t, b, want...)
	store.catchUp(t, "lb1", "lb2")
	before, home := find(t, store, "b03")
	if shards := store.running(t); len(shards) < 3 {
		t.Fatalf("only %d shards", len(shards))
	}
	for _, pods := range []int{3, 0, 1, 20} {
		was := store.running(t)
		want[3] = byPods(want[3], pods)
		apply(t, b, want...)
		after, now := find(t, store, "b03")
		if len(after.Listeners[0].Routes[0].Target.Endpoints) != pods || now != home {
			t.Errorf("%d pods: %v in %s", pods, after.Listeners[0].Routes[0].Target.Endpoints, now)
		}
		if after.Revision != before.Revision {
			t.Errorf("%d pods: the entry's revision is %d, not %d", pods, after.Revision, before.Revision)
		}
		var changed []string
		for name, revision := range store.running(t) {
			if was[name] != revision {
				changed = append(changed, name)
			}
		}
		if fmt.Sprint(changed) != "["+home+"]" {
			t.Errorf("%d pods: %v were written", pods, changed)
		}
		state, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h := state.Health[after.Origin.Key]; h.Reason != "" && slices.Contains([]string{"0 of 2 nodes run it"}, h.Reason) {
			t.Errorf("%d pods: %s", pods, h.Reason)
		}
	}
	was := store.running(t)
	apply(t, b, want...)
	if now := store.running(t); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Errorf("nothing changed, but %v became %v", was, now)
	}
	// What the user asks for is news for the nodes.
	want[3].Listeners[0].Options.Upstream.Method = lb.LeastConnections
	apply(t, b, want...)
	if after, _ := find(t, store, "b03"); after.Revision <= before.Revision {
		t.Errorf("another method left revision %d", after.Revision)
	}
}
