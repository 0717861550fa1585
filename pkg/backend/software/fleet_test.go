package software

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// named returns nodes in their phase, from "lb1", "lb2+" (joining) and "lb3-" (leaving), sorted.
func named(names ...string) []nodeconfig.Node {
	store := newTestStore()
	var out []nodeconfig.Node
	for _, name := range names {
		bare := strings.TrimRight(name, "+-")
		store.join(bare)
		n := store.nodes[bare]
		switch name[len(bare):] {
		case "+":
			n.Phase, n.Since = nodeconfig.PhaseJoining, 1
		case "-":
			n.Phase, n.Since = nodeconfig.PhaseLeaving, 1
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b nodeconfig.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// inputOf is the step from a fleet to one of these nodes, after which every node knows the current fleet.
func inputOf(current nodeconfig.Fleet, names ...string) fleetInput {
	return fleetInput{
		current: current, nodes: named(names...), known: true, cluster: "cluster", vridBase: 51,
		timing: nodeconfig.DefaultTiming(), revision: current.Revision + 1,
	}
}

func fleetOf(current nodeconfig.Fleet, names ...string) nodeconfig.Fleet {
	return nextFleet(inputOf(current, names...))
}

// homes returns "lb1 lb2 lb1": the homes of the groups by ID, "-" for none.
func homes(f nodeconfig.Fleet) string {
	var parts []string
	for _, g := range f.Groups {
		parts = append(parts, cmp.Or(g.Home, "-"))
	}
	return strings.Join(parts, " ")
}

// orders returns "lb1>lb2>lb3" for a group.
func orders(g nodeconfig.Group) string { return strings.Join(orderOf(g), ">") }

func TestHomesFollowTheNodes(t *testing.T) {
	var f nodeconfig.Fleet
	for _, step := range []struct {
		why   string
		nodes []string
		want  string
	}{
		{"no node yet: a place for load balancers", nil, "- - - - - - - - - - - -"},
		{"the first node has all", []string{"lb2"}, "lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2"},
		{"who joins has none yet", []string{"lb1+", "lb2", "lb3+"}, "lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2 lb2"},
		{"members have their share", []string{"lb1", "lb2", "lb3"}, "lb1 lb3 lb1 lb3 lb1 lb3 lb1 lb3 lb2 lb2 lb2 lb2"},
		{"who leaves keeps its place", []string{"lb1-", "lb2", "lb3"}, "lb1 lb3 lb1 lb3 lb1 lb3 lb1 lb3 lb2 lb2 lb2 lb2"},
		{"until it is gone", []string{"lb2", "lb3"}, "lb2 lb3 lb2 lb3 lb2 lb3 lb2 lb3 lb2 lb2 lb2 lb2"},
		{"all gone", nil, "- - - - - - - - - - - -"},
		{"a new start", []string{"lb4", "lb5"}, "lb4 lb5 lb4 lb5 lb4 lb5 lb4 lb5 lb4 lb5 lb4 lb5"},
	} {
		f = fleetOf(f, step.nodes...)
		if got := homes(f); got != step.want {
			t.Errorf("%s: %q, want %q", step.why, got, step.want)
		}
	}
}

func TestGroupsOnlyGrow(t *testing.T) {
	var f nodeconfig.Fleet
	for _, step := range []struct{ nodes, groups int }{{3, 12}, {6, 12}, {7, 14}, {20, 40}, {2, 40}} {
		var names []string
		for i := range step.nodes {
			names = append(names, fmt.Sprintf("lb%d", i+1))
		}
		if f = fleetOf(f, names...); len(f.Groups) != step.groups {
			t.Errorf("%d nodes: %d groups, want %d", step.nodes, len(f.Groups), step.groups)
		}
	}
	in := inputOf(nodeconfig.Fleet{}, "lb1")
	in.load = map[int]int{17: 1, 300: 1}
	if f = nextFleet(in); len(f.Groups) != 13 || f.Groups[12].ID != 17 || f.Groups[12].Home != "lb1" {
		t.Errorf("a group that only entries know of is made again: %s", homes(f))
	}
}

// TestOldFleet brings the fleet of the first version, a group a node with priorities 200, 150 and 100, to today's.
func TestOldFleet(t *testing.T) {
	old := fleetOf(nodeconfig.Fleet{}, "lb1", "lb2", "lb3")
	old.Groups = old.Groups[:3]
	for i := range old.Groups {
		for rank := range 3 {
			node := fmt.Sprintf("lb%d", 1+(i+rank)%3)
			at := slices.IndexFunc(old.Groups[i].Priorities, func(p nodeconfig.Priority) bool { return p.Node == node })
			old.Groups[i].Priorities[at].Priority = uint8(200 - 50*rank)
		}
	}
	f := fleetOf(old, "lb1", "lb2", "lb3")
	if len(f.Groups) != 12 {
		t.Fatalf("%d groups", len(f.Groups))
	}
	for i, g := range old.Groups {
		if n := f.Groups[i]; n.Home != g.Home || n.VRID != g.VRID || !slices.Equal(n.Anchors, g.Anchors) {
			t.Errorf("group %d was %+v and is %+v", i, g, n)
		}
	}
	checkLaws(t, f)
}

func TestFleetIsStable(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, "lb1", "lb2", "lb3")
	text, err := nodeconfig.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := nodeconfig.Decode[nodeconfig.Fleet](text)
	if err != nil {
		t.Fatal(err)
	}
	if got := fleetOf(stored, "lb1", "lb2", "lb3"); got.Revision != f.Revision {
		t.Errorf("an unchanged fleet has a new revision: %s", gocmp.Diff(stored, got))
	}
	changed := fleetOf(stored, "lb1", "lb2")
	if changed.Revision == f.Revision {
		t.Error("a changed fleet has the old revision")
	}
	empty := fleetOf(nodeconfig.Fleet{})
	if again := fleetOf(empty); again.Revision != empty.Revision {
		t.Error("an empty fleet changes by itself")
	}
}

func TestNodeKeepsItsAddress(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, "lb1")
	got := nextNodes(nodesInput{current: f, nodes: []nodeconfig.Node{{Name: "lb1"}, {Name: "lb2"}}})
	if len(got) != 1 || !slices.Equal(got[0].Addresses, f.Nodes[0].Addresses) {
		t.Errorf("nodes: %v", got)
	}
}

func TestPriorities(t *testing.T) {
	for _, tc := range []struct {
		nodes int
		want  []uint8
	}{
		{0, nil}, {1, []uint8{254}}, {2, []uint8{254, 236}}, {3, []uint8{254, 236, 130}},
		{4, []uint8{254, 236, 183, 130}}, {6, []uint8{254, 236, 210, 183, 157, 130}},
	} {
		var order []string
		for i := range tc.nodes {
			order = append(order, fmt.Sprintf("n%03d", i))
		}
		var got []uint8
		for _, p := range priorities(order) {
			got = append(got, p.Priority)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%d nodes: %v, want %v", tc.nodes, got, tc.want)
		}
	}
}

// TestPrioritiesOfAnySize: unique, from 130 to 254, in the order, for fleets of every size.
func TestPrioritiesOfAnySize(t *testing.T) {
	var order []string
	for n := range 130 {
		order = append(order, fmt.Sprintf("n%03d", (n*7)%131))
		g := nodeconfig.Group{Priorities: priorities(order)}
		if got, want := orderOf(g), order[:min(len(order), maxOrder)]; !slices.Equal(got, want) {
			t.Fatalf("%d nodes: %v", len(order), got)
		}
		seen := map[uint8]bool{}
		for _, p := range g.Priorities {
			if p.Priority < lowestPriority || seen[p.Priority] {
				t.Fatalf("%d nodes: %+v", len(order), p)
			}
			seen[p.Priority] = true
		}
	}
}

func TestVRIDsEndAt255(t *testing.T) {
	var nodes []nodeconfig.Node
	for n := range 20 {
		nodes = append(nodes, nodeconfig.Node{
			Name: fmt.Sprintf("n%02d", n), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})},
		})
	}
	f := nextFleet(fleetInput{nodes: nodes, vridBase: 250, cluster: "c"})
	if len(f.Groups) != 6 || f.Groups[5].VRID != 255 {
		t.Errorf("groups: %s", homes(f))
	}
}

func TestAnchors(t *testing.T) {
	v4s, v6s := netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/64")
	law := func(cluster string, id uint8, salt uint8) bool {
		v4, v6 := anchors(cluster, int(id), int(salt))
		b := v4.As4()
		return v4s.Contains(v4) && v6s.Contains(v6) && b[2] != 0 && b[2] != 169 && b[2] != 255 && b[3] != 0 && b[3] != 255
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 20000}); err != nil {
		t.Error(err)
	}
	groups := make([]nodeconfig.Group, 205)
	for i := range groups {
		groups[i].ID = i
	}
	seen := map[netip.Addr]int{}
	for _, g := range withAnchors("cluster", groups) {
		if len(g.Anchors) != 2 || g.Anchors[0].Is6() || g.Anchors[1].Is4() {
			t.Fatalf("group %d: %v", g.ID, g.Anchors)
		}
		for _, a := range g.Anchors {
			if o, ok := seen[a]; ok {
				t.Errorf("groups %d and %d share %s", o, g.ID, a)
			}
			seen[a] = g.ID
		}
	}
	one, _ := anchors("one", 0, 0)
	two, _ := anchors("two", 0, 0)
	if one == two {
		t.Error("two clusters have the same anchor")
	}
}
