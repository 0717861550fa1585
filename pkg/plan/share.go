package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// renames reports whether a load balancer that begins or ends to share keeps an address: nobody else has it, and nobody
// is to have it, so that it is only owned under another name from now on.
func (p *planner) renames(c *candidate, a netip.Addr) bool {
	if c.current == nil || c.current.Owner() == c.owner() || p.ledger.owners[a] != c.current.Owner() ||
		!slices.Contains(c.current.VIPs, a) {
		return false
	}
	if _, taken := p.ofOwner(c.owner(), lb.FamilyOf(a)); taken {
		return false
	}
	return !slices.ContainsFunc(p.candidates, func(o *candidate) bool {
		return o != c && (slices.Contains(o.vips, a) || o.current != nil && slices.Contains(o.current.VIPs, a))
	})
}

// ofOwner returns the address of a family that an owner has, the smallest if there are several.
func (p *planner) ofOwner(owner lb.Key, f lb.Family) (netip.Addr, bool) {
	var found []netip.Addr
	for a, o := range p.ledger.owners {
		if o == owner && lb.FamilyOf(a) == f {
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return netip.Addr{}, false
	}
	return slices.MinFunc(found, netip.Addr.Compare), true
}

// common returns the address that those have with whom the wish shares.
func (p *planner) common(c *candidate, f lb.Family) (netip.Addr, bool) {
	if c.wish.LoadBalancer.Share == "" {
		return netip.Addr{}, false
	}
	return p.ofOwner(c.owner(), f)
}

// others returns the load balancers with whom a wish shares, as they will be served as far as that is decided, and else
// as they are served; sorted by key.
func (p *planner) others(c *candidate) []*lb.LoadBalancer {
	if c.wish.LoadBalancer.Share == "" {
		return nil
	}
	var out []*lb.LoadBalancer
	for _, key := range slices.SortedFunc(maps.Keys(p.wishes), lb.Key.Compare) {
		if key == c.key() {
			continue
		}
		if l := p.serving(key); l != nil && l.Owner() == c.owner() && len(l.VIPs) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// collision says that one of those with whom the wish shares its addresses has a port already that it wants. Whoever is
// asked first has it; whoever is served is asked before the others, and then the older one.
func (p *planner) collision(c *candidate, vips []netip.Addr) *lb.Finding {
	for _, o := range p.others(c) {
		port, collides := c.wish.LoadBalancer.Collides(*o)
		both := slices.ContainsFunc(vips, func(a netip.Addr) bool { return slices.Contains(o.VIPs, a) })
		if collides && both {
			return &lb.Finding{Code: lb.CodeAddressPortTaken, Field: c.wish.Fields.Port, Message: fmt.Sprintf(
				"port %d is served by %s, with which the address is shared; choose another port, or for HTTP other hosts, "+
					"spoken alike", port, o.Origin.Key)}
		}
	}
	return nil
}

// settled says that the shared address is not the requested one.
func (p *planner) settled(c *candidate, served netip.Addr, other *lb.LoadBalancer) lb.Finding {
	return lb.Finding{Code: lb.CodeAddressTaken, Field: c.wish.Fields.Requested, Message: fmt.Sprintf(
		"the address shared with %s is %s; request that or none, or share with nobody", other.Origin.Key, served)}
}

// uninvited says that a wish shares with a namespace where nobody wants it.
func (p *planner) uninvited(c *candidate) []lb.Finding {
	share := c.wish.LoadBalancer.Share
	namespace, _, _ := strings.Cut(share, "/")
	own := c.key().Namespace
	if share == "" || namespace == own || slices.ContainsFunc(p.candidates, func(o *candidate) bool {
		with := o.wish.Address.ShareWith
		return o.wish.LoadBalancer.Share == share && o.key().Namespace == namespace &&
			(slices.Contains(with, own) || slices.Contains(with, "*"))
	}) {
		return nil
	}
	return []lb.Finding{{Code: lb.CodeShareRefused, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
		"no load balancer of namespace %q shares %q with namespace %q; one there may do so by share-with-namespaces",
		namespace, share, own)}}
}
