package agent

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// cuts reports whether a reload of nginx would close connections that clients keep. Where nginx does not count them it
// is taken for no.
func (a *Agent) cuts(ctx context.Context) bool {
	s := a.opts.Software
	if !s.StubStatus || nginx.SparesKept(s.NginxVersion) || !a.nginx.Alive() {
		return false
	}
	keeps, err := a.nginx.Keeps(ctx)
	return err == nil && keeps
}

// calmDown makes the next change that can wait do so.
func (a *Agent) calmDown() {
	if wait := a.budget.harm(); wait > 0 {
		a.calm = time.After(wait)
	}
}

// waits reports whether a configuration can wait until there is calm. Nothing waits that mends what does not run as it
// should.
func (a *Agent) waits(config nodeconfig.Config) bool {
	return a.calm != nil && a.failures == 0 && a.last != nil && a.asked != nil &&
		a.nginxID == a.last.nginx.Generation && mayWait(*a.asked, config)
}

// mayWait reports whether nobody loses a request while one configuration takes another's place some seconds later. The
// fleet may not wait, nor addresses that move, nor endpoints that leave, nor the first endpoint of a route.
func mayWait(before, after nodeconfig.Config) bool {
	if before.Fleet.Revision != after.Fleet.Revision {
		return false
	}
	old := make(map[lb.Key]nodeconfig.Entry)
	for _, e := range before.LoadBalancers() {
		old[e.Origin.Key] = e
	}
	for _, e := range after.LoadBalancers() {
		was, ok := old[e.Origin.Key]
		if !ok {
			continue
		}
		if was.Group != e.Group || !slices.Equal(was.VIPs, e.VIPs) || loses(was.LoadBalancer, e.LoadBalancer) {
			return false
		}
	}
	return true
}

// loses reports whether an endpoint leaves a load balancer, or a route gets its first.
func loses(before, after lb.LoadBalancer) bool {
	had, deadBefore := endpoints(before)
	has, deadAfter := endpoints(after)
	for e := range had {
		if !has[e] {
			return true
		}
	}
	return deadAfter < deadBefore
}

// endpoints returns those of all routes, and how many routes have none.
func endpoints(l lb.LoadBalancer) (all map[netip.AddrPort]bool, dead int) {
	all = make(map[netip.AddrPort]bool)
	for _, s := range l.Listeners {
		for _, r := range s.Routes {
			serves := false
			for _, t := range r.Targets() {
				for _, e := range t.Endpoints {
					all[e], serves = true, true
				}
			}
			if !serves {
				dead++
			}
		}
	}
	return all, dead
}
