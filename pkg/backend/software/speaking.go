package software

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// speaking returns the nodes with the addresses that they speak VRRP with: those that a node's daemon reports where it
// was told which interface to use, else those of the Node object.
func speaking(nodes []nodeconfig.Node, statuses map[string]nodeconfig.Status) []nodeconfig.Node {
	nodes = slices.Clone(nodes)
	for i, n := range nodes {
		var said []netip.Addr
		for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
			j := slices.IndexFunc(statuses[n.Name].Addresses, func(a netip.Addr) bool {
				return a.IsGlobalUnicast() && lb.FamilyOf(a) == f && a.Zone() == ""
			})
			if j >= 0 {
				said = append(said, statuses[n.Name].Addresses[j])
			}
		}
		if len(said) > 0 {
			nodes[i].Addresses = said
		}
	}
	return nodes
}
