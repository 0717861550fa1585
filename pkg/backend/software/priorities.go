package software

import (
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// homePriority is a group's home's. It is below 255, which is the address owner's (RFC 5798, 5.2.4).
const homePriority = 200

// maxStep is the largest distance between two nodes' priorities. A distance of 50 separates the backups' timers by a
// fifth of an advert interval, so that only one of them takes over.
const maxStep = 50

// priorities returns the priorities of a group, sorted by node: the home first, then the nodes after it by name, round
// the circle. So the groups of a lost node are not all taken over by the same one. A group without home starts its
// circle at its ID. Nodes beyond the 199th after the home take no part.
func priorities(nodes []nodeconfig.Node, g nodeconfig.Group) []nodeconfig.Priority {
	n := len(nodes)
	if n == 0 {
		return nil
	}
	first := indexNode(nodes, g.Home)
	if first < 0 {
		first = g.ID % n
	}
	step := maxStep
	if n > 1 {
		step = max(1, min(maxStep, (homePriority-10)/(n-1)))
	}
	var out []nodeconfig.Priority
	for k := range n {
		p := homePriority - k*step
		if p < 1 {
			break
		}
		out = append(out, nodeconfig.Priority{
			Node:     nodes[(first+k)%n].Name,
			Priority: uint8(p), //nolint:gosec // 1 to 200
		})
	}
	slices.SortFunc(out, func(a, b nodeconfig.Priority) int { return strings.Compare(a.Node, b.Node) })
	return out
}
