package software

import (
	"reflect"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// fleetInput is everything that a fleet depends on.
type fleetInput struct {
	current nodeconfig.Fleet
	// nodes are those of the next fleet, sorted by name.
	nodes []nodeconfig.Node
	// known says that every node that reports runs the current fleet.
	known bool
	// load is how many virtual IPs the groups carry that a load balancer is in, by ID.
	load     map[int]int
	cluster  string
	vridBase uint8
	timing   nodeconfig.Timing
	witness  nodeconfig.Witness
	// rebalance is the ID of the last rebalancing that was asked for, empty for none.
	rebalance string
	// revision is what a changed fleet gets.
	revision int64
}

// nextFleet returns the fleet for the nodes there are.
//
// Groups are fixed slots: their IDs, VRIDs and anchors never change, an address stays in its group, and there are
// never fewer than there were. What follows the nodes is the order of the nodes in each group. A node that is gone
// drops out of the orders, so that its groups go to who comes next in them, which has them already. A new one is
// appended, lowest, and once it is a member, it gets its fair share by taking a few groups over; no other group moves.
// There are groups before there is any node, so that load balancers can be stored.
func nextFleet(in fleetInput) nodeconfig.Fleet {
	next := nodeconfig.Fleet{
		Version: nodeconfig.Version, Revision: in.current.Revision, Cluster: in.cluster,
		Timing: in.timing, Witness: in.witness, Nodes: in.nodes, Rebalanced: in.current.Rebalanced,
	}
	r := newRoster(in.current.Groups, in.nodes, in.load, maxGroups(in.vridBase))
	for _, s := range r.slots {
		if in.known || indexNode(in.nodes, s.Former) < 0 {
			s.Former = ""
		}
	}
	r.share(in.newMembers())
	r.found()
	if in.rebalance != "" && in.rebalance != in.current.Rebalanced && !r.moving() {
		r.rebalance()
		next.Rebalanced = in.rebalance
	}
	r.spread()
	for _, s := range r.slots {
		g := s.Group
		g.VRID = uint8(int(in.vridBase) + g.ID) //nolint:gosec // below 256, as newRoster lets no ID pass the limit
		g.Home = ""
		if len(s.order) > 0 {
			g.Home = s.order[0]
		}
		g.Priorities = priorities(s.order)
		next.Groups = append(next.Groups, g)
	}
	next.Groups = withAnchors(in.cluster, next.Groups)
	if in.current.Version == nodeconfig.Version && reflect.DeepEqual(normal(in.current), normal(next)) {
		return in.current
	}
	next.Revision = in.revision
	return next
}

// newMembers returns the nodes that were no members in the current fleet and are now.
func (in fleetInput) newMembers() []string {
	var out []string
	for _, n := range in.nodes {
		i := indexNode(in.current.Nodes, n.Name)
		if n.Phase == "" && (i < 0 || in.current.Nodes[i].Phase != "") {
			out = append(out, n.Name)
		}
	}
	return out
}

// moving reports whether a slot is on its way to a new home.
func (r *roster) moving() bool {
	return slices.ContainsFunc(r.slots, func(s *slot) bool { return s.Former != "" })
}

// normal makes absent and empty lists the same, which encoding does not keep apart either, and leaves out what is not
// worth a document of its own: that a move is over.
func normal(f nodeconfig.Fleet) nodeconfig.Fleet {
	f.Revision = 0
	if len(f.Nodes) == 0 {
		f.Nodes = nil
	}
	if len(f.Witness.Addresses) == 0 {
		f.Witness.Addresses = nil
	}
	f.Groups = slices.Clone(f.Groups)
	for i := range f.Groups {
		f.Groups[i].Former = ""
		if len(f.Groups[i].Priorities) == 0 {
			f.Groups[i].Priorities = nil
		}
	}
	return f
}
