package software

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// machine is a load-balancer node: the fleet that it runs, which may be older than the one that is stored, and whether
// its keepalived runs.
type machine struct {
	runs       nodeconfig.Fleet
	told       int64
	announcing bool
	daemon     bool
}

// troop is a controller and machines that hear of its fleets late, in any order, report late, lose their daemons and
// come back.
type troop struct {
	t        *testing.T
	rng      *rand.Rand
	store    *testStore
	b        *Backend
	machines map[string]*machine
	log      []string
}

func newTroop(t *testing.T, seed uint64) *troop {
	w := &troop{
		t: t, rng: rand.New(rand.NewPCG(seed, seed)), store: newTestStore(), machines: map[string]*machine{},
	}
	for i := range 5 {
		w.machines[fmt.Sprintf("lb%d", i+1)] = &machine{daemon: true}
	}
	w.pass()
	return w
}

func (w *troop) note(what string, a ...any) { w.log = append(w.log, fmt.Sprintf(what, a...)) }

// pass is the controller's; sometimes it is a new one.
func (w *troop) pass() {
	if w.b == nil || w.rng.IntN(4) == 0 {
		w.b = New(w.store, Options{Cluster: "c"})
	}
	if _, err := w.b.State(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.b.Apply(w.t.Context(), nil); err != nil {
		w.t.Fatal(err)
	}
}

// hear lets a machine's daemon run the stored fleet as the daemon does: it never announces unless it is a member, or
// was one and has not let go yet.
func (w *troop) hear(name string) {
	m := w.machines[name]
	if !m.daemon {
		return
	}
	f := w.store.fleet(w.t)
	i := indexNode(f.Nodes, name)
	// It says what it was told before it does it.
	m.told = f.Revision
	w.report(name)
	if w.rng.IntN(4) == 0 {
		w.pass()
	}
	m.runs = f
	switch {
	case i < 0 || f.Nodes[i].Phase != "":
		m.announcing = false
	default:
		m.announcing = true
	}
	w.note("%s hears %d", name, f.Revision)
	w.check("hearing")
}

// report lets a machine's daemon say how it is.
func (w *troop) report(name string) {
	m := w.machines[name]
	if !m.daemon {
		return
	}
	s := nodeconfig.Status{
		Node: name, Running: nodeconfig.Running{Fleet: m.runs.Revision}, Wanted: nodeconfig.Running{Fleet: m.told},
	}
	s.Share.State = nodeconfig.ShareSilent
	if m.announcing {
		s.Share.State = nodeconfig.ShareServing
	}
	w.store.report(w.t, s)
	w.note("%s reports %d %s", name, m.runs.Revision, s.Share.State)
}

// check checks the law: of two machines that announce, each has the other among its peers, by the address that it
// speaks from.
func (w *troop) check(when string) {
	for a, m := range w.machines {
		for b, o := range w.machines {
			if a != b && m.announcing && o.announcing && !knows(m.runs, o.runs, b) {
				w.t.Fatalf("%s: %s announces by fleet %d and does not know %s, which announces by fleet %d\n%q",
					when, a, m.runs.Revision, b, o.runs.Revision, w.log)
			}
		}
	}
}

// knows reports whether a node's peer in the one fleet is the one that it is in the other.
func knows(one, other nodeconfig.Fleet, name string) bool {
	i, j := indexNode(one.Nodes, name), indexNode(other.Nodes, name)
	return i >= 0 && j >= 0 && slices.Equal(one.Nodes[i].Addresses, other.Nodes[j].Addresses)
}

func (w *troop) step() {
	name := slices.Sorted(maps.Keys(w.machines))[w.rng.IntN(len(w.machines))]
	m := w.machines[name]
	switch n := w.rng.IntN(20); {
	case n < 7:
		w.hear(name)
	case n < 12:
		w.report(name)
	case n < 14:
		if _, ok := w.store.nodes[name]; ok {
			delete(w.store.nodes, name)
			w.note("%s loses its label", name)
		} else {
			w.store.join(name)
			w.note("%s gets its label", name)
		}
	case n == 14:
		// A dead daemon leaves keepalived running. One that comes back runs what it ran.
		m.daemon = !m.daemon
		w.note("daemon of %s: %v", name, m.daemon)
	case n == 16 && w.rng.IntN(3) == 0:
		if node, ok := w.store.nodes[name]; ok {
			node.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(w.rng.IntN(250))})}
			w.store.nodes[name] = node
			w.note("%s gets %v", name, node.Addresses)
		}
	case n == 15:
		time.Sleep(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
	default:
		w.pass()
	}
}

// TestBarrier drives histories of nodes that come and go while reports and fleets are delivered in any order. A machine
// that is given up by people, its label gone and its daemon dead, counts as switched off once its report is stale.
func TestBarrier(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTroop(t, seed)
				for range 200 {
					w.step()
					w.heartbeats()
					w.pass()
				}
				w.converge()
			})
		})
	}
}

// heartbeats keeps the reports of living daemons fresh, as they are, and switches off what people have given up.
func (w *troop) heartbeats() {
	for _, name := range slices.Sorted(maps.Keys(w.machines)) {
		m := w.machines[name]
		text, ok := w.store.status[nodeconfig.StatusName(name)]
		if !ok {
			m.off(w.store, name)
			continue
		}
		s, err := nodeconfig.Decode[nodeconfig.Status](text.Text)
		if err != nil {
			w.t.Fatal(err)
		}
		switch old := time.Since(s.Reported); {
		case m.daemon && old > nodeconfig.HeartbeatInterval:
			w.report(name) // It says what is true now.
		case !m.daemon && old > nodeconfig.StaleAfter:
			m.off(w.store, name)
		}
	}
}

// off switches a machine without a daemon off whose label is gone.
func (m *machine) off(s *testStore, name string) {
	if _, labelled := s.nodes[name]; !labelled && !m.daemon {
		m.announcing = false
	}
}

// converge checks that all labelled nodes are members in the end, and the others are gone.
func (w *troop) converge() {
	for _, m := range w.machines {
		m.daemon = true
	}
	for range 40 {
		for _, name := range slices.Sorted(maps.Keys(w.machines)) {
			w.hear(name)
			w.report(name)
		}
		w.pass()
		time.Sleep(time.Second)
	}
	f := w.store.fleet(w.t)
	var members []string
	for _, n := range f.Nodes {
		if n.Phase != "" {
			w.t.Errorf("%s is still %s\n%q", n.Name, n.Phase, w.log)
		}
		members = append(members, n.Name)
	}
	if want := slices.Sorted(maps.Keys(w.store.nodes)); !slices.Equal(members, want) {
		w.t.Errorf("members %v, want %v", members, want)
	}
	for _, n := range f.Nodes {
		if want := w.store.nodes[n.Name].Addresses; !slices.Equal(n.Addresses, want) {
			w.t.Errorf("%s has %v in the fleet, and is %v", n.Name, n.Addresses, want)
		}
	}
	checkLaws(w.t, f)
}
