package plan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

var compare = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})}

// A world is a cluster over time: objects come, change and go, the controller plans, nodes let addresses go late.
type world struct {
	rnd     *rand.Rand
	wishes  map[string]lb.Wish
	current []lb.LoadBalancer
	// withdrawn are held by nodes for some more steps.
	withdrawn []Hold
	pools     []ipam.Pool
	age       int
}

func (w *world) input() Input {
	in := Input{Current: w.current, Withdrawn: w.withdrawn, Pools: w.pools, Capabilities: everything()}
	for i := range 12 {
		if x, ok := w.wishes[name(i)]; ok {
			in.Wishes = append(in.Wishes, x)
		}
	}
	return in
}

func name(i int) string { return fmt.Sprintf("lb%02d", i) }

// someIP returns an address in or near the pools.
func (w *world) someIP(f lb.Family) netip.Addr {
	if f == lb.IPv6 {
		return addr(fmt.Sprintf("fd00::%d", 1+w.rnd.IntN(6)))
	}
	return addr(fmt.Sprintf("10.0.0.%d", 1+w.rnd.IntN(9)))
}

// change does what users do: create, replace, change and delete.
func (w *world) change() {
	n := name(w.rnd.IntN(12))
	if w.rnd.IntN(4) == 0 {
		delete(w.wishes, n)
		return
	}
	x, ok := w.wishes[n]
	if !ok || w.rnd.IntN(6) == 0 {
		w.age--
		x = wish(n, w.age/2, withUID(fmt.Sprint("uid", w.age)))
	}
	x.Address, x.Findings = lb.AddressWish{Recorded: x.Address.Recorded}, nil
	switch w.rnd.IntN(4) {
	case 0:
		x.Address.Families = []lb.Family{lb.IPv6, lb.IPv4}
	case 1:
		x.Address.Families = []lb.Family{lb.IPv6}
	}
	fs := x.Address.Families
	if len(fs) == 0 {
		fs = []lb.Family{lb.IPv4}
	}
	if w.rnd.IntN(3) == 0 {
		x.Address.Requested = []netip.Addr{w.someIP(fs[w.rnd.IntN(len(fs))])}
	}
	switch w.rnd.IntN(8) {
	case 0:
		x.Address.Pool = "manual"
	case 1:
		x.Address.Pool = "gold"
	case 2:
		broken(&x)
	case 3:
		x.Address.Recorded = []netip.Addr{w.someIP(lb.IPv4), w.someIP(lb.IPv6)}
	}
	w.wishes[n] = x
}

// apply does what the backend and the nodes do: serve the plan, remember what left, let some of it go.
func (w *world) apply(out Output) {
	for _, old := range w.current {
		for _, a := range old.VIPs {
			if owner(out.LoadBalancers, a) != old.Origin.Key {
				w.withdrawn = append(w.withdrawn, Hold{Key: old.Origin.Key, Address: a})
			}
		}
	}
	w.withdrawn = slices.DeleteFunc(w.withdrawn, func(h Hold) bool {
		return owner(out.LoadBalancers, h.Address) == h.Key || w.rnd.IntN(3) == 0
	})
	w.current = out.LoadBalancers
	for _, o := range out.Outcomes {
		x := w.wishes[o.Origin.Name]
		x.Address.Recorded = slices.Clone(o.VIPs)
		w.wishes[o.Origin.Name] = x
	}
	if w.rnd.IntN(10) == 0 {
		w.current, w.withdrawn = nil, nil // The backend loses its memory.
	}
}

func owner(ls []lb.LoadBalancer, a netip.Addr) lb.Key {
	for _, l := range ls {
		if slices.Contains(l.VIPs, a) {
			return l.Origin.Key
		}
	}
	return lb.Key{}
}

// TestLaws plans thousands of random histories and holds each step to the package's laws.
func TestLaws(t *testing.T) {
	pools := []ipam.Pool{
		pool(t, "p", "10.0.0.1-10.0.0.5"), pool(t, "six", "fd00::1-fd00::4"), pool(t, "manual", "10.0.0.6-10.0.0.7",
			"fd00::5"),
	}
	for seed := range uint64(400) {
		w := &world{rnd: rand.New(rand.NewPCG(seed, 1)), wishes: map[string]lb.Wish{}, pools: pools, age: 1000}
		for step := range 25 {
			for range 1 + w.rnd.IntN(3) {
				w.change()
			}
			in := w.input()
			out := Make(in)
			checkLaws(t, in, out)
			checkOrder(t, w.rnd, in, out)
			checkFixpoint(t, in, out)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
			w.apply(out)
		}
	}
}

// checkLaws checks the laws of doc.go.
func checkLaws(t *testing.T, in Input, out Output) {
	t.Helper()
	given := map[netip.Addr]lb.Key{}
	for _, l := range out.LoadBalancers {
		for _, a := range l.VIPs {
			if other, twice := given[a]; twice {
				t.Errorf("%s is given to %s and %s", a, other, l.Origin.Key)
			}
			given[a] = l.Origin.Key
			if had := owner(in.Current, a); had != (lb.Key{}) && had != l.Origin.Key {
				t.Errorf("%s is taken from %s and given to %s", a, had, l.Origin.Key)
			}
			held := func(h Hold) bool { return h.Address == a && h.Key != l.Origin.Key }
			if owner(in.Current, a) == (lb.Key{}) && slices.ContainsFunc(in.Withdrawn, held) {
				t.Errorf("%s is given to %s while nodes hold it", a, l.Origin.Key)
			}
		}
	}
	for _, w := range in.Wishes {
		checkKept(t, in, out, w)
	}
}

// checkKept checks that a wish has lost no address but by its own will, and that a broken one changes nothing.
func checkKept(t *testing.T, in Input, out Output, w lb.Wish) {
	t.Helper()
	key := w.LoadBalancer.Origin.Key
	had, now := find(in.Current, key), find(out.LoadBalancers, key)
	if w.Failed() && !reflect.DeepEqual(had, now) {
		t.Errorf("%s has errors, and yet: %s", key, cmp.Diff(had, now, compare))
	}
	if had == nil {
		return
	}
	if now == nil {
		t.Errorf("%s is served no more", key)
		return
	}
	for _, a := range had.VIPs {
		f := lb.FamilyOf(a)
		wanted, asked := ofFamily(w.Address.Requested, f)
		moved := asked && slices.Contains(now.VIPs, wanted)
		dropped := len(w.Address.Families) > 0 && !slices.Contains(w.Address.Families, f) ||
			len(w.Address.Families) == 0 && len(had.VIPs) > len(now.VIPs) ||
			len(w.Address.Families) == 0 && len(w.Address.Requested) > 0 && !asked
		if !slices.Contains(now.VIPs, a) && !moved && !dropped {
			t.Errorf("%s has lost %s", key, a)
		}
	}
}

func find(ls []lb.LoadBalancer, key lb.Key) *lb.LoadBalancer {
	for _, l := range ls {
		if l.Origin.Key == key {
			return &l
		}
	}
	return nil
}

// checkOrder checks that the order of the input means nothing.
func checkOrder(t *testing.T, rnd *rand.Rand, in Input, out Output) {
	t.Helper()
	in.Wishes, in.Current, in.Withdrawn = slices.Clone(in.Wishes), slices.Clone(in.Current), slices.Clone(in.Withdrawn)
	rnd.Shuffle(len(in.Wishes), func(i, j int) { in.Wishes[i], in.Wishes[j] = in.Wishes[j], in.Wishes[i] })
	rnd.Shuffle(len(in.Current), func(i, j int) { in.Current[i], in.Current[j] = in.Current[j], in.Current[i] })
	rnd.Shuffle(len(in.Withdrawn), func(i, j int) {
		in.Withdrawn[i], in.Withdrawn[j] = in.Withdrawn[j], in.Withdrawn[i]
	})
	if again := Make(in); !reflect.DeepEqual(out, again) {
		t.Errorf("another order makes another plan: %s", cmp.Diff(out, again, compare))
	}
}

// checkFixpoint checks that planning again, with the plan served and nothing let go, changes nothing.
func checkFixpoint(t *testing.T, in Input, out Output) {
	t.Helper()
	for _, old := range in.Current {
		for _, a := range old.VIPs {
			if owner(out.LoadBalancers, a) == (lb.Key{}) {
				in.Withdrawn = append(slices.Clone(in.Withdrawn), Hold{Key: old.Origin.Key, Address: a})
			}
		}
	}
	in.Current = out.LoadBalancers
	if again := Make(in).LoadBalancers; !reflect.DeepEqual(out.LoadBalancers, again) {
		t.Errorf("planned again, it is another plan: %s", cmp.Diff(out.LoadBalancers, again, compare))
	}
}
