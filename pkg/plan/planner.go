package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// A class says when a wish's addresses are decided: what somebody claims comes before what anybody could have.
type class int

const (
	recorded class = iota
	requested
	plain
)

// A candidate is a wish on its way through the plan.
type candidate struct {
	wish    *lb.Wish
	current *lb.LoadBalancer
	class   class
	// families are wanted, IPv4 first.
	families []lb.Family
	// findings are the plan's own.
	findings []lb.Finding
	// vips are granted.
	vips []netip.Addr
	// seats are where it sits with those it shares with.
	seats []*seat
	// revoked says that the last good version shares an address where that is not wanted any more.
	revoked bool
}

// lastGood returns what is served in place of a wish that fails, nil when that is nothing.
func (c *candidate) lastGood() *lb.LoadBalancer {
	if c.revoked {
		return nil
	}
	return c.current
}

// failed reports whether the wish cannot be served.
func (c *candidate) failed() bool { return c.wish.Failed() || lb.HasErrors(c.findings) }

// owner returns what owns the addresses that the wish gets.
func (c *candidate) owner() lb.Key { return c.wish.LoadBalancer.Owner() }

// key returns the load balancer's key.
func (c *candidate) key() lb.Key { return c.wish.LoadBalancer.Origin.Key }

// A planner works one plan out.
//
// No address is ever given back while it works. Whatever a load balancer loses in this plan is still on the nodes, so
// it stays with its last owner; whoever is refused an address gets it in a later plan. This also makes every refusal
// final, so that a plan made of the result is the result.
type planner struct {
	pools        []ipam.Pool
	capabilities lb.Capabilities
	ledger       *ledger
	// candidates are sorted by seniority.
	candidates []*candidate
	current    map[lb.Key]*lb.LoadBalancer
	wishes     map[lb.Key]*candidate
	shares     *shares
	// careful leaves out what other wishes record or request, greedy does not.
	careful, greedy *ipam.Picker
	exhausted       map[scope]lb.Finding
}

// served returns the address of the family that the last good version has and that is the wish's to keep.
func (p *planner) served(c *candidate, f lb.Family) (netip.Addr, bool) {
	if c.current == nil {
		return netip.Addr{}, false
	}
	a, ok := ofFamily(c.current.VIPs, f)
	return a, ok && (p.ledger.owners[a] == c.owner() || p.renames(c, a))
}

// newPlanner adopts what is served and finds out which wishes can be served at all.
func newPlanner(in Input) *planner {
	p := &planner{
		pools: in.Pools, capabilities: in.Capabilities,
		current:   make(map[lb.Key]*lb.LoadBalancer, len(in.Current)),
		wishes:    make(map[lb.Key]*candidate, len(in.Wishes)),
		exhausted: map[scope]lb.Finding{},
	}
	p.ledger = newLedger(in.Withdrawn)
	p.adopt(in.Current)
	for i := range in.Wishes {
		p.candidates = append(p.candidates, &candidate{wish: &in.Wishes[i]})
	}
	slices.SortFunc(p.candidates, bySeniority)
	p.candidates = slices.DeleteFunc(p.candidates, func(c *candidate) bool {
		_, twice := p.wishes[c.key()]
		if !twice {
			p.wishes[c.key()] = c
		}
		return twice
	})
	for _, c := range p.candidates {
		c.current = withLeave(p.current[c.key()], c.wish.Leaves)
	}
	p.shares = newShares(p.candidates)
	for _, c := range p.candidates {
		p.prepare(c)
	}
	p.careful = ipam.NewPicker(in.Pools, p.ledger.takenOrWanted)
	p.greedy = ipam.NewPicker(in.Pools, p.ledger.taken)
	return p
}

// adopt takes over what is served, the older load balancer first. A backend never serves an address twice; should its
// memory say so all the same, the older one has it.
func (p *planner) adopt(current []lb.LoadBalancer) {
	sorted := make([]*lb.LoadBalancer, 0, len(current)) // for they are large, and sorting moves them about
	for i := range current {
		sorted = append(sorted, &current[i])
	}
	slices.SortFunc(sorted, func(a, b *lb.LoadBalancer) int { return originOrder(&a.Origin, &b.Origin) })
	for _, served := range sorted {
		l := *served
		if _, twice := p.current[l.Origin.Key]; twice {
			continue
		}
		l.VIPs = slices.DeleteFunc(slices.Clone(l.VIPs), func(a netip.Addr) bool { return !p.ledger.claim(a, l.Owner()) })
		if len(l.VIPs) > 0 {
			p.current[l.Origin.Key] = &l
		}
	}
}

// prepare decides what a wish is about, refuses what cannot be served, and enters what the rest claims.
func (p *planner) prepare(c *candidate) {
	if c.wish.Failed() {
		return
	}
	a := c.wish.Address
	if _, ok := ipam.Named(p.pools, a.Pool); a.Pool != "" && !ok {
		c.findings = append(c.findings, p.unknownPool(c.wish))
	}
	c.families = p.families(c)
	c.findings = append(c.findings, unsupported(c.wish, c.families, p.capabilities)...)
	c.findings = append(c.findings, tooLarge(c.wish, p.capabilities.MaxSize)...)
	c.findings = append(c.findings, p.shares.uninvited(c)...)
	if len(c.families) == 0 && !c.failed() {
		c.findings = append(c.findings, p.noPool(c.wish))
	}
	if c.failed() {
		return
	}
	switch {
	case len(a.Recorded) > 0:
		c.class = recorded
	case len(a.Requested) > 0:
		c.class = requested
	default:
		c.class = plain
	}
	p.ledger.want(a)
}

// families returns the wanted families. Without a word from the user it is the one that the pools have, but never such
// that a load balancer loses its only address because pools have changed.
func (p *planner) families(c *candidate) []lb.Family {
	a := c.wish.Address
	var wanted []lb.Family
	switch {
	case len(a.Families) > 0:
		wanted = slices.Clone(a.Families)
	case len(a.Requested) > 0:
		wanted = familiesOf(a.Requested)
	default:
		f, ok := p.defaultFamily(a.Pool)
		has := p.formerAddresses(c)
		if _, kept := ofFamily(has, f); len(has) > 0 && !kept {
			wanted = familiesOf(has)
		} else if ok {
			wanted = []lb.Family{f}
		}
	}
	slices.SortFunc(wanted, func(a, b lb.Family) int { return strings.Compare(string(a), string(b)) })
	return slices.Compact(wanted)
}

// formerAddresses returns what the last good version has or, when nothing is served, what the object's record says.
func (p *planner) formerAddresses(c *candidate) []netip.Addr {
	if c.current != nil {
		return c.current.VIPs
	}
	return slices.DeleteFunc(slices.Clone(c.wish.Address.Recorded), func(a netip.Addr) bool {
		return !p.allowed(c.wish, a)
	})
}

// defaultFamily returns IPv4 where the pools that would be used have it, else IPv6 where they have that.
func (p *planner) defaultFamily(pool string) (lb.Family, bool) {
	for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
		for _, q := range p.pools {
			if q.Has(f) && (q.Name == pool || pool == "" && !q.Manual) {
				return f, true
			}
		}
	}
	return "", false
}

// output puts the plan together.
func (p *planner) output() Output {
	byKey := slices.SortedFunc(slices.Values(p.candidates), func(a, b *candidate) int { return a.key().Compare(b.key()) })
	out := Output{
		Outcomes: make([]Outcome, 0, len(byKey)), LoadBalancers: make([]lb.LoadBalancer, 0, len(byKey)),
	}
	for _, c := range byKey {
		o := Outcome{Origin: c.wish.LoadBalancer.Origin, Findings: slices.Concat(c.wish.Findings, c.findings)}
		switch {
		case !c.failed():
			l := c.wish.LoadBalancer.Clone()
			l.VIPs = c.vips
			l.Normalize()
			out.LoadBalancers = append(out.LoadBalancers, l)
			o.VIPs = slices.Clone(l.VIPs)
		case c.lastGood() != nil:
			out.LoadBalancers = append(out.LoadBalancers, c.current.Clone())
			o.VIPs, o.Stale = slices.Clone(c.current.VIPs), true
		}
		o.Findings = append(o.Findings, p.strays(c.wish, o.VIPs)...)
		out.Outcomes = append(out.Outcomes, o)
	}
	return out
}

// bySeniority orders candidates by their right to what several want.
func bySeniority(a, b *candidate) int {
	return originOrder(&a.wish.LoadBalancer.Origin, &b.wish.LoadBalancer.Origin)
}

// originOrder orders objects by age, then key; the rest only makes the order total.
func originOrder(a, b *lb.Origin) int {
	if c := a.Created.Compare(b.Created); c != 0 {
		return c
	}
	return cmp.Or(a.Key.Compare(b.Key), strings.Compare(a.Kind, b.Kind), strings.Compare(a.UID, b.UID))
}

// familiesOf returns the families of addresses.
func familiesOf(addrs []netip.Addr) []lb.Family {
	fs := make([]lb.Family, 0, len(addrs))
	for _, a := range addrs {
		fs = append(fs, lb.FamilyOf(a))
	}
	return fs
}

// ofFamily returns the first address of a family.
func ofFamily(addrs []netip.Addr, f lb.Family) (netip.Addr, bool) {
	i := slices.IndexFunc(addrs, func(a netip.Addr) bool { return lb.FamilyOf(a) == f })
	if i < 0 {
		return netip.Addr{}, false
	}
	return addrs[i], true
}
