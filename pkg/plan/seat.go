package plan

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A spot is a port that those share who have an owner's addresses in common.
type spot struct {
	owner     lb.Key
	port      uint16
	transport lb.Transport
}

// A seat is a listener at a spot.
type seat struct {
	owner *candidate
	vips  []netip.Addr
	gone  bool
}

// manners say with whom a listener can be at a spot: only with those of the same, and with nobody unless social.
type manners struct {
	lb.Speech
	social bool
}

// A party is everybody at a spot, in the order in which they came.
type party struct {
	byManners map[manners][]*seat
	byHost    map[string][]*seat
}

// seating is who is where.
type seating map[spot]*party

func mannersOf(l lb.Listener) manners {
	speech, social := l.Speech()
	return manners{speech, social}
}

// take gives a candidate the seats of what it serves, or is to serve.
func (s seating) take(c *candidate, l lb.LoadBalancer) {
	for _, li := range l.Listeners {
		at := spot{l.Owner(), li.Port, li.Transport()}
		p := s[at]
		if p == nil {
			p = &party{byManners: map[manners][]*seat{}, byHost: map[string][]*seat{}}
			s[at] = p
		}
		taken := &seat{owner: c, vips: l.VIPs}
		c.seats = append(c.seats, taken)
		p.byManners[mannersOf(li)] = append(p.byManners[mannersOf(li)], taken)
		for _, r := range li.Routes {
			p.byHost[r.Host] = append(p.byHost[r.Host], taken)
		}
	}
}

// leave takes a candidate's seats away.
func (seating) leave(c *candidate) {
	for _, s := range c.seats {
		s.gone = true
	}
	c.seats = nil
}

// taken returns who keeps a candidate's listener from its spot, nil when nobody does: whoever has one of its hosts or
// other manners, or, in another namespace, a wildcard above one of its hosts. A host that it has already is no news to
// that one. The wildcard is returned, too.
func (s seating) taken(c *candidate, l lb.Listener, vips []netip.Addr) (by *seat, wildcard string) {
	p := s[spot{c.owner(), l.Port, l.Transport()}]
	if p == nil {
		return nil, ""
	}
	mine := mannersOf(l)
	for theirs := range p.byManners {
		if theirs != mine || !mine.social {
			by = earlier(by, p.among(theirs, c, vips))
		}
	}
	for _, r := range l.Routes {
		if by != nil {
			return by, ""
		}
		by = barring(p.byHost[r.Host], c, vips)
	}
	if by != nil {
		return by, ""
	}
	for _, r := range l.Routes {
		if r.Host == "" || has(c, l, r.Host) {
			continue
		}
		for h := lb.Parent(r.Host); h != ""; h = lb.Parent(h) {
			for _, o := range p.byHost[h] {
				if o.owner.key().Namespace != c.key().Namespace && o.bars(c, vips) {
					return o, h
				}
			}
		}
	}
	return nil, ""
}

// among returns the first of those of some manners who bars a candidate. Those who are gone from the front are
// forgotten.
func (p *party) among(m manners, c *candidate, vips []netip.Addr) *seat {
	all := p.byManners[m]
	for len(all) > 0 && all[0].gone {
		all = all[1:]
	}
	p.byManners[m] = all
	return barring(all, c, vips)
}

// barring returns the first seat that bars a candidate.
func barring(all []*seat, c *candidate, vips []netip.Addr) *seat {
	if i := slices.IndexFunc(all, func(s *seat) bool { return s.bars(c, vips) }); i >= 0 {
		return all[i]
	}
	return nil
}

// bars reports whether a seat is another one's, at an address that the candidate is to have.
func (s *seat) bars(c *candidate, vips []netip.Addr) bool {
	return !s.gone && s.owner != c &&
		slices.ContainsFunc(vips, func(a netip.Addr) bool { return slices.Contains(s.vips, a) })
}

// earlier returns the one of two seats whose owner has the smaller key: the parties' maps have no order.
func earlier(a, b *seat) *seat {
	if a == nil || b != nil && b.owner.key().Compare(a.owner.key()) < 0 {
		return b
	}
	return a
}

// has reports whether what is served of a candidate has a host at the spot of a listener already.
func has(c *candidate, l lb.Listener, host string) bool {
	return c.current != nil && !c.revoked && c.current.Owner() == c.owner() &&
		slices.ContainsFunc(c.current.Listeners, func(o lb.Listener) bool {
			return o.Clashes(l) && slices.ContainsFunc(o.Routes, func(r lb.Route) bool { return r.Host == host })
		})
}
