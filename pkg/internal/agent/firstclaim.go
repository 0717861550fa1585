package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// claimIn is how long a machine has to say that an address, which is about to be announced here for the first time, is
// its own; and again, when one has said so.
const claimIn = 40 * time.Millisecond

// claims are the machines outside of the fleet that have addresses which are new here.
type claims map[netip.Addr][]neighbor.Hardware

// askClaims asks who has the addresses that are new in a candidate. The answer comes while the programs read their
// configuration. It is empty where nobody can be asked: that must not keep anything from being served.
func (p preparation) askClaims(ctx context.Context, c *candidate) func() claims {
	fresh := p.fresh(c)
	if len(fresh) == 0 || p.senses == nil || p.senses.muted.Load() {
		return func() claims { return nil }
	}
	answer := make(chan claims, 1)
	go func() {
		found, err := p.ask(ctx, c, fresh)
		if err != nil {
			p.options.Log.Warn("it cannot be asked who has the new addresses", "error", err)
		}
		answer <- found
	}()
	return sync.OnceValue(func() claims { return <-answer })
}

// fresh returns the virtual IPs that are not announced here yet, by this daemon or the one before it.
func (p preparation) fresh(c *candidate) []netip.Addr {
	vips := c.vips()
	if c.iface == "" || len(vips) == 0 {
		return nil
	}
	before, err := ifaddr.List(c.iface)
	if err != nil {
		p.options.Log.Warn("the addresses cannot be read", "error", err)
	}
	if p.last != nil {
		before = sorted(slices.Concat(before, p.last.vips()))
	}
	return slices.DeleteFunc(vips, func(a netip.Addr) bool { return has(before, a) })
}

func (p preparation) ask(ctx context.Context, c *candidate, fresh []netip.Addr) (claims, error) {
	var own, peers []netip.Addr
	for _, n := range c.config.Fleet.Nodes {
		if n.Name == p.options.Node {
			own = n.Addresses
		} else {
			peers = append(peers, n.Addresses...)
		}
	}
	wire, err := neighbor.Open(c.iface)
	if err != nil {
		return nil, err
	}
	defer wire.Close()
	suspects := fresh
	var foreign claims
	for range 2 { // a node's own answer may have been late
		found, err := wire.Probe(ctx, slices.Concat(own, peers, suspects), claimIn)
		if err != nil {
			return nil, err
		}
		p.senses.dropProxies(time.Now(), found, own)
		p.senses.met(found, peers)
		foreign = make(claims)
		suspects = slices.DeleteFunc(slices.Clone(suspects), func(a netip.Addr) bool {
			if hs := p.senses.strangers(found[a], peers); len(hs) > 0 {
				foreign[a] = hs
			}
			return len(foreign[a]) == 0
		})
		if len(suspects) == 0 {
			return nil, nil //nolint:nilnil // nobody claims anything
		}
	}
	return foreign, nil
}

// refuseClaimed refuses the load balancers whose addresses somebody else has. It reports whether there were any.
func (p preparation) refuseClaimed(c *candidate, iso *isolation, foreign claims) bool {
	found := false
	for _, load := range c.view.LoadBalancers {
		for _, vip := range load.VIPs {
			hs := foreign[vip]
			if len(hs) == 0 {
				continue
			}
			words := make([]string, len(hs))
			for i, h := range hs {
				words[i] = h.String()
			}
			found = iso.refuse(load.Origin.Key, lb.Finding{
				Code: lb.CodeForeignOwner,
				Message: fmt.Sprintf("%s is answered by %s, which is no load-balancer node, so node %s does not announce it; "+
					"take the address from that machine, or out of the pool", vip, strings.Join(words, ", "), p.options.Node),
			}) || found
			break
		}
	}
	return found
}
