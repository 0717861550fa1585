package software

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// grown returns the load balancer with so many more routes.
func grown(l lb.LoadBalancer, routes int) lb.LoadBalancer {
	l = l.Clone()
	for i := range routes {
		r := l.Listeners[0].Routes[0]
		r.Host = fmt.Sprintf("host-%d.example.org", i)
		l.Listeners[0].Routes = append(l.Listeners[0].Routes, r)
	}
	return l
}

// outgrown returns a store whose only shard holds a, b and c, and the wanted state in which b has outgrown it.
func outgrown(t *testing.T) (*testStore, *Backend, []lb.LoadBalancer) {
	t.Helper()
	store := newTestStore("lb1")
	b := New(store, Options{})
	l := []lb.LoadBalancer{balancer("a", "10.9.0.1"), balancer("b", "10.9.0.2"), balancer("c", "10.9.0.3")}
	apply(t, b, l...)
	store.writes = nil
	b.target = len(store.config["lb-shard-000"].Text) + 300
	b.hard = b.target + 300
	l[2] = grown(l[2], 8)
	l[2].VIPs[0] = l[2].VIPs[0].Next() // It moves to another address in the same stroke.
	return store, b, l
}

// holders returns the shards that hold a load balancer.
func holders(t *testing.T, s *testStore, name string) []string {
	t.Helper()
	var out []string
	for shard := range s.running(t) {
		for _, e := range s.shard(t, shard).LoadBalancers {
			if e.Origin.Name == name {
				out = append(out, shard)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestMoveWritesTheDestinationFirst(t *testing.T) {
	store, b, want := outgrown(t)
	apply(t, b, want...)
	if got := strings.Join(store.writtenShards(), " "); got != "lb-shard-001 lb-shard-000" {
		t.Errorf("written: %s", got)
	}
	if got := holders(t, store, "c"); !slices.Equal(got, []string{"lb-shard-001"}) {
		t.Errorf("c is in %v", got)
	}
	if got := store.shard(t, "lb-shard-000").Withdrawn; len(got) != 1 || got[0].VIPs[0].String() != "10.9.0.3" {
		t.Errorf("withdrawn: %v", got)
	}
}

// TestMoveFailsHalfway lets either write of a move fail and has a new controller take over.
func TestMoveFailsHalfway(t *testing.T) {
	for _, broken := range []string{"lb-shard-000", "lb-shard-001"} {
		t.Run(broken, func(t *testing.T) {
			store, b, want := outgrown(t)
			store.refuse = func(name string) bool { return name == broken }
			if err := b.Apply(t.Context(), want); err == nil {
				t.Fatal("no error")
			}
			copies := holders(t, store, "c")
			if len(copies) == 0 {
				t.Fatal("c is in no shard")
			}
			store.refuse = nil
			next := New(store, Options{})
			next.target, next.hard = b.target, b.hard
			state, err := next.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(state.LoadBalancers) != 3 {
				t.Errorf("%d load balancers", len(state.LoadBalancers))
			}
			moved := len(copies) == 2
			if got := state.LoadBalancers[2].VIPs[0].String() == "10.9.0.4"; got != moved {
				t.Errorf("c has %s", state.LoadBalancers[2].VIPs[0])
			}
			// The node still runs the copy that was left behind, with the old address.
			if moved && (len(state.Withdrawn) != 1 || state.Withdrawn[0].Address.String() != "10.9.0.3") {
				t.Errorf("held: %v", state.Withdrawn)
			}
			apply(t, next, want...)
			if got := holders(t, store, "c"); !slices.Equal(got, []string{"lb-shard-001"}) {
				t.Errorf("after mending c is in %v", got)
			}
			state, err = next.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(state.Withdrawn) != 1 || state.Withdrawn[0].Address.String() != "10.9.0.3" {
				t.Errorf("after mending held: %v", state.Withdrawn)
			}
		})
	}
}

// TestTakesItsAddressBack removes a load balancer and creates it again before the nodes have let go of its address.
func TestTakesItsAddressBack(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	a, c := balancer("a", "10.9.0.1"), balancer("c", "10.9.0.3")
	apply(t, b, a, c)
	store.catchUp(t, "lb1")
	apply(t, b, c)
	state, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Withdrawn) != 1 || state.Withdrawn[0].Key != a.Origin.Key ||
		!slices.Equal(state.Withdrawn[0].Nodes, []string{"lb1"}) {
		t.Fatalf("held: %v", state.Withdrawn)
	}
	thief := balancer("b", "10.9.0.1")
	err = b.Apply(t.Context(), []lb.LoadBalancer{thief, c})
	if err == nil || !strings.Contains(err.Error(), "default/a") {
		t.Errorf("an address on hold was given away: %v", err)
	}
	if got := holders(t, store, "b"); len(got) > 0 {
		t.Errorf("b is in %v", got)
	}
	store.writes = nil
	apply(t, b, a, c)
	if got := store.writtenShards(); len(got) != 1 {
		t.Errorf("written: %v", got)
	}
	if sh := store.shard(t, "lb-shard-000"); len(sh.Withdrawn) > 0 || len(sh.LoadBalancers) != 2 {
		t.Errorf("shard: %+v", sh)
	}
}

// TestDeletedDocuments lets somebody delete everything: the addresses that nodes may hold must not look free because
// the new documents' revisions start below what the nodes report.
func TestDeletedDocuments(t *testing.T) { synctest.Test(t, deletedDocuments) }

func deletedDocuments(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{Cluster: "c"})
	a := balancer("a", "10.9.0.1")
	apply(t, b, a)
	store.catchUp(t, "lb1")
	before, old := store.fleet(t), store.shard(t, "lb-shard-000").Revision
	time.Sleep(time.Second)
	clear(store.config)
	apply(t, b, a)
	if got := store.shard(t, "lb-shard-000").Revision; got <= old {
		t.Errorf("revision %d is not above %d", got, old)
	}
	after := store.fleet(t)
	if fmt.Sprint(before.Groups) != fmt.Sprint(after.Groups) {
		t.Errorf("groups changed\nfrom %v\nto   %v", before.Groups, after.Groups)
	}
	apply(t, b)
	if state, err := b.State(t.Context()); err != nil || len(state.Withdrawn) != 1 {
		t.Errorf("held: %v %v", state.Withdrawn, err)
	}
}

// TestDamagedDocuments: an unreadable document is written anew by the controller that remembers it, and stops one that
// does not, rather than having its addresses given away.
func TestDamagedDocuments(t *testing.T) {
	for _, name := range []string{nodeconfig.FleetName, "lb-shard-000"} {
		t.Run(name, func(t *testing.T) {
			store := newTestStore("lb1")
			b := New(store, Options{Cluster: "c"})
			a := balancer("a", "10.9.0.1")
			apply(t, b, a)
			apply(t, b, a)
			store.put(store.config, name, `{"version":`)
			if _, err := New(store, Options{}).State(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("a controller that knows nothing: %v", err)
			}
			apply(t, b, a)
			if state, err := New(store, Options{}).State(t.Context()); err != nil || len(state.LoadBalancers) != 1 {
				t.Errorf("after mending: %v %v", state.LoadBalancers, err)
			}
		})
	}
}

// TestOneShardFails: a shard that cannot be written keeps no other from being written.
func TestOneShardFails(t *testing.T) {
	store := newTestStore("lb1")
	b := New(store, Options{})
	b.target = 900
	l := []lb.LoadBalancer{balancer("a", "10.9.0.1"), balancer("b", "10.9.0.2"), balancer("c", "10.9.0.3")}
	apply(t, b, l...)
	store.writes = nil
	for i := range l {
		l[i].Listeners[0].Port = 81
	}
	store.refuse = func(name string) bool { return name == "lb-shard-000" }
	if err := b.Apply(t.Context(), l); err == nil {
		t.Error("no error")
	}
	if got := store.writtenShards(); !slices.Equal(got, []string{"lb-shard-001"}) {
		t.Errorf("written: %v", got)
	}
}
