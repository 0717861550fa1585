package software

import (
	"reflect"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// fleetInput is everything that a fleet depends on.
type fleetInput struct {
	current nodeconfig.Fleet
	// nodes are sorted by name.
	nodes []nodeconfig.Node
	// used are the IDs of the groups that a load balancer is in.
	used     map[int]bool
	cluster  string
	vridBase uint8
	timing   nodeconfig.Timing
	// revision is what a changed fleet gets.
	revision int64
}

// nextFleet returns the fleet for the nodes there are. Each node is the home of one group. A new node takes over the
// lowest group whose home is gone, or founds the group with the lowest free ID; so a group survives its home while a
// load balancer uses it. There is always at least one group, so that a load balancer can be stored before any node is.
func nextFleet(in fleetInput) nodeconfig.Fleet {
	next := nodeconfig.Fleet{
		Version:  nodeconfig.Version,
		Revision: in.current.Revision,
		Cluster:  in.cluster,
		Timing:   in.timing,
		Nodes:    fleetNodes(in.current.Nodes, in.nodes),
	}
	next.Groups = fleetGroups(in, next.Nodes)
	for i := range next.Groups {
		g := &next.Groups[i]
		// The sum fits: fleetGroups hands out no ID beyond maxGroups.
		g.VRID = uint8(int(in.vridBase) + g.ID) //nolint:gosec // bounded by maxGroups
		g.Priorities = priorities(next.Nodes, *g)
	}
	next.Groups = withAnchors(in.cluster, next.Groups)
	if in.current.Version == nodeconfig.Version && reflect.DeepEqual(normal(in.current), normal(next)) {
		return in.current
	}
	next.Revision = in.revision
	return next
}

// normal makes absent and empty lists the same, which encoding does not keep apart either.
func normal(f nodeconfig.Fleet) nodeconfig.Fleet {
	f.Revision = 0
	if len(f.Nodes) == 0 {
		f.Nodes = nil
	}
	f.Groups = slices.Clone(f.Groups)
	for i := range f.Groups {
		if len(f.Groups[i].Priorities) == 0 {
			f.Groups[i].Priorities = nil
		}
	}
	return f
}

// fleetNodes returns the nodes that can speak VRRP. One that has lost its addresses keeps those it had, since an
// address is missing from a Node object now and then while its kubelet starts; one that never had any is left out.
func fleetNodes(current, nodes []nodeconfig.Node) []nodeconfig.Node {
	var out []nodeconfig.Node
	for _, n := range nodes {
		n.Addresses = slices.Clone(n.Addresses)
		if len(n.Addresses) == 0 {
			if i := indexNode(current, n.Name); i >= 0 {
				n.Addresses = slices.Clone(current[i].Addresses)
			}
		}
		if len(n.Addresses) > 0 {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b nodeconfig.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func indexNode(nodes []nodeconfig.Node, name string) int {
	return slices.IndexFunc(nodes, func(n nodeconfig.Node) bool { return n.Name == name })
}

// maxGroups is how many groups there can be: VRIDs end at 255 (RFC 5798, 5.2.3).
func maxGroups(vridBase uint8) int { return 256 - int(vridBase) }

func fleetGroups(in fleetInput, nodes []nodeconfig.Node) []nodeconfig.Group {
	groups := map[int]nodeconfig.Group{}
	for _, g := range in.current.Groups {
		groups[g.ID] = nodeconfig.Group{ID: g.ID, Home: g.Home, Anchors: slices.Clone(g.Anchors)}
	}
	for id := range in.used {
		if _, ok := groups[id]; !ok {
			groups[id] = nodeconfig.Group{ID: id}
		}
	}
	homes := map[string]bool{}
	for id, g := range groups {
		if indexNode(nodes, g.Home) < 0 {
			g.Home = ""
			groups[id] = g
		} else {
			homes[g.Home] = true
		}
	}
	for _, n := range nodes {
		if homes[n.Name] {
			continue
		}
		if id, ok := lowestHomeless(groups, maxGroups(in.vridBase)); ok {
			g := groups[id]
			g.ID, g.Home = id, n.Name
			groups[id] = g
		}
	}
	var out []nodeconfig.Group
	for _, g := range groups {
		if g.ID < maxGroups(in.vridBase) && (g.Home != "" || in.used[g.ID]) {
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		out = []nodeconfig.Group{{ID: 0}}
	}
	slices.SortFunc(out, func(a, b nodeconfig.Group) int { return a.ID - b.ID })
	return out
}

// lowestHomeless returns the lowest ID of a group without home, founded or not.
func lowestHomeless(groups map[int]nodeconfig.Group, limit int) (int, bool) {
	for id := range limit {
		if groups[id].Home == "" {
			return id, true
		}
	}
	return 0, false
}
