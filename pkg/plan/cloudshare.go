package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// cloudShares knows who shares a load balancer of a cloud. Its address is the cloud's to choose, so that a common one
// stands for whatever it is.
type cloudShares struct {
	shares *shares
	// candidates are those who share, or did, by key.
	candidates map[lb.Key]*candidate
	// sharers are those who are in a share, by its owner: who was first is so here. They are alike in all that a load
	// balancer has once, so that whoever goes leaves it as it is.
	sharers map[lb.Key][]lb.LoadBalancer
	// known are the addresses that those who share have, by their owner.
	known map[lb.Key][]netip.Addr
}

// common stands for the address that those have who share.
func common() []netip.Addr { return []netip.Addr{netip.IPv4Unspecified()} }

// newCloudShares decides who may share with whom: whoever is served is asked first, then whoever was, then the older.
// The findings of the rest are the candidates'; what else is wrong with them is given by key.
func newCloudShares(
	wishes []lb.Wish, current map[lb.Key]*lb.LoadBalancer, wrong map[lb.Key][]lb.Finding,
) *cloudShares {
	s := &cloudShares{
		candidates: map[lb.Key]*candidate{}, sharers: map[lb.Key][]lb.LoadBalancer{}, known: map[lb.Key][]netip.Addr{},
	}
	var all []*candidate
	for i := range wishes {
		if c := s.candidate(&wishes[i], current); c != nil {
			c.findings = slices.Clone(wrong[c.key()])
			all = append(all, c)
			s.candidates[c.key()] = c
		}
	}
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(standing(a), standing(b)), bySeniority(a, b))
	})
	s.shares = newShares(all)
	for _, c := range all {
		if c.failed() {
			s.stay(c)
		}
	}
	p := &planner{shares: s.shares}
	for _, c := range all {
		if c.failed() || c.wish.LoadBalancer.Share == "" {
			continue
		}
		c.findings = append(c.findings, s.shares.uninvited(c)...)
		c.findings = append(c.findings, s.differs(c)...)
		if f := p.collision(c, common()); f != nil && !c.failed() {
			c.findings = append(c.findings, *f)
		}
		if !c.failed() {
			c.vips = common()
			s.shares.settle(c)
			s.enter(wished(c.wish))
		} else {
			s.stay(c)
		}
	}
	return s
}

// candidate returns a wish's candidate, nil where it neither shares nor did.
func (s *cloudShares) candidate(w *lb.Wish, current map[lb.Key]*lb.LoadBalancer) *candidate {
	c := &candidate{wish: w}
	if last := withLeave(current[c.key()], w.Leaves); last != nil {
		if last.Share != "" && last.Owner() == c.owner() {
			s.known[c.owner()] = last.VIPs
		}
		l := *last
		l.VIPs = common()
		c.current = &l
	}
	if w.LoadBalancer.Share == "" && (c.current == nil || c.current.Share == "") {
		return nil
	}
	return c
}

// standing ranks those who share by what they have already. Where nothing is known to be served, as after a start, what
// the object says of itself counts.
func standing(c *candidate) int {
	a := c.wish.Address
	switch {
	case c.current != nil && c.current.Owner() == c.owner() && len(c.current.Listeners) > 0:
		return 0
	case len(a.Recorded) > 0 && !a.Troubled:
		return 1
	case len(a.Recorded) > 0:
		return 2
	default:
		return 3
	}
}

// wished returns the load balancer that a wish is about, as a cloud is asked for it.
func wished(w *lb.Wish) lb.LoadBalancer {
	l := w.LoadBalancer.Clone()
	l.VIPs = slices.Clone(w.Address.Requested)
	l.Cloud.Recorded = slices.Clone(w.Address.Recorded)
	l.Cloud.IPv4 = slices.Contains(w.Address.Families, lb.IPv4)
	l.Cloud.IPv6 = slices.Contains(w.Address.Families, lb.IPv6)
	return l
}

// enter notes that somebody is in a share.
func (s *cloudShares) enter(l lb.LoadBalancer) {
	s.sharers[l.Owner()] = append(s.sharers[l.Owner()], l)
}

// stay notes that somebody with errors goes on in a share as before.
func (s *cloudShares) stay(c *candidate) {
	if c.current != nil && c.current.Share != "" && !c.revoked && len(c.current.Listeners) > 0 {
		s.enter(*c.current)
	}
}

// leaves reports whether a load balancer has to leave those it shares with: they have taken back that it may. Where
// nothing is known of it, as after a start, it does so only with the address of those it names, or none: another one is
// that of a load balancer of its own, which it keeps.
func (s *cloudShares) leaves(c *candidate) bool {
	if c == nil || c.revoked {
		return c != nil
	}
	share, recorded := c.wish.LoadBalancer.Share, c.wish.Address.Recorded
	refused := share != "" && s.shares.hosted[share] && !s.shares.invited(share, c.key().Namespace)
	if c.current != nil || !refused {
		return false
	}
	has := s.addresses(c.owner(), s.sharers[c.owner()])
	return len(recorded) == 0 || slices.ContainsFunc(recorded, func(a netip.Addr) bool { return slices.Contains(has, a) })
}

// differs says what a wish asks for that those it shares with have otherwise.
func (s *cloudShares) differs(c *candidate) (fs []lb.Finding) {
	others := slices.DeleteFunc(slices.Clone(s.sharers[c.owner()]), func(l lb.LoadBalancer) bool {
		return l.Origin.Key == c.key()
	})
	if len(others) == 0 {
		return s.changes(c)
	}
	first, mine := others[0], wished(c.wish)
	has := s.addresses(c.owner(), others)
	for _, a := range mine.VIPs {
		granted := func(l lb.LoadBalancer) bool { return slices.Contains(l.VIPs, a) }
		if len(has) > 0 && !slices.Contains(has, a) && !slices.ContainsFunc(others, granted) {
			fs = append(fs, lb.Finding{Code: lb.CodeAddressTaken, Field: c.wish.Fields.Requested, Message: fmt.Sprintf(
				"the address shared with %s is %s; request that or none, or share with nobody", first.Origin.Key, texts(has))})
		}
	}
	for _, o := range onceOf(mine.Cloud, first.Cloud) {
		if o.mine != o.theirs {
			fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
				"the load balancer is shared with %s, which was first and has another %s, and Octavia has that once for all; "+
					"give both the same, or share with nobody", first.Origin.Key, o.key)})
		}
	}
	for _, o := range others {
		fs = append(fs, differsAtPort(c, mine, o)...)
	}
	return fs
}

// changes says what a wish that is asked first would change of what those have who are in the share already and do not
// ask for the same: they go on, and so it stays.
func (s *cloudShares) changes(c *candidate) (fs []lb.Finding) {
	mine, has := wished(c.wish), s.known[c.owner()]
	for _, o := range s.shares.members[c.owner()] {
		if o == c || !o.goesOn(c.owner()) {
			continue
		}
		for _, a := range mine.VIPs {
			if len(has) > 0 && !slices.Contains(has, a) && !slices.Contains(o.wish.Address.Requested, a) {
				fs = append(fs, lb.Finding{Code: lb.CodeAddressTaken, Field: c.wish.Fields.Requested, Message: fmt.Sprintf(
					"the address shared with %s is %s, and that one does not ask for another; request the same for both, or share "+
						"with nobody", o.key(), texts(has))})
			}
		}
		next := onceOf(mine.Cloud, wished(o.wish).Cloud)
		for i, x := range onceOf(mine.Cloud, o.current.Cloud) {
			if x.mine != x.theirs && x.mine != next[i].theirs {
				fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
					"the load balancer is shared with %s, which is served and has another %s, and Octavia has that once for all; "+
						"give both the same, or share with nobody", o.key(), x.key)})
			}
		}
		if len(fs) > 0 {
			return fs
		}
	}
	return nil
}

// goesOn reports whether somebody is served in a share, and is to be.
func (c *candidate) goesOn(owner lb.Key) bool {
	return !c.failed() && !c.revoked && c.owner() == owner && c.current != nil && c.current.Owner() == owner &&
		len(c.current.Listeners) > 0
}

// addresses returns those that a share has, or that somebody in it asks for; none where any would do.
func (s *cloudShares) addresses(owner lb.Key, others []lb.LoadBalancer) []netip.Addr {
	if known := s.known[owner]; len(known) > 0 {
		return known
	}
	for _, l := range others {
		if len(l.VIPs) > 0 && !slices.Equal(l.VIPs, common()) {
			return l.VIPs
		}
	}
	for _, l := range others {
		if len(l.Cloud.Recorded) > 0 {
			return l.Cloud.Recorded
		}
	}
	return nil
}

// once is what a load balancer has once, whoever shares it.
type once struct{ key, mine, theirs string }

func onceOf(m, t lb.Cloud) []once {
	yes := map[bool]string{true: "true"}
	family := func(c lb.Cloud) string { return yes[c.IPv4] + "," + yes[c.IPv6] }
	return []once{
		{"vip-subnet", m.Subnet, t.Subnet}, {"vip-subnet-ipv6", m.SubnetIPv6, t.SubnetIPv6},
		{"vip-network", m.Network, t.Network}, {"vip-port", m.Port, t.Port}, {"ip-families", family(m), family(t)},
		{"flavor", m.Flavor, t.Flavor}, {"availability-zone", m.Zone, t.Zone}, {"octavia-provider", m.Driver, t.Driver},
		{"internal", yes[m.Internal], yes[t.Internal]},
		{"floating-network", m.FloatingNetwork, t.FloatingNetwork}, {"floating-subnet", m.FloatingSubnet, t.FloatingSubnet},
		{"keep-floating-ip", yes[m.KeepFloating], yes[t.KeepFloating]}, {"adopt", m.Adopt, t.Adopt},
	}
}

// differsAtPort says what a wish asks for at a port where somebody else has it otherwise: a listener has it once.
func differsAtPort(c *candidate, mine, other lb.LoadBalancer) (fs []lb.Finding) {
	for _, l := range mine.Listeners {
		for _, x := range other.Listeners {
			if l.Clashes(x) && l.Protocol == lb.HTTP && x.Protocol == lb.HTTP && !alike(l, x, mine.Cloud, other.Cloud) {
				fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
					"port %d is shared with %s, and Octavia has allowed-source-ranges, max-connections, times and forwarded "+
						"headers once for a port; give both the same, or choose another port", l.Port, other.Origin.Key)})
			}
		}
	}
	return fs
}

// alike compares what Octavia has once for a listener.
func alike(a, b lb.Listener, x, y lb.Cloud) bool {
	return slices.Equal(a.Options.Sources, b.Options.Sources) && a.Options.Timeouts == b.Options.Timeouts &&
		a.Options.Limits == b.Options.Limits && x.ClientTimeout == y.ClientTimeout &&
		x.InspectTimeout == y.InspectTimeout && x.NoForwardedFor == y.NoForwardedFor
}

// adapt gives a load balancer what those it shares with have once for all.
func (s *cloudShares) adapt(l *lb.LoadBalancer) {
	others := s.sharers[l.Owner()]
	if l.Share == "" || len(others) == 0 {
		return
	}
	for _, o := range others {
		if len(o.VIPs) > 0 && !slices.Equal(o.VIPs, common()) {
			l.VIPs = slices.Clone(o.VIPs)
			break
		}
	}
	t, c := others[0].Cloud, &l.Cloud
	c.Subnet, c.SubnetIPv6, c.Network, c.Port = t.Subnet, t.SubnetIPv6, t.Network, t.Port
	c.Flavor, c.Zone, c.Driver, c.Adopt = t.Flavor, t.Zone, t.Driver, t.Adopt
	c.Internal, c.FloatingNetwork, c.FloatingSubnet = t.Internal, t.FloatingNetwork, t.FloatingSubnet
	c.KeepFloating, c.IPv4, c.IPv6 = t.KeepFloating, t.IPv4, t.IPv6
}

// texts writes addresses down.
func texts(addresses []netip.Addr) string {
	all := make([]string, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return strings.Join(all, ",")
}
