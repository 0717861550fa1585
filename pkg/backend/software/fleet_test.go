package software

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func fleetOf(current nodeconfig.Fleet, used []int, names ...string) nodeconfig.Fleet {
	in := fleetInput{
		current: current, used: map[int]bool{}, cluster: "cluster", vridBase: 51,
		timing: nodeconfig.DefaultTiming(), revision: current.Revision + 1,
	}
	for _, id := range used {
		in.used[id] = true
	}
	store := newTestStore(names...)
	for _, name := range names {
		in.nodes = append(in.nodes, store.nodes[name])
	}
	return nextFleet(in)
}

// homes returns "0:lb1 1:lb2".
func homes(f nodeconfig.Fleet) string {
	var parts []string
	for _, g := range f.Groups {
		parts = append(parts, fmt.Sprintf("%d:%s", g.ID, g.Home))
	}
	return strings.Join(parts, " ")
}

func TestGroupsFollowTheNodes(t *testing.T) {
	var f nodeconfig.Fleet
	for _, step := range []struct {
		why   string
		used  []int
		nodes []string
		want  string
	}{
		{"no node yet: a place for load balancers", nil, nil, "0:"},
		{"the first node takes it over", []int{0}, []string{"lb2"}, "0:lb2"},
		{"each node has a group", []int{0}, []string{"lb1", "lb2", "lb3"}, "0:lb2 1:lb1 2:lb3"},
		{"a used group survives its home", []int{0, 1}, []string{"lb1", "lb3"}, "0: 1:lb1 2:lb3"},
		{"its home takes it back", []int{0, 1}, []string{"lb1", "lb2", "lb3"}, "0:lb2 1:lb1 2:lb3"},
		{"an unused group goes", []int{0, 1}, []string{"lb1", "lb2"}, "0:lb2 1:lb1"},
		{"a new node takes over what is left", []int{0}, []string{"lb1", "lb4"}, "0:lb4 1:lb1"},
		{"a group that only entries know of is made again", []int{7}, []string{"lb1", "lb4"}, "0:lb4 1:lb1 7:"},
	} {
		f = fleetOf(f, step.used, step.nodes...)
		if got := homes(f); got != step.want {
			t.Errorf("%s: %q, want %q", step.why, got, step.want)
		}
	}
}

func TestFleetIsStable(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, nil, "lb1", "lb2", "lb3")
	text, err := nodeconfig.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := nodeconfig.Decode[nodeconfig.Fleet](text)
	if err != nil {
		t.Fatal(err)
	}
	if got := fleetOf(stored, nil, "lb1", "lb2", "lb3"); got.Revision != f.Revision {
		t.Errorf("an unchanged fleet has a new revision: %s", cmp.Diff(stored, got))
	}
	changed := fleetOf(stored, nil, "lb1", "lb2")
	if changed.Revision == f.Revision {
		t.Error("a changed fleet has the old revision")
	}
	empty := fleetOf(nodeconfig.Fleet{}, nil)
	if again := fleetOf(empty, nil); again.Revision != empty.Revision {
		t.Error("an empty fleet changes by itself")
	}
}

func TestNodeKeepsItsAddress(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, nil, "lb1")
	got := nextFleet(fleetInput{
		current: f, vridBase: 51, timing: f.Timing, cluster: f.Cluster,
		nodes: []nodeconfig.Node{{Name: "lb1"}, {Name: "lb2"}},
	})
	if len(got.Nodes) != 1 || !cmp.Equal(got.Nodes[0].Addresses, f.Nodes[0].Addresses, cmp.Comparer(sameAddr)) {
		t.Errorf("nodes: %v", got.Nodes)
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func TestPriorities(t *testing.T) {
	f := fleetOf(nodeconfig.Fleet{}, nil, "lb1", "lb2", "lb3")
	want := []string{"lb1:200 lb2:150 lb3:100", "lb1:100 lb2:200 lb3:150", "lb1:150 lb2:100 lb3:200"}
	for i, g := range f.Groups {
		var parts []string
		for _, p := range g.Priorities {
			parts = append(parts, fmt.Sprintf("%s:%d", p.Node, p.Priority))
		}
		if got := strings.Join(parts, " "); got != want[i] {
			t.Errorf("group %d: %s, want %s", i, got, want[i])
		}
		if want := uint8(51 + i); g.VRID != want {
			t.Errorf("group %d: VRID %d, want %d", i, g.VRID, want)
		}
	}
}

// TestPrioritiesOfAnySize: unique, between 1 and 254, the home's the highest, for fleets of every size.
func TestPrioritiesOfAnySize(t *testing.T) {
	var nodes []nodeconfig.Node
	for n := range 230 {
		nodes = append(nodes, nodeconfig.Node{Name: fmt.Sprintf("n%03d", n)})
		got := priorities(nodes, nodeconfig.Group{ID: 3, Home: "n000"})
		if len(got) != min(len(nodes), 200) {
			t.Fatalf("%d nodes: %d priorities", len(nodes), len(got))
		}
		seen := map[uint8]bool{}
		for _, p := range got {
			if p.Priority < 1 || p.Priority > homePriority || seen[p.Priority] ||
				(p.Priority == homePriority) != (p.Node == "n000") {
				t.Fatalf("%d nodes: %+v", len(nodes), p)
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
