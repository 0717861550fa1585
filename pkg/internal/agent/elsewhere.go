package agent

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// elsewhere returns those of the node's addresses in the fleet that another interface has than the one for virtual IPs,
// and which. One that no interface has may be back soon.
func (p preparation) elsewhere(asked nodeconfig.Config, iface string) map[netip.Addr]string {
	i := slices.IndexFunc(asked.Fleet.Nodes, func(n nodeconfig.Node) bool { return n.Name == p.options.Node })
	if i < 0 || iface == "" {
		return nil
	}
	out := make(map[netip.Addr]string)
	here, err := ifaddr.List(iface)
	if err != nil {
		return nil // nothing can be announced there, and that is said elsewhere
	}
	for _, a := range asked.Fleet.Nodes[i].Addresses {
		if has(here, a) {
			continue
		}
		if other, err := ifaddr.Find(a); err == nil && other != loopback {
			out[a] = other
		}
	}
	return out
}

// leaveOut takes the instances out that would have to speak from an address of another interface, and says so.
func (c *candidate) leaveOut(elsewhere map[netip.Addr]string, node string) {
	told := make(map[netip.Addr]bool)
	c.view.Instances = slices.DeleteFunc(c.view.Instances, func(i nodeconfig.Instance) bool {
		other, out := elsewhere[i.Source]
		if out && !told[i.Source] {
			told[i.Source] = true
			c.own = append(c.own, nodeconfig.NodeFinding{Finding: lb.Finding{
				Code: lb.CodeNodeRefused,
				Message: fmt.Sprintf("node %s is known by its address %s, which is on %s and not on %s, the interface for virtual "+
					"IPs: it announces no %s address; it goes on when the fleet knows an address of %s, or see --interface",
					node, i.Source, other, c.iface, i.Family, c.iface),
			}})
		}
		return out
	})
	if len(told) > 0 && len(c.view.Instances) == 0 && c.silence == "" {
		c.silence = "its address is not on the interface for virtual IPs"
	}
}

// spoken returns the addresses that the node is to speak VRRP with: of each family the one from before if the interface
// still has it, else its lowest that is no virtual IP, else the one from before, which may be back soon.
func spoken(before, have, ours []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
		old := slices.IndexFunc(before, func(a netip.Addr) bool { return lb.FamilyOf(a) == f && !has(ours, a) })
		if old >= 0 && has(have, before[old]) {
			out = append(out, before[old])
			continue
		}
		i := slices.IndexFunc(have, func(a netip.Addr) bool {
			return lb.FamilyOf(a) == f && a.IsGlobalUnicast() && !has(ours, a)
		})
		if i >= 0 {
			out = append(out, have[i])
		} else if old >= 0 {
			out = append(out, before[old])
		}
	}
	return out
}
