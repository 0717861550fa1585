package software

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// next returns the entry of a load balancer, with those of its addresses that no node can have in another group: in two
// groups an address has two owners until every node has heard. Those that share an address are in one group, so that
// one of them may have to give up what it had in another. It has that back when no node can hold it any more, and is
// left out until then when it has nothing else. stored is nil for a new one.
func (a *arranger) next(w lb.LoadBalancer, stored *nodeconfig.Entry) (e nodeconfig.Entry, ok bool) {
	e = nodeconfig.Entry{
		LoadBalancer: w, Group: a.groupOf(w, stored), Requires: nodeconfig.Requires(w), Revision: a.in.revision,
	}
	if stored != nil {
		e.Revision = stored.Revision
		if len(stored.Unread()) > 0 && alike(stored.LoadBalancer, w) {
			e.Requires = stored.Requires
		}
		if stored.Group == e.Group && slices.Equal(stored.VIPs, w.VIPs) {
			return e, true
		}
	}
	e.VIPs = a.within(w.VIPs, e.Group)
	if len(e.VIPs) == 0 && stored != nil && !a.joined(w, e.Group) {
		e.Group = stored.Group
		e.VIPs = a.within(w.VIPs, e.Group)
	}
	return e, len(e.VIPs) > 0 || len(w.VIPs) == 0
}

// within returns the addresses that no node can have in another group.
func (a *arranger) within(vips []netip.Addr, group int) []netip.Addr {
	if a.carried == nil {
		a.carry()
	}
	return slices.DeleteFunc(slices.Clone(vips), func(v netip.Addr) bool {
		return slices.ContainsFunc(a.carried[v], func(g int) bool { return g != group })
	})
}

// joined reports whether somebody has an address of a load balancer in common with it, and another in a group: only
// then the load balancer has to go there.
func (a *arranger) joined(w lb.LoadBalancer, group int) bool {
	for _, key := range a.keys {
		o := a.want[key]
		if o.Owner() == w.Owner() && len(without(o.VIPs, w.VIPs)) < len(o.VIPs) &&
			slices.ContainsFunc(o.VIPs, func(v netip.Addr) bool { return slices.Contains(a.carried[v], group) }) {
			return true
		}
	}
	return false
}

// carry notes the groups that nodes may have addresses in. A group that the fleet does not have is in no node.
func (a *arranger) carry() {
	a.carried = map[netip.Addr][]int{}
	add := func(vips []netip.Addr, group int) {
		if _, known := a.known[group]; !known {
			return
		}
		for _, v := range vips {
			if !slices.Contains(a.carried[v], group) {
				a.carried[v] = append(a.carried[v], group)
			}
		}
	}
	for _, es := range [][]entry{a.in.snapshot.valid, a.in.snapshot.stale} {
		for _, e := range es {
			add(e.VIPs, e.Group)
		}
	}
	for name, s := range a.in.snapshot.shards {
		for _, w := range s.Withdrawn {
			if len(a.in.snapshot.pending(name, w.Revision)) > 0 {
				add(w.VIPs, w.Group)
			}
		}
	}
}

// alike reports whether a load balancer asks for the same as its stored version, as far as this program reads that:
// the addresses of targets and the versions of certificates do not count. A controller that is older than the one that
// stored it keeps it so, without what it does not know; the nodes must still be told that there is more, or they would
// serve it without, such as in clear text.
func alike(stored, w lb.LoadBalancer) bool {
	return same(&nodeconfig.Entry{LoadBalancer: asked(stored)}, &nodeconfig.Entry{LoadBalancer: asked(w)})
}

// asked returns a load balancer without what comes and goes while the same is asked for.
func asked(l lb.LoadBalancer) lb.LoadBalancer {
	l = l.Clone()
	l.VIPs = nil
	for i := range l.Listeners {
		for j := range l.Listeners[i].Routes {
			r := &l.Listeners[i].Routes[j]
			r.Target.Endpoints = nil
			for k := range r.Others {
				r.Others[k].Endpoints = nil
			}
		}
	}
	for _, c := range l.Certificates() {
		*c = lb.Certificate{Secret: c.Secret}
	}
	for _, b := range l.CABundles() {
		b.Material = lb.Material{}
	}
	return l
}
