package software

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The numbers of a group's order. All are below 255, which is the address owner's (RFC 5798, 5.2.4), and from lowest
// on, so that a node that is withheld, 127 lower, is below all that are not, and still above 0. The second is close to
// the home: the lower a priority, the later its node notices a death (RFC 5798, 6.1, Skew_Time). From the second down
// to the lowest they are spread, because a distance keeps two backups from taking over at once.
const (
	homePriority   = 254
	secondPriority = 236
	lowestPriority = 130
	// maxOrder is how many nodes take part in a group.
	maxOrder = secondPriority - lowestPriority + 2
)

// priorities numbers an order, sorted by node. The number follows from the rank alone. So when a node is put in front
// of the home, the former home's new number is the old one of the second, who can't come between the two, whichever of
// the nodes hears of it first.
func priorities(order []string) []nodeconfig.Priority {
	order = order[:min(len(order), maxOrder)]
	out := make([]nodeconfig.Priority, 0, len(order))
	for rank, node := range order {
		p := homePriority
		if rank > 0 {
			p = secondPriority - (rank-1)*(secondPriority-lowestPriority)/max(1, len(order)-2)
		}
		out = append(out, nodeconfig.Priority{Node: node, Priority: uint8(p)}) //nolint:gosec // 130 to 254
	}
	slices.SortFunc(out, func(a, b nodeconfig.Priority) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// orderOf returns the nodes of a group by priority, the highest first.
func orderOf(g nodeconfig.Group) []string {
	ps := slices.Clone(g.Priorities)
	slices.SortFunc(ps, func(a, b nodeconfig.Priority) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Node, b.Node))
	})
	out := make([]string, 0, len(ps))
	for _, p := range ps {
		out = append(out, p.Node)
	}
	return out
}
