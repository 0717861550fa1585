package nodeconfig

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// View is what one node runs.
type View struct {
	Node    Node
	Timing  Timing
	Witness Witness
	// Instances are sorted by group, IPv4 first. A node that joins has none; one that leaves still has its own.
	Instances []Instance
	// LoadBalancers are all load balancers, sorted by key: every node serves every one of them, so that it needs nothing
	// but the address to take over.
	LoadBalancers []lb.LoadBalancer
}

// Instance is a VRRP instance of a node: a group in one address family.
type Instance struct {
	Group  int
	Family lb.Family
	VRID   uint8
	// Priority is this node's, 1 to 254.
	Priority uint8
	// Source is this node's address for adverts.
	Source netip.Addr
	// Peers are the addresses of the other nodes that take part, sorted.
	Peers []netip.Addr
	// Anchor is the address in the adverts.
	Anchor netip.Addr
	// VIPs are the virtual IPs that the instance carries, sorted.
	VIPs []netip.Addr
}

// For returns what the node of that name runs. It fails when the fleet has no such node.
//
// There is an instance for each group and address family that the node takes part in (it has a priority and an address,
// the group an anchor), whether or not a virtual IP is in it: an instance that came with the first and went with the
// last would cost an election each time.
func (c Config) For(node string) (View, error) {
	i := slices.IndexFunc(c.Fleet.Nodes, func(n Node) bool { return n.Name == node })
	if i < 0 {
		return View{}, fmt.Errorf("node %q is not in the fleet", node)
	}
	v := View{Node: c.Fleet.Nodes[i], Timing: c.Fleet.Timing, Witness: c.Fleet.Witness}
	vips := make(map[int][]netip.Addr)
	all := c.LoadBalancers()
	if len(all) > 0 {
		v.LoadBalancers = make([]lb.LoadBalancer, len(all))
	}
	for i := range all {
		e := &all[i]
		v.LoadBalancers[i] = e.LoadBalancer
		vips[e.Group] = append(vips[e.Group], e.VIPs...)
	}
	if v.Node.Phase == PhaseJoining {
		return v, nil
	}
	for _, g := range c.Fleet.Groups {
		for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
			if in, ok := c.Fleet.instance(v.Node, g, f); ok {
				in.VIPs = ofFamily(vips[g.ID], f)
				v.Instances = append(v.Instances, in)
			}
		}
	}
	return v, nil
}

// instance returns the node's instance of a group in a family, without virtual IPs, if it takes part.
func (f Fleet) instance(n Node, g Group, family lb.Family) (Instance, bool) {
	source, hasSource := n.Address(family)
	anchors := ofFamily(g.Anchors, family)
	own := slices.IndexFunc(g.Priorities, func(p Priority) bool { return p.Node == n.Name })
	if !hasSource || len(anchors) == 0 || own < 0 {
		return Instance{}, false
	}
	in := Instance{
		Group: g.ID, Family: family, VRID: g.VRID, Priority: g.Priorities[own].Priority,
		Source: source, Anchor: anchors[0],
	}
	for _, peer := range f.Nodes {
		a, ok := peer.Address(family)
		takesPart := slices.ContainsFunc(g.Priorities, func(p Priority) bool { return p.Node == peer.Name })
		if ok && takesPart && peer.Name != n.Name {
			in.Peers = append(in.Peers, a)
		}
	}
	slices.SortFunc(in.Peers, netip.Addr.Compare)
	return in, true
}

// ofFamily returns the addresses of a family, sorted, each once.
func ofFamily(as []netip.Addr, f lb.Family) []netip.Addr {
	var out []netip.Addr
	for _, a := range as {
		if lb.FamilyOf(a) == f {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
