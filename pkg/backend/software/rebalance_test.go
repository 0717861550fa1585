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

// homeLoads returns how many addresses each node is the home of.
func homeLoads(f nodeconfig.Fleet, load map[int]int) map[string]int {
	out := map[string]int{}
	for _, n := range f.Nodes {
		out[n.Name] = 0
	}
	for _, g := range f.Groups {
		out[g.Home] += load[g.ID]
	}
	return out
}

func TestRebalance(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, "lb1", "lb2", "lb3")
	for _, tc := range []struct {
		name string
		// load is by group; group i is at home on node i mod 3.
		load  []int
		want  string
		moves int
	}{
		{"nothing to carry", nil, "map[lb1:0 lb2:0 lb3:0]", 0},
		{"even", []int{2, 2, 2}, "map[lb1:2 lb2:2 lb3:2]", 0},
		{"as even as it gets", []int{2, 2, 1}, "map[lb1:2 lb2:2 lb3:1]", 0},
		{"one has all: empty groups come back", []int{1, 0, 0, 1, 0, 0, 1}, "map[lb1:1 lb2:1 lb3:1]", 4},
		{"one big group cannot be split", []int{9}, "map[lb1:9 lb2:0 lb3:0]", 0},
		{"the smallest exchange that does", []int{4, 2, 3, 4, 2, 3, 0, 0, 0}, "map[lb1:6 lb2:6 lb3:6]", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := inputOf(f, "lb1", "lb2", "lb3")
			in.load, in.rebalance = map[int]int{}, "r1"
			for id, n := range tc.load {
				in.load[id] = n
			}
			got := nextFleet(in)
			if got.Rebalanced != "r1" {
				t.Errorf("rebalanced %q", got.Rebalanced)
			}
			if loads := fmt.Sprint(homeLoads(got, in.load)); loads != tc.want {
				t.Errorf("loads %s, want %s", loads, tc.want)
			}
			moves := 0
			for i, g := range got.Groups {
				if g.Home != f.Groups[i].Home {
					moves++
				}
			}
			if moves != tc.moves {
				t.Errorf("%d groups move, want %d: %s", moves, tc.moves, homes(got))
			}
		})
	}
}

// TestRebalanceOnce: an ID is dealt with once, also when nothing had to move, and not while a group is on its way.
func TestRebalanceOnce(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, "lb1", "lb2")
	in := inputOf(f, "lb1", "lb2")
	in.rebalance, in.load = "r1", map[int]int{0: 5, 2: 5}
	f = nextFleet(in)
	if got := homeLoads(f, in.load); got["lb1"] != 5 {
		t.Fatalf("loads %v", got)
	}
	in.current, in.load = f, map[int]int{1: 5, 3: 5}
	if again := nextFleet(in); homes(again) != homes(f) {
		t.Errorf("it rebalances again: %s, then %s", homes(f), homes(again))
	}
	in.rebalance, in.known = "r2", false
	if again := nextFleet(in); again.Rebalanced != "r1" || homes(again) != homes(f) {
		t.Errorf("it rebalances while groups are on their way: %s, then %s", homes(f), homes(again))
	}
	in.known = true
	if again := nextFleet(in); again.Rebalanced != "r2" {
		t.Errorf("rebalanced %q", again.Rebalanced)
	}
}

// TestRebalanceLaws: with any loads, the homes stay balanced in groups, no node gets more addresses than the fullest
// had, and a second rebalancing finds nothing better.
func TestRebalanceLaws(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, seed))
		var names []string
		for i := range 2 + rng.IntN(7) {
			names = append(names, fmt.Sprintf("lb%d", i+1))
		}
		in := inputOf(fleetOf(nodeconfig.Fleet{}, names...), names...)
		in.load, in.rebalance = map[int]int{}, "r1"
		for id := range in.current.Groups {
			in.load[id] = rng.IntN(12) * rng.IntN(3)
		}
		before := homeLoads(in.current, in.load)
		f := nextFleet(in)
		after := homeLoads(f, in.load)
		spread := func(m map[string]int) int {
			v := slices.Sorted(maps.Values(m))
			return v[len(v)-1] - v[0]
		}
		if spread(after) > spread(before) {
			t.Errorf("seed %d: %v became %v", seed, before, after)
		}
		for i, g := range f.Groups {
			if was := in.current.Groups[i].Home; was != g.Home && (g.Former != was || orderOf(g)[1] != was) {
				t.Errorf("seed %d: group %d went from %s to %s", seed, g.ID, was, orders(g))
			}
		}
		for range 3 {
			in.current = f
			f = nextFleet(in)
		}
		checkLaws(t, f)
		in.current, in.rebalance = f, "r2"
		if again := nextFleet(in); spread(homeLoads(again, in.load)) > spread(after) {
			t.Errorf("seed %d: %v, and then %v", seed, after, homeLoads(again, in.load))
		}
	}
}

// TestRebalanceOfAnyLength: an ID of any length does not get into the fleet's document.
func TestRebalanceOfAnyLength(t *testing.T) {
	store := newTestStore("lb1", "lb2")
	b := New(store, Options{})
	apply(t, b)
	for _, id := range []string{strings.Repeat("x", maxRebalanceID+1), "r1"} {
		store.orders = map[string]string{nodeconfig.KeyRebalance: `{"version":1,"id":"` + id + `"}`}
		apply(t, b)
		if got := store.fleet(t).Rebalanced; len(got) > maxRebalanceID || id == "r1" && got != id {
			t.Errorf("ordered %q, dealt with %q", id, got)
		}
	}
}
