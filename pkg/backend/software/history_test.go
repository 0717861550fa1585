package software

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// world is a controller, its users and its nodes, driven at random. The nodes get each shard on its own and late, as
// real ones do; what they really run, not what they report, is what the laws are checked against.
type world struct {
	// sharing says that some load balancers have their address in common.
	sharing bool
	t       *testing.T
	rng     *rand.Rand
	store   *testStore
	b       *Backend
	pool    ipam.Pool
	wishes  map[lb.Key]lb.Wish
	runs    map[string]map[string]nodeconfig.Shard // by node and shard
	served  map[lb.Key]bool
}

const (
	smallTarget = 1500
	smallHard   = 2200
	// slack is for withdrawals, which go with a removal and never make a load balancer move.
	slack = 1000
)

func newWorld(t *testing.T, seed uint64) *world {
	pool, err := ipam.ParsePool("p", []string{"10.9.0.1-10.9.0.40"}, ipam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, seed)), store: newTestStore("lb1", "lb2"), pool: pool,
		wishes: map[lb.Key]lb.Wish{}, runs: map[string]map[string]nodeconfig.Shard{},
		served: map[lb.Key]bool{},
	}
	w.restart()
	return w
}

func (w *world) restart() {
	w.b = New(w.store, Options{Cluster: "c"})
	w.b.target, w.b.hard = smallTarget, smallHard
}

// pass is what the controller does.
func (w *world) pass() error {
	state, err := w.b.State(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	out := plan.Make(plan.Input{
		Wishes: slices.Collect(maps.Values(w.wishes)), Current: state.LoadBalancers, Withdrawn: state.Withdrawn,
		Pools: []ipam.Pool{w.pool}, Capabilities: w.b.Capabilities(),
	})
	return w.b.Apply(context.Background(), out.LoadBalancers)
}

// settle passes until nothing more is written.
func (w *world) settle() {
	for range 20 {
		if err := w.pass(); err != nil {
			w.t.Fatal(err)
		}
		if len(w.store.writes) == 0 {
			return
		}
		w.store.writes = nil
	}
	w.t.Fatal("passes with nothing to do go on writing")
}

func (w *world) step() string {
	switch n := w.rng.IntN(20); {
	case n < 5:
		return w.change("add")
	case n < 8:
		return w.change("remove")
	case n < 11:
		return w.change("alter")
	case n < 16:
		return w.deliver()
	case n == 16:
		w.restart()
		return "restart"
	case n == 17:
		return w.stutter()
	default:
		return w.nodes()
	}
}

// change changes one wish, from a settled state, and checks that this rewrites at most one shard, or more where the
// load balancer has outgrown its own.
func (w *world) change(what string) string {
	w.settle()
	key, grows := w.alter(what)
	if err := w.pass(); err != nil {
		w.t.Fatalf("%s %s: %v", what, key, err)
	}
	if n := len(w.store.writtenShards()); n > 1 && !grows {
		w.t.Fatalf("%s %s wrote %d shards", what, key, n)
	}
	return what + " " + key.String()
}

// alter changes one wish and reports whether it may have grown.
func (w *world) alter(what string) (key lb.Key, grows bool) {
	key = lb.Key{Namespace: "default", Name: fmt.Sprintf("lb%02d", w.rng.IntN(45))}
	wish, there := w.wishes[key]
	switch {
	case what == "add" && !there:
		wish = lb.Wish{LoadBalancer: balancer(key.Name)}
		w.share(&wish)
		if w.rng.IntN(4) == 0 {
			wish.Address.Requested = []netip.Addr{w.address()}
		}
	case what == "remove":
		delete(w.wishes, key)
		delete(w.served, key)
		return key, false
	case what == "alter" && there:
		l := wish.LoadBalancer.Clone()
		switch w.rng.IntN(3) {
		case 0:
			l.Listeners[0].Port = uint16(1 + w.rng.IntN(60000))
		case 1:
			l.Origin.UID = fmt.Sprint(w.rng.Uint32())
			l.Listeners[0].Protocol = lb.HTTP
			l.Listeners[0].Routes = l.Listeners[0].Routes[:1]
			for range w.rng.IntN(8) {
				r := l.Listeners[0].Routes[0]
				r.Host = fmt.Sprintf("h%d.example", w.rng.Uint32())
				l.Listeners[0].Routes = append(l.Listeners[0].Routes, r)
			}
		case 2:
			wish.Address.Requested = []netip.Addr{w.address()}
		}
		wish.LoadBalancer = l
		w.share(&wish)
	default:
		return key, false
	}
	w.wishes[key] = wish
	return key, what == "alter"
}

// share makes a wish share with others, or not, in worlds where that is done.
func (w *world) share(wish *lb.Wish) {
	if !w.sharing {
		return
	}
	wish.LoadBalancer.Listeners = slices.Clone(wish.LoadBalancer.Listeners)
	wish.LoadBalancer.Listeners[0].Port = uint16(1 + w.rng.IntN(60000))
	wish.LoadBalancer.Share = []string{"", "", "default/a", "default/b", "default/c"}[w.rng.IntN(5)]
}

func (w *world) address() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 9, 0, byte(1 + w.rng.IntN(42))})
}

// deliver brings some shards to some nodes, which run and report them.
func (w *world) deliver() string {
	for node := range w.store.nodes {
		for name := range w.store.running(w.t) {
			if w.rng.IntN(3) > 0 {
				if w.runs[node] == nil {
					w.runs[node] = map[string]nodeconfig.Shard{}
				}
				w.runs[node][name] = w.store.shard(w.t, name)
			}
		}
		if w.rng.IntN(4) == 0 {
			continue // It runs, but has not said so yet.
		}
		revisions := map[string]int64{}
		for name, sh := range w.runs[node] {
			revisions[name] = sh.Revision
		}
		running := nodeconfig.Running{Shards: revisions}
		if w.store.config[nodeconfig.FleetName].Text != "" {
			running.Fleet = w.store.fleet(w.t).Revision
		}
		w.store.report(w.t, nodeconfig.Status{Node: node, Running: running})
	}
	return "deliver"
}

// stutter lets some writes of a pass fail, as when the controller is killed in the middle.
func (w *world) stutter() string {
	for range 1 + w.rng.IntN(6) {
		w.alter([]string{"add", "remove", "alter"}[w.rng.IntN(3)])
	}
	w.store.refuse = func(string) bool { return w.rng.IntN(2) == 0 }
	_ = w.pass() // It fails or not; the laws hold either way.
	w.store.refuse = nil
	w.restart()
	return "stutter"
}

func (w *world) nodes() string {
	name := fmt.Sprintf("lb%d", 1+w.rng.IntN(5))
	if _, ok := w.store.nodes[name]; ok {
		delete(w.store.nodes, name)
		delete(w.store.status, nodeconfig.StatusName(name))
		delete(w.runs, name)
		return "lose " + name
	}
	w.store.join(name)
	return "join " + name
}

// check checks the laws.
func (w *world) check(after string) {
	owner := map[netip.Addr]nodeconfig.Entry{}
	claim := func(who string, e nodeconfig.Entry) {
		for _, a := range e.VIPs {
			o, ok := owner[a]
			if ok && o.Origin.Key != e.Origin.Key && !w.sharing {
				w.t.Fatalf("after %s: %s: %s belongs to %s and %s", after, who, a, o.Origin.Key, e.Origin.Key)
			}
			if ok && o.Origin.Key != e.Origin.Key && o.Group != e.Group {
				w.t.Fatalf("after %s: %s: %s is in group %d of %s and group %d of %s", after, who, a, o.Group, o.Origin.Key,
					e.Group, e.Origin.Key)
			}
			owner[a] = e
		}
	}
	stored := nodeconfig.Config{Shards: map[string]nodeconfig.Shard{}}
	for name := range w.store.running(w.t) {
		stored.Shards[name] = w.store.shard(w.t, name)
		if size := len(w.store.config[name].Text); size > smallHard+slack && len(stored.Shards[name].LoadBalancers) > 1 {
			w.t.Fatalf("after %s: %s has %d bytes", after, name, size)
		}
	}
	there := map[lb.Key]bool{}
	for _, e := range stored.LoadBalancers() {
		claim("stored", e)
		there[e.Origin.Key] = true
	}
	for key := range w.served {
		if !there[key] {
			w.t.Fatalf("after %s: %s has vanished", after, key)
		}
	}
	for key := range there {
		if _, ok := w.wishes[key]; ok {
			w.served[key] = true
		}
	}
	for node, shards := range w.runs {
		for _, e := range (nodeconfig.Config{Shards: shards}).LoadBalancers() {
			claim(node, e)
		}
	}
}

// TestHistories runs random histories of users, nodes, failures and restarts.
func TestHistories(t *testing.T) {
	steps := 150
	if testing.Short() {
		steps = 100
	}
	for seed := range uint64(32) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				w.sharing = seed%2 == 1
				for range steps {
					did := w.step()
					w.check(did)
					time.Sleep(time.Duration(w.rng.IntN(1000)) * time.Millisecond)
				}
				w.converge()
			})
		})
	}
}

// converge checks that after the last change everything comes to rest: nothing is held back, every wish that does not
// fail is served, and an address does not change by passing again.
func (w *world) converge() {
	for k, wish := range w.wishes {
		wish.Address.Requested = nil
		w.wishes[k] = wish
	}
	for range 4 {
		w.settle()
		time.Sleep(nodeconfig.StaleAfter + time.Second) // The nodes that are gone have said nothing for long.
		w.store.catchUp(w.t, slices.Collect(maps.Keys(w.store.nodes))...)
		w.settle()
	}
	state, err := w.b.State(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	if len(state.Withdrawn) > 0 {
		w.t.Errorf("still held: %v", state.Withdrawn)
	}
	if got, want := len(state.LoadBalancers), min(len(w.wishes), 40); got != want && !(w.sharing && got > want) {
		w.t.Errorf("%d of %d load balancers are served", got, want)
	}
	for name := range w.store.running(w.t) {
		if sh := w.store.shard(w.t, name); len(sh.Withdrawn) > 0 {
			w.t.Errorf("%s still remembers %v", name, sh.Withdrawn)
		}
	}
}

// BenchmarkPass measures an unchanged and a changed pass of the backend over 5,000 load balancers.
func BenchmarkPass(b *testing.B) {
	store := newTestStore("lb1", "lb2", "lb3")
	sw := New(store, Options{})
	want := make([]lb.LoadBalancer, 5000)
	for i := range want {
		want[i] = balancer(fmt.Sprintf("lb%04d", i))
		want[i].VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})}
	}
	if err := sw.Apply(b.Context(), want); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(store.config)-1), "shards")
	for _, changed := range []bool{false, true} {
		b.Run(fmt.Sprintf("changed=%v", changed), func(b *testing.B) {
			for i := range b.N {
				if changed {
					want[i%5000].Listeners[0].Port = uint16(1 + time.Now().UnixNano()%60000)
				}
				store.writes = nil
				if _, err := sw.State(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := sw.Apply(b.Context(), want); err != nil {
					b.Fatal(err)
				}
				if len(store.writes) > 1 {
					b.Fatalf("one change wrote %v", store.writes)
				}
			}
		})
	}
}
