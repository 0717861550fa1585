package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// shares knows who shares with whom, so that nobody has to look through all candidates for the few that matter.
type shares struct {
	// members are the candidates that have a share or had it, by its owner, sorted by key.
	members map[lb.Key][]*candidate
	// having are the candidates whose last good version has an address, in their order.
	having map[netip.Addr][]*candidate
	// guests are the namespaces that each share invites. Only what an object of the share's own namespace says counts.
	guests map[string][]string
	// hosted are the shares that an object of their own namespace has which could be read.
	hosted map[string]bool
	seats  seating
}

// newShares finds out who shares. The last good versions have their seats until a wish is granted.
func newShares(candidates []*candidate) *shares {
	s := &shares{
		members: map[lb.Key][]*candidate{}, having: map[netip.Addr][]*candidate{}, guests: map[string][]string{},
		hosted: map[string]bool{}, seats: seating{},
	}
	for _, c := range candidates {
		share := c.wish.LoadBalancer.Share
		if share != "" && namespaceOf(share) == c.key().Namespace {
			s.guests[share] = append(s.guests[share], c.wish.Address.ShareWith...)
			s.hosted[share] = s.hosted[share] || !c.wish.Failed()
		}
	}
	for _, c := range candidates {
		if c.wish.LoadBalancer.Share != "" {
			s.members[c.owner()] = append(s.members[c.owner()], c)
		}
		if c.current == nil {
			continue
		}
		for _, a := range c.current.VIPs {
			s.having[a] = append(s.having[a], c)
		}
		share, owner := c.current.Share, c.current.Owner()
		if share == "" {
			continue
		}
		if owner != c.owner() {
			s.members[owner] = append(s.members[owner], c)
		}
		// A share without a readable object of its own namespace has not revoked anything.
		c.revoked = !s.invited(share, c.key().Namespace) && s.hosted[share]
		if !c.revoked {
			s.seats.take(c, *c.current)
		}
	}
	for _, m := range s.members {
		slices.SortFunc(m, func(a, b *candidate) int { return a.key().Compare(b.key()) })
	}
	return s
}

// namespaceOf returns the namespace that a share belongs to.
func namespaceOf(share string) string {
	namespace, _, _ := strings.Cut(share, "/")
	return namespace
}

// invited reports whether objects of a namespace may have a share.
func (s *shares) invited(share, namespace string) bool {
	return namespaceOf(share) == namespace || slices.Contains(s.guests[share], namespace) ||
		slices.Contains(s.guests[share], "*")
}

// uninvited says that a wish shares with a namespace where nobody wants it.
func (s *shares) uninvited(c *candidate) []lb.Finding {
	share, own := c.wish.LoadBalancer.Share, c.key().Namespace
	if share == "" || s.invited(share, own) {
		return nil
	}
	return []lb.Finding{{Code: lb.CodeShareRefused, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
		"no load balancer of namespace %q shares %q with namespace %q; one there may do so by share-with-namespaces",
		namespaceOf(share), share, own)}}
}

// settle gives a candidate that has been granted its wish the seats of that, in place of those of its last good
// version.
func (s *shares) settle(c *candidate) {
	s.seats.leave(c)
	for _, a := range c.vips {
		s.having[a] = append(s.having[a], c)
	}
	if c.wish.LoadBalancer.Share != "" {
		l := c.wish.LoadBalancer
		l.VIPs = c.vips
		s.seats.take(c, l)
	}
}

// first returns the first load balancer with an owner's addresses, by key, as it will be served as far as that is
// decided and else as it is served; nil if there is none but the one left out.
func (s *shares) first(p *planner, owner, but lb.Key) *lb.LoadBalancer {
	for _, c := range s.members[owner] {
		if c.key() == but {
			continue
		}
		if l := p.serving(c.key()); l != nil && l.Owner() == owner && len(l.VIPs) > 0 {
			return l
		}
	}
	return nil
}

// other returns a load balancer with which a wish shares, nil when there is none.
func (p *planner) other(c *candidate) *lb.LoadBalancer {
	if c.wish.LoadBalancer.Share == "" {
		return nil
	}
	return p.shares.first(p, c.owner(), c.key())
}

// renames reports whether a load balancer that begins or ends to share keeps an address: nobody else has it, and nobody
// is to have it, so that it is only owned under another name from now on.
func (p *planner) renames(c *candidate, a netip.Addr) bool {
	if c.current == nil || c.current.Owner() == c.owner() || p.ledger.owners[a] != c.current.Owner() ||
		!slices.Contains(c.current.VIPs, a) {
		return false
	}
	if _, taken := p.ledger.of(c.owner(), lb.FamilyOf(a)); taken {
		return false
	}
	return !slices.ContainsFunc(p.shares.having[a], func(o *candidate) bool { return o != c })
}

// common returns the address that those have with whom the wish shares.
func (p *planner) common(c *candidate, f lb.Family) (netip.Addr, bool) {
	if c.wish.LoadBalancer.Share == "" {
		return netip.Addr{}, false
	}
	return p.ledger.of(c.owner(), f)
}

// collision says that one of those with whom the wish shares its addresses has a port already that it wants. Whoever is
// asked first has it; whoever is served is asked before the others, and then the older one.
func (p *planner) collision(c *candidate, vips []netip.Addr) *lb.Finding {
	if c.wish.LoadBalancer.Share == "" {
		return nil
	}
	for _, l := range c.wish.LoadBalancer.Listeners {
		taken, wildcard := p.shares.seats.taken(c, l, vips)
		switch {
		case taken == nil:
		case wildcard == "":
			return &lb.Finding{Code: lb.CodeAddressPortTaken, Field: c.wish.Fields.Port, Message: fmt.Sprintf(
				"port %d is served by %s, with which the address is shared; choose another port, or for HTTP other hosts, "+
					"spoken alike", l.Port, taken.owner.key())}
		default:
			return &lb.Finding{Code: lb.CodeAddressPortTaken, Field: c.wish.Fields.Host, Message: fmt.Sprintf(
				"%s of another namespace has %q at port %d of the shared address, and with it all hosts below; choose "+
					"another host or port", taken.owner.key(), wildcard, l.Port)}
		}
	}
	return nil
}

// settled says that the shared address is not the requested one.
func (p *planner) settled(c *candidate, served netip.Addr, other *lb.LoadBalancer) lb.Finding {
	return lb.Finding{Code: lb.CodeAddressTaken, Field: c.wish.Fields.Requested, Message: fmt.Sprintf(
		"the address shared with %s is %s; request that or none, or share with nobody", other.Origin.Key, served)}
}
