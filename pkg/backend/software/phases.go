package software

import (
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// nodesInput is everything that the nodes of a fleet depend on.
type nodesInput struct {
	current nodeconfig.Fleet
	// nodes are those of the cluster.
	nodes []nodeconfig.Node
	// statuses are by node.
	statuses map[string]nodeconfig.Status
	now      time.Time
	// revision is what a changed fleet gets.
	revision int64
	// leaves says that a member begins to leave in this step, for another address.
	leaves bool
}

// nextNodes returns the nodes of the next fleet, sorted by name, each in its phase:
//
//	labelled ──► Joining ──────► member ──────► Leaving ──────► gone
//	             ▲    everybody          label        it is │
//	             │    knows it           gone        silent │
//	             └──────────────────────────────────────────┘ label back
//
// Two owners of an address arise where two nodes do not know each other, so nobody announces before everybody knows
// it, and nobody is forgotten before it is silent (nodeconfig, Fleet.Awaited). Under another address a node is another
// one to its peers: it leaves under the old one and joins under the new one, one node at a time. A newcomer of a fleet
// that has no nodes and that nobody runs is a member at once, for there is nobody who could miss it: the first start
// has no barrier.
func nextNodes(in nodesInput) []nodeconfig.Node {
	labelled := addressed(in.current.Nodes, in.nodes)
	var out []nodeconfig.Node
	for _, n := range labelled {
		if i := indexNode(in.current.Nodes, n.Name); i >= 0 {
			n = in.stay(n, in.current.Nodes[i])
			in.leaves = in.leaves || n.Phase == nodeconfig.PhaseLeaving
		} else if !in.mayStart(n.Name) {
			n.Phase, n.Since = nodeconfig.PhaseJoining, in.revision
		}
		out = append(out, n)
	}
	for _, n := range in.current.Nodes {
		if indexNode(labelled, n.Name) >= 0 {
			continue
		}
		if n.Phase != nodeconfig.PhaseLeaving {
			n.Phase, n.Since = nodeconfig.PhaseLeaving, in.revision
		}
		if len(in.current.Awaited(n, in.statuses, in.now)) > 0 {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b nodeconfig.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// stay returns the next phase of a node that is and shall be in the fleet. One that leaves does so to the end before it
// joins again. One that joins waits also while a group is on its way to a new home, so that none gets two in a row.
func (in nodesInput) stay(n, current nodeconfig.Node) nodeconfig.Node {
	waits := len(in.current.Awaited(current, in.statuses, in.now)) > 0
	moves := !slices.Equal(n.Addresses, current.Addresses)
	switch {
	case current.Phase == nodeconfig.PhaseLeaving && !waits, current.Phase == nodeconfig.PhaseJoining && moves:
		n.Phase, n.Since = nodeconfig.PhaseJoining, in.revision
	case current.Phase == nodeconfig.PhaseLeaving:
		n = current
	case moves && !in.settled():
		n = current
	case moves:
		n = current
		n.Phase, n.Since = nodeconfig.PhaseLeaving, in.revision
	case waits || current.Phase != "" && in.moving():
		n.Phase, n.Since = current.Phase, current.Since
	}
	return n
}

// settled reports whether no living node is on its way, so that one that is a member may be.
func (in nodesInput) settled() bool {
	return !in.leaves && !in.moving() && !slices.ContainsFunc(in.current.Nodes, func(n nodeconfig.Node) bool {
		s, reported := in.statuses[n.Name]
		return n.Phase != "" && reported && !s.Stale(in.now)
	})
}

// moving reports whether a group's new home is not known to every node yet.
func (in nodesInput) moving() bool {
	return slices.ContainsFunc(in.current.Groups, func(g nodeconfig.Group) bool { return g.Former != "" }) &&
		!in.current.Known(in.statuses, in.now)
}

// mayStart reports whether a newcomer may be a member at once: while no node of the fleet has reported that it was told
// anything, there is nobody who could miss it. So nodes that are labelled one after the other start together. One that
// runs a fleet already is there before the document, which somebody must have deleted.
func (in nodesInput) mayStart(name string) bool {
	runs := func(s nodeconfig.Status) bool {
		return s.Running.Fleet > 0 && s.Share.State != nodeconfig.ShareSilent
	}
	if len(in.current.Nodes) == 0 && runs(in.statuses[name]) {
		return true
	}
	for _, n := range in.current.Nodes {
		if s := in.statuses[n.Name]; s.Wanted.Fleet > 0 || s.Running.Fleet > 0 {
			return false
		}
	}
	for _, s := range in.statuses {
		if runs(s) && !s.Stale(in.now) {
			return false
		}
	}
	return true
}

// addressed returns the nodes that can speak VRRP. One that has lost its addresses keeps those it had, since an
// address is missing from a Node object now and then while its kubelet starts; one that never had any is left out.
func addressed(current, nodes []nodeconfig.Node) []nodeconfig.Node {
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
	return out
}

func indexNode(nodes []nodeconfig.Node, name string) int {
	return slices.IndexFunc(nodes, func(n nodeconfig.Node) bool { return n.Name == name })
}
