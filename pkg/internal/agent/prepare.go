package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// preparation turns a wanted configuration into a checked candidate. It changes nothing that runs.
type preparation struct {
	options    Options
	nginx      *driver.Nginx
	keepalived *driver.Keepalived
	// last is what runs, nil when nothing does.
	last *candidate
	// senses know the other nodes; nil asks nobody who has the new addresses.
	senses *senses
	// listening are the addresses and ports that our nginx has already.
	listening []netip.AddrPort
}

// maxAttempts bounds how many bad load balancers nginx -t is let find in one preparation; the next goes on.
const maxAttempts = 20

func (p preparation) run(ctx context.Context, asked nodeconfig.Config) (*candidate, error) {
	begun := time.Now()
	iface, err := p.iface(asked)
	if err != nil {
		return nil, err
	}
	elsewhere := p.elsewhere(asked, iface)
	iso := &isolation{asked: asked}
	if p.last != nil {
		iso.last = &p.last.config
	}
	iso.refuseUnread(p.options.Node)
	var claimed func() claims
	for range maxAttempts {
		c, err := p.compile(iso, iface, elsewhere)
		if err != nil {
			return nil, err
		}
		c.begun, c.rendered = begun, time.Now()
		if p.last != nil && c.running.Generation == p.last.running.Generation {
			return c, nil // it runs: nothing to prove
		}
		if p.portsTaken(c, iso) {
			continue
		}
		if claimed == nil {
			claimed = p.askClaims(ctx, c)
		}
		err = p.check(ctx, c)
		var refused *driver.RefusedError
		if errors.As(err, &refused) && p.attribute(c, refused, iso) {
			continue
		}
		if err != nil || !p.refuseClaimed(c, iso, claimed()) {
			return c, err
		}
	}
	return nil, errors.New("one load balancer after the other is refused")
}

// iface finds the interface that carries the node's addresses.
func (p preparation) iface(asked nodeconfig.Config) (string, error) {
	if p.options.Interface != "" {
		return p.options.Interface, nil
	}
	for _, n := range asked.Fleet.Nodes {
		if n.Name != p.options.Node {
			continue
		}
		if len(n.Addresses) == 0 {
			return "", fmt.Errorf("node %s has no address in the fleet", n.Name)
		}
		return ifaddr.Find(n.Addresses[0])
	}
	if p.last != nil {
		return p.last.iface, nil
	}
	return "", nil // not in the fleet, so nothing is announced
}

// compile renders until no load balancer is refused any more.
func (p preparation) compile(
	iso *isolation, iface string, elsewhere map[netip.Addr]string,
) (*candidate, error) {
	for {
		c, err := p.options.compile(iso.config(), iface, elsewhere)
		if err != nil {
			return nil, err
		}
		again := p.refuseKeyless(c, iso)
		for _, r := range c.nginx.Refused {
			again = iso.refuse(r.Key, r.Finding) || again
		}
		for _, r := range c.announce.refused {
			again = iso.refuseVIP(c.view.LoadBalancers, r) || again
		}
		if again {
			continue
		}
		c.stamp(iso.asked)
		c.findings = slices.Concat(c.own, iso.findings)
		return c, p.plan(c)
	}
}

// plan decides what has to be withdrawn before nginx changes.
func (p preparation) plan(c *candidate) error {
	if p.last == nil || !p.last.announce.wanted() || !c.announce.wanted() {
		return nil
	}
	stay, shrinks := remaining(c.announced(), p.last.announced())
	if !shrinks {
		return nil
	}
	withdraw, err := p.options.announcement(c.view, c.iface, stay)
	if err != nil {
		return err
	}
	c.withdraw = &withdraw
	return nil
}

// refuseKeyless refuses the load balancers whose certificates have not arrived. It reports whether there were any.
func (p preparation) refuseKeyless(c *candidate, iso *isolation) bool {
	found := false
	for _, l := range c.view.LoadBalancers {
		if len(p.options.keys.Missing(l)) == 0 {
			continue
		}
		found = iso.refuse(l.Origin.Key, lb.Finding{
			Code: lb.CodeNodeRefused,
			Message: fmt.Sprintf("node %s has not got its certificates yet; see whether lb-daemon may list and watch secrets "+
				"in its --tls-namespace", p.options.Node),
		}) || found
	}
	return found
}

// portsTaken refuses the load balancers whose address and port another program of the node has: nginx would refuse the
// whole generation for one of them. It reports whether there were any.
func (p preparation) portsTaken(c *candidate, iso *isolation) bool {
	fresh := slices.DeleteFunc(c.listens(), func(l netip.AddrPort) bool {
		_, ours := slices.BinarySearchFunc(p.listening, l, netip.AddrPort.Compare)
		return ours
	})
	found := false
	for _, l := range ifaddr.Taken(fresh) {
		found = p.refuseListen(c, iso, l) || found
	}
	return found
}

func (p preparation) refuseListen(c *candidate, iso *isolation, l netip.AddrPort) bool {
	found := false
	for _, load := range c.view.LoadBalancers {
		if !slices.Contains(load.VIPs, l.Addr()) ||
			!slices.ContainsFunc(load.Listeners, func(li lb.Listener) bool { return li.Port == l.Port() }) {
			continue
		}
		found = iso.refuse(load.Origin.Key, lb.Finding{
			Code: lb.CodeNodeRefused,
			Message: fmt.Sprintf("another program on node %s listens on port %d already; choose another port",
				p.options.Node, l.Port()),
		}) || found
	}
	return found
}

// check writes the generations and has both programs read them. What was seen to run before is not asked about again.
func (p preparation) check(ctx context.Context, c *candidate) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if _, err := p.nginx.Store.Write(c.nginx.Generation, c.nginx.Files); err != nil {
			return err
		}
		if c.nginx.Generation == p.nginx.Store.Running() {
			return nil
		}
		return p.nginx.Check(ctx, c.nginx.Generation)
	})
	group.Go(func() error {
		for _, a := range []*announcement{c.withdraw, &c.announce} {
			if a == nil || !a.wanted() {
				continue
			}
			if _, err := p.keepalived.Store.Write(a.id, a.files); err != nil {
				return err
			}
			if a.id == p.keepalived.Store.Running() || c.withdraw != nil && a == &c.announce && a.id == c.withdraw.id {
				continue
			}
			if err := p.keepalived.Check(ctx, a.id); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// attribute finds the load balancer whose file nginx names, or all that need the certificates that it names, and
// refuses them. It reports whether that is worth another attempt. Of a file with certificates nginx does not say who
// needs it.
func (p preparation) attribute(c *candidate, refused *driver.RefusedError, iso *isolation) bool {
	if refused.Program != "nginx" {
		return false
	}
	finding := lb.Finding{
		Code:    lb.CodeNodeRefused,
		Message: fmt.Sprintf("nginx on node %s refuses it: %s", p.options.Node, refused.Words),
	}
	if key, ok := c.nginx.Owner(refused.File); ok {
		return iso.refuse(key, finding)
	}
	found := false
	for _, l := range c.view.LoadBalancers {
		if p.options.keys.Named(refused.Words, l) {
			found = iso.refuse(l.Origin.Key, finding) || found
		}
	}
	return found
}
