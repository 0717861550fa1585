package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// cloudShares knows who shares a load balancer of a cloud. Its address is the cloud's to choose, so that a common one
// stands for whatever it is.
type cloudShares struct {
	shares *shares
	// candidates are those who share, or did, by key.
	candidates map[lb.Key]*candidate
	// heads are the oldest of those who share, by their owner: they say what can be said only once.
	heads map[lb.Key]*candidate
	// known are the addresses that those who share have, by their owner.
	known map[lb.Key][]netip.Addr
}

// common stands for the address that those have who share.
func common() []netip.Addr { return []netip.Addr{netip.IPv4Unspecified()} }

// newCloudShares decides who may share with whom: whoever is served is asked first, whoever was, then the older. The
// findings of the rest are the candidates'.
func newCloudShares(wishes []lb.Wish, current map[lb.Key]*lb.LoadBalancer) *cloudShares {
	s := &cloudShares{
		candidates: map[lb.Key]*candidate{}, heads: map[lb.Key]*candidate{}, known: map[lb.Key][]netip.Addr{},
	}
	var all []*candidate
	for i := range wishes {
		c := &candidate{wish: &wishes[i]}
		if last := withLeave(current[c.key()], c.wish.Leaves); last != nil {
			if last.Share != "" && last.Owner() == c.owner() {
				s.known[c.owner()] = last.VIPs
			}
			l := *last
			l.VIPs = common()
			c.current = &l
		}
		if c.wish.LoadBalancer.Share != "" || c.current != nil && c.current.Share != "" {
			all = append(all, c)
			s.candidates[c.key()] = c
		}
	}
	slices.SortFunc(all, bySeniority)
	s.shares = newShares(all)
	for _, c := range all {
		if c.wish.LoadBalancer.Share != "" && s.heads[c.owner()] == nil && !s.refuses(c) {
			s.heads[c.owner()] = c
		}
	}
	p := &planner{shares: s.shares}
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Compare(standing(a), standing(b)) })
	for _, c := range all {
		if c.wish.Failed() {
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
		}
	}
	return s
}

// standing ranks those who share by what they have already.
func standing(c *candidate) int {
	switch {
	case c.current != nil && c.current.Owner() == c.owner():
		return 0
	case len(c.wish.Address.Recorded) > 0:
		return 1
	default:
		return 2
	}
}

// refuses reports whether a candidate may not share what it asks for.
func (s *cloudShares) refuses(c *candidate) bool {
	return !s.shares.invited(c.wish.LoadBalancer.Share, c.key().Namespace)
}

// leaves reports whether a load balancer has to leave those it shares with: they have taken back that it may.
func (s *cloudShares) leaves(c *candidate) bool {
	if c == nil {
		return false
	}
	share := c.wish.LoadBalancer.Share
	return c.revoked || c.current == nil && share != "" && s.refuses(c) && s.shares.hosted[share]
}

// differs says what a wish asks for that the oldest of those it shares with has otherwise.
func (s *cloudShares) differs(c *candidate) (fs []lb.Finding) {
	head := s.heads[c.owner()]
	if head == nil || head == c || c.wish.LoadBalancer.Share == "" {
		return nil
	}
	mine, theirs := c.wish, head.wish
	addresses := slices.Concat(s.known[c.owner()], theirs.Address.Requested, theirs.Address.Recorded)
	for _, a := range mine.Address.Requested {
		if !slices.Contains(addresses, a) {
			fs = append(fs, lb.Finding{Code: lb.CodeAddressTaken, Field: mine.Fields.Requested, Message: fmt.Sprintf(
				"the load balancer is shared with %s, which is older and does not request %s; remove the key, or share with "+
					"nobody", head.key(), a)})
		}
	}
	for _, o := range onceOf(mine.LoadBalancer.Cloud, theirs.LoadBalancer.Cloud) {
		if o.mine != "" && o.mine != o.theirs {
			fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: mine.Fields.Share, Message: fmt.Sprintf(
				"the load balancer is shared with %s, which is older and has another %s; remove the key, or give it the same",
				head.key(), o.key)})
		}
	}
	if len(mine.Address.Families) > 0 && !slices.Equal(mine.Address.Families, theirs.Address.Families) {
		fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: mine.Fields.Families, Message: fmt.Sprintf(
			"the load balancer is shared with %s, which is older and has other ip-families; remove the key, or give it the same",
			head.key())})
	}
	return append(fs, s.differsAtPort(c, head.key())...)
}

// once is what a load balancer has once, whoever shares it.
type once struct{ key, mine, theirs string }

func onceOf(m, t lb.Cloud) []once {
	yes := map[bool]string{true: "true"}
	return []once{
		{"vip-subnet", m.Subnet, t.Subnet}, {"vip-subnet-ipv6", m.SubnetIPv6, t.SubnetIPv6},
		{"vip-network", m.Network, t.Network}, {"vip-port", m.Port, t.Port},
		{"flavor", m.Flavor, t.Flavor}, {"availability-zone", m.Zone, t.Zone}, {"octavia-provider", m.Driver, t.Driver},
		{"internal", yes[m.Internal], yes[t.Internal]},
		{"floating-network", m.FloatingNetwork, t.FloatingNetwork}, {"floating-subnet", m.FloatingSubnet, t.FloatingSubnet},
		{"keep-floating-ip", yes[m.KeepFloating], yes[t.KeepFloating]}, {"adopt", m.Adopt, t.Adopt},
	}
}

// differsAtPort says what a wish asks for at a port where somebody older has it otherwise: a listener has it once.
func (s *cloudShares) differsAtPort(c *candidate, _ lb.Key) (fs []lb.Finding) {
	for _, o := range s.shares.members[c.owner()] {
		if o == c || o.wish.LoadBalancer.Owner() != c.owner() || o.wish.Failed() || bySeniority(o, c) > 0 {
			continue
		}
		for _, l := range c.wish.LoadBalancer.Listeners {
			for _, x := range o.wish.LoadBalancer.Listeners {
				if !l.Clashes(x) || l.Protocol != lb.HTTP || x.Protocol != lb.HTTP {
					continue
				}
				if !sameForAll(l, x, c.wish.LoadBalancer.Cloud, o.wish.LoadBalancer.Cloud) {
					fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: c.wish.Fields.Share, Message: fmt.Sprintf(
						"port %d is shared with %s, and Octavia has allowed-source-ranges, max-connections, times and forwarded "+
							"headers once for a port; give them the same, or choose another port", l.Port, o.key())})
				}
			}
		}
	}
	return fs
}

// sameForAll compares what Octavia has once for a listener.
func sameForAll(a, b lb.Listener, x, y lb.Cloud) bool {
	return slices.Equal(a.Options.Sources, b.Options.Sources) && a.Options.Timeouts == b.Options.Timeouts &&
		a.Options.Limits == b.Options.Limits && x.ClientTimeout == y.ClientTimeout &&
		x.InspectTimeout == y.InspectTimeout && x.NoForwardedFor == y.NoForwardedFor
}

// adapt gives a load balancer what the oldest of those it shares with says for all.
func (s *cloudShares) adapt(l *lb.LoadBalancer) {
	head := s.heads[l.Owner()]
	if l.Share == "" || head == nil {
		return
	}
	t := head.wish.LoadBalancer.Cloud
	if head.failed() && head.current != nil {
		t = head.current.Cloud
	}
	c := &l.Cloud
	c.Subnet, c.SubnetIPv6, c.Network, c.Port = t.Subnet, t.SubnetIPv6, t.Network, t.Port
	c.Flavor, c.Zone, c.Driver, c.Adopt = t.Flavor, t.Zone, t.Driver, t.Adopt
	c.Internal, c.FloatingNetwork, c.FloatingSubnet, c.KeepFloating = t.Internal, t.FloatingNetwork, t.FloatingSubnet, t.KeepFloating
	c.IPv4 = slices.Contains(head.wish.Address.Families, lb.IPv4)
	c.IPv6 = slices.Contains(head.wish.Address.Families, lb.IPv6)
	l.VIPs = slices.Clone(head.wish.Address.Requested)
}
