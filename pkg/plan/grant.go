package plan

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// grant finds an address of every wanted family and claims them all, or none. It returns false when the wish has to
// wait until others, whose claims are stronger, have had their turn; the last time it does not wait.
func (p *planner) grant(c *candidate, last bool) bool {
	var vips []netip.Addr
	for _, f := range c.families {
		a, finding, wait := p.address(c, f, last)
		if wait {
			c.findings = nil
			return false
		}
		if finding != nil {
			c.findings = append(c.findings, *finding)
			continue
		}
		vips = append(vips, a)
	}
	if finding := p.collision(c, vips); finding != nil && !c.failed() {
		c.findings = append(c.findings, *finding)
	}
	if c.failed() {
		return true
	}
	for _, a := range vips {
		if p.renames(c, a) {
			p.ledger.give(a, c.owner())
		}
		p.ledger.claim(a, c.owner())
	}
	c.vips = vips
	p.shares.settle(c)
	return true
}

// address finds an address of one family.
func (p *planner) address(c *candidate, f lb.Family, last bool) (a netip.Addr, finding *lb.Finding, wait bool) {
	served, isServed := p.served(c, f)
	if common, ok := p.common(c, f); ok && !isServed {
		served, isServed = common, true
	}
	if want, ok := ofFamily(c.wish.Address.Requested, f); ok {
		if isServed && want == served {
			return served, nil, false
		}
		if other := p.other(c); isServed && other != nil {
			return netip.Addr{}, new(p.settled(c, served, other)), false
		}
		return p.request(c, want, last)
	}
	if isServed {
		return served, nil, false
	}
	if a, ok := p.former(c, f); ok {
		return a, nil, false
	}
	picker := p.careful
	if last {
		picker = p.greedy
	}
	if a, ok := picker.Pick(f, c.wish.Address.Pool); ok {
		return a, nil, false
	}
	if !last {
		return netip.Addr{}, nil, true
	}
	return netip.Addr{}, new(p.noneLeft(c.wish, f)), false
}

// request finds out whether a requested address can be had.
func (p *planner) request(c *candidate, want netip.Addr, last bool) (a netip.Addr, finding *lb.Finding, wait bool) {
	switch {
	case !p.allowed(c.wish, want):
		return netip.Addr{}, new(p.outside(c.wish, want)), false
	case !p.ledger.free(want, c.key(), c.owner()):
		return netip.Addr{}, new(p.occupied(c.wish, want)), false
	case !last && p.ledger.recorded[want] && !slices.Contains(c.wish.Address.Recorded, want):
		return netip.Addr{}, nil, true
	}
	return want, nil, false
}

// former returns an address that the object had before, by its own record or by that of the nodes that have not let go
// of it: a replaced object keeps its address.
func (p *planner) former(c *candidate, f lb.Family) (netip.Addr, bool) {
	for _, a := range c.wish.Address.Recorded {
		if lb.FamilyOf(a) == f && p.allowed(c.wish, a) && p.ledger.free(a, c.key(), c.owner()) {
			return a, true
		}
	}
	for _, a := range p.ledger.held[c.key()] {
		if lb.FamilyOf(a) == f && p.allocatable(c.wish, a) && p.ledger.free(a, c.key(), c.owner()) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// allowed reports whether the wish may claim the address: it lies in the named pool or, without a name, in any.
func (p *planner) allowed(w *lb.Wish, a netip.Addr) bool {
	pool, ok := ipam.Holding(p.pools, a)
	return ok && (w.Address.Pool == "" || w.Address.Pool == pool.Name)
}

// allocatable reports whether the wish may be given the address without having claimed it.
func (p *planner) allocatable(w *lb.Wish, a netip.Addr) bool {
	pool, ok := ipam.Holding(p.pools, a)
	return ok && (w.Address.Pool == pool.Name || w.Address.Pool == "" && !pool.Manual)
}
