package software

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// checkLaws checks what holds for every fleet at rest.
func checkLaws(t *testing.T, f nodeconfig.Fleet) {
	t.Helper()
	var all, members []string
	for _, n := range f.Nodes {
		all = append(all, n.Name)
		if n.Phase == "" {
			members = append(members, n.Name)
		}
	}
	counts := map[string]int{}
	seconds := map[string]map[string]int{}
	for _, n := range members {
		counts[n], seconds[n] = 0, map[string]int{}
	}
	for i, g := range f.Groups {
		order := orderOf(g)
		if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, all) {
			t.Fatalf("group %d is ordered %v of nodes %v", g.ID, order, all)
		}
		if i > 0 && f.Groups[i-1].ID >= g.ID {
			t.Fatalf("groups %d and %d are out of order", f.Groups[i-1].ID, g.ID)
		}
		if len(order) > 0 && g.Home != order[0] {
			t.Fatalf("group %d: home %s, order %v", g.ID, g.Home, order)
		}
		at := slices.DeleteFunc(order, func(n string) bool { return !slices.Contains(members, n) })
		if len(at) > 0 {
			counts[at[0]]++
		}
		if len(at) > 1 {
			seconds[at[0]][at[1]]++
		}
	}
	if lo, hi := extremes(counts, members); hi-lo > 1 {
		t.Fatalf("homes are not balanced: %v", counts)
	}
	for home, s := range seconds {
		others := slices.DeleteFunc(slices.Clone(members), func(n string) bool { return n == home })
		if lo, hi := extremes(s, others); hi-lo > 1 {
			t.Fatalf("the seconds of %s are not spread: %v of homes %v", home, s, counts)
		}
	}
}

func extremes(counts map[string]int, keys []string) (lo, hi int) {
	for i, k := range keys {
		if i == 0 || counts[k] < lo {
			lo = counts[k]
		}
		hi = max(hi, counts[k])
	}
	return lo, hi
}

// history is a fleet whose nodes come and go at random, one at a time and in every phase.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	fleet  nodeconfig.Fleet
	phases map[string]string // "", "+" or "-" by name
	load   map[int]int
	events []string
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, rng: rand.New(rand.NewPCG(seed, seed)), phases: map[string]string{}, load: map[int]int{}}
	for range 1 + h.rng.IntN(4) {
		h.phases[h.name()] = ""
	}
	for id := range minGroups {
		h.load[id] = h.rng.IntN(4)
	}
	h.step()
	return h
}

func (h *history) name() string { return fmt.Sprintf("lb%d", 1+h.rng.IntN(9)) }

// step makes the next fleet for the nodes as they are. All know the current one.
func (h *history) step() (before, after nodeconfig.Fleet) {
	var names []string
	for n, phase := range h.phases {
		names = append(names, n+phase)
	}
	in := inputOf(h.fleet, names...)
	in.load = h.load
	before = h.fleet
	h.fleet = nextFleet(in)
	return before, h.fleet
}

// settle makes fleets until there is nothing left to change: the seconds of moved groups are spread once everybody knows
// of the move.
func (h *history) settle() nodeconfig.Fleet {
	for range 3 {
		if before, after := h.step(); before.Revision == after.Revision {
			return after
		}
	}
	h.t.Fatalf("it never comes to rest: %v", h.events)
	return nodeconfig.Fleet{}
}

// change brings one node one phase further and returns what happened.
func (h *history) change() (event, node string) {
	node = h.name()
	switch phase, there := h.phases[node]; {
	case !there:
		h.phases[node] = "+"
		return "join", node
	case phase == "+":
		h.phases[node] = ""
		return "promote", node
	case phase == "":
		h.phases[node] = "-"
		return "leave", node
	case h.rng.IntN(4) == 0:
		h.phases[node] = "+"
		return "return", node
	default:
		delete(h.phases, node)
		return "drop", node
	}
}

// TestLawsOfHomes runs random histories of nodes that come, leave and return, each change known to all before the next.
func TestLawsOfHomes(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(t, seed)
			constant := constants(h.fleet)
			for range 60 {
				event, node := h.change()
				before, after := h.step()
				h.events = append(h.events, event+" "+node)
				checkLaws(t, h.settle())
				h.checkMoves(event, node, before, after)
				for id, c := range constants(before) {
					if constants(after)[id] != c {
						t.Fatalf("after %v group %d was %s and is %s", h.events, id, c, constants(after)[id])
					}
				}
				if t.Failed() {
					t.Fatalf("history: %v", h.events)
				}
			}
			for id, c := range constant {
				if constants(h.fleet)[id] != c {
					t.Errorf("group %d was %s and is %s", id, c, constants(h.fleet)[id])
				}
			}
		})
	}
}

// constants returns what never changes of each group.
func constants(f nodeconfig.Fleet) map[int]string {
	out := map[int]string{}
	for _, g := range f.Groups {
		out[g.ID] = fmt.Sprint(g.VRID, g.Anchors)
	}
	return out
}

// carriers returns the members that carry the groups: the first of each order.
func carriers(f nodeconfig.Fleet) map[int]string {
	out := map[int]string{}
	for _, g := range f.Groups {
		for _, n := range orderOf(g) {
			if f.Nodes[indexNode(f.Nodes, n)].Phase == "" {
				out[g.ID] = n
				break
			}
		}
	}
	return out
}

// checkMoves checks how many groups move at an event, and which.
func (h *history) checkMoves(event, node string, before, after nodeconfig.Fleet) {
	h.t.Helper()
	was, is := carriers(before), carriers(after)
	gained := 0
	for id, home := range was {
		if is[id] == home {
			continue
		}
		gained++
		switch event {
		case "leave":
			if home != node {
				h.t.Errorf("%s leaves and group %d moves from %s to %s", node, id, home, is[id])
			}
		case "promote":
			if is[id] != node {
				h.t.Errorf("%s comes and group %d moves from %s to %s", node, id, home, is[id])
			}
		default:
			h.t.Errorf("%s %s, and group %d moves from %s to %s", event, node, id, home, is[id])
		}
	}
	members := len(slices.Compact(slices.Sorted(maps.Values(is))))
	if limit := (len(after.Groups) + max(1, members) - 1) / max(1, members); event != "leave" && gained > limit {
		h.t.Errorf("%s %s moves %d groups of %d, more than %d", event, node, gained, len(after.Groups), limit)
	}
	if event == "leave" && is[0] != "" {
		for id, home := range was {
			if next := nextMember(before, id, node); home == node && is[id] != next {
				h.t.Errorf("%s leaves and group %d goes to %s, not to %s", node, id, is[id], next)
			}
		}
	}
}

// nextMember returns who comes after a node in a group's order.
func nextMember(f nodeconfig.Fleet, id int, node string) string {
	for _, g := range f.Groups {
		for _, n := range orderOf(g) {
			if g.ID == id && n != node && f.Nodes[indexNode(f.Nodes, n)].Phase == "" {
				return n
			}
		}
	}
	return ""
}

// election plays VRRP in one group: each node has the priorities of the fleet that it has heard of; the master stays
// until another one has a strictly higher priority.
type election struct {
	heard  map[string]nodeconfig.Group
	active map[string]bool
	master string
	moves  []string
}

func (e *election) priority(node string) int {
	for _, p := range e.heard[node].Priorities {
		if p.Node == node && e.active[node] {
			return int(p.Priority)
		}
	}
	return 0
}

// run lets the highest preempt. It reports whether two would do so at once.
func (e *election) run() (tie bool) {
	top, highest := "", e.priority(e.master)
	for _, node := range slices.Sorted(maps.Keys(e.heard)) {
		switch p := e.priority(node); {
		case p > highest:
			top, highest, tie = node, p, false
		case p == highest && top != "":
			tie = true
		}
	}
	if top != "" {
		e.master = top
		e.moves = append(e.moves, top)
	}
	return tie
}

// TestEveryOrderOfDelivery lets the nodes hear of each change in a random order: a group moves once if it has a new
// carrier, never otherwise, and never do two nodes preempt at once.
func TestEveryOrderOfDelivery(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(t, seed)
			for range 40 {
				event, node := h.change()
				before, after := h.step()
				for i, g := range after.Groups {
					if i < len(before.Groups) && len(before.Groups[i].Priorities) > 0 && len(g.Priorities) > 0 {
						h.deliver(event+" "+node, before, after, i)
					}
				}
				h.settle()
			}
		})
	}
}

// deliver brings the change of a group to the nodes. A node that leaves is withheld from when it hears of it; one that
// joins is silent; one that is dropped was silent before.
func (h *history) deliver(event string, before, after nodeconfig.Fleet, i int) {
	e := election{heard: map[string]nodeconfig.Group{}, active: map[string]bool{}}
	for _, n := range before.Nodes {
		e.heard[n.Name] = before.Groups[i]
		e.active[n.Name] = n.Phase == ""
	}
	e.run()
	from := e.master
	e.moves = nil
	names := make([]string, 0, len(after.Nodes))
	for _, n := range after.Nodes {
		names = append(names, n.Name)
	}
	h.rng.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
	for _, name := range names {
		e.heard[name] = after.Groups[i]
		e.active[name] = after.Nodes[indexNode(after.Nodes, name)].Phase == ""
		if e.run() {
			h.t.Fatalf("%s, heard by %v: two nodes preempt in group %d\nwas %s\nis  %s", event, names,
				after.Groups[i].ID, orders(before.Groups[i]), orders(after.Groups[i]))
		}
	}
	want := carriers(after)[after.Groups[i].ID]
	if len(e.moves) > 1 || from == want && len(e.moves) > 0 || want != "" && e.master != want {
		h.t.Fatalf("%s, heard by %v: group %d goes from %s over %s to %s\nwas %s\nis  %s", event, names,
			after.Groups[i].ID, from, strings.Join(e.moves, ", "), want, orders(before.Groups[i]), orders(after.Groups[i]))
	}
}
