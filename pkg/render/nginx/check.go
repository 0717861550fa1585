package nginx

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// maxRunDir leaves room for the socket's name in the 107 bytes that a unix socket's path may have.
const maxRunDir = 80

// maxUserName is the longest name of a user (useradd(8)).
const maxUserName = 32

// maxFileName is the longest name of a file that is given.
const maxFileName = 100

// maxHost is the longest DNS name.
const maxHost = 253

// maxEndpoints and maxWeight keep the weights of an upstream within nginx's numbers, whatever the plan let pass.
const (
	maxEndpoints = 1000
	maxWeight    = 1000
)

// check returns what makes any configuration impossible.
func check(in Input) error {
	if err := render.CheckPath("run directory", in.RunDir); err != nil {
		return err
	}
	if len(in.RunDir) > maxRunDir {
		return fmt.Errorf("run directory %q is longer than %d bytes", in.RunDir, maxRunDir)
	}
	if err := render.CheckName("user", in.User, maxUserName); err != nil {
		return err
	}
	if err := render.CheckPath("directory of certificates", in.TLSDir); err != nil {
		return err
	}
	if len(in.TicketKeys) > maxTickets {
		return fmt.Errorf("more than %d keys for session tickets", maxTickets)
	}
	for _, f := range in.TicketKeys {
		if err := render.CheckName("file of a ticket key", f, maxFileName); err != nil {
			return err
		}
	}
	for _, m := range in.Modules {
		if err := render.CheckPath("module", m); err != nil {
			return err
		}
	}
	if in.Workers < 0 || in.WorkerConnections < 0 || in.WorkerOpenFiles < 0 {
		return errors.New("a negative number of workers, connections or open files")
	}
	if d := in.ShutdownTimeout; d < 0 || d%time.Second != 0 {
		return fmt.Errorf("shutdown timeout %s is not whole seconds", d)
	}
	return nil
}

// checker finds what is wrong with load balancers, and remembers who listens where: nginx refuses the whole
// configuration when two of its servers want the same socket, but for HTTP servers of different hosts.
type checker struct{ listening map[socket]*occupants }

// socket is what two servers can't have both.
type socket struct {
	netip.AddrPort
	transport lb.Transport
}

// check returns the first thing that keeps a load balancer from being rendered. One that passes owns its sockets.
func (c *checker) check(l *lb.LoadBalancer) (lb.Finding, bool) {
	if !isKey(l.Origin.Key) {
		return finding(lb.CodeUnsafeValue, "metadata", "%q is not a Kubernetes name", l.Origin.Key.String()), true
	}
	if len(l.VIPs) == 0 {
		return finding(lb.CodeBadValue, "vips", "there is no virtual IP to listen on"), true
	}
	for _, a := range l.VIPs {
		if !listenable(a) {
			return finding(lb.CodeBadValue, "vips", "%q is not an address that one can listen on", a), true
		}
	}
	if len(l.Listeners) == 0 {
		return finding(lb.CodeBadValue, "listeners", "there is no listener"), true
	}
	for _, s := range l.Listeners {
		if f, bad := checkListener(s); bad {
			return f, true
		}
	}
	if l.Sprawls() {
		return finding(lb.CodeBadValue, "listeners", "the hosts lead to more than %d routes, fallbacks counted",
			lb.MaxReach), true
	}
	return c.claim(l)
}

// claim gives the load balancer its sockets, all or none.
func (c *checker) claim(l *lb.LoadBalancer) (lb.Finding, bool) {
	var want []socket
	for _, s := range l.Listeners {
		for _, a := range l.VIPs {
			ap := socket{netip.AddrPortFrom(a, s.Port), s.Transport()}
			if slices.Contains(want, ap) {
				return finding(lb.CodeConflictingKeys, field(s), "%s is listened on twice", ap.AddrPort), true
			}
			if other := c.listening[ap].against(l, s); other != nil {
				return finding(lb.CodeAddressPortTaken, field(s), "%s belongs to %s", ap.AddrPort, other.Origin.Key), true
			}
			want = append(want, ap)
		}
	}
	for i, ap := range want {
		if c.listening[ap] == nil {
			c.listening[ap] = &occupants{}
		}
		c.listening[ap].add(l, l.Listeners[i/len(l.VIPs)])
	}
	return lb.Finding{}, false
}

// occupants are the load balancers at a socket, of which there may be thousands: one, or several that share the
// address, speak alike, and have hosts of their own.
type occupants struct {
	n int
	// first is the first by key, and hostless the one with a route for every host, nil where there is none.
	first, hostless *lb.LoadBalancer
	speech          lb.Speech
	social          bool
	// byHost are they by the hosts that they have.
	byHost map[string]*lb.LoadBalancer
}

// against returns who keeps a listener from being at the socket as well; nil if nobody does. See
// [lb.LoadBalancer.Collides].
func (o *occupants) against(l *lb.LoadBalancer, s lb.Listener) *lb.LoadBalancer {
	if o == nil {
		return nil
	}
	speech, social := s.Speech()
	if l.Share == "" || l.Share != o.first.Share || !social || !o.social || speech != o.speech {
		return o.first
	}
	for _, r := range s.Routes {
		if other := o.byHost[r.Host]; other != nil {
			return other
		}
	}
	return nil
}

// add takes a listener that nobody is against.
func (o *occupants) add(l *lb.LoadBalancer, s lb.Listener) {
	o.n++
	if o.n == 1 {
		o.first, o.byHost = l, make(map[string]*lb.LoadBalancer, len(s.Routes))
		o.speech, o.social = s.Speech()
	}
	for _, r := range s.Routes {
		o.byHost[r.Host] = l
		if r.Host == "" && s.Protocol == lb.HTTP {
			o.hostless = l
		}
	}
}

// leader returns the one with the default server: the one with a route for every host, or else the first.
func (o *occupants) leader() *lb.LoadBalancer { return cmp.Or(o.hostless, o.first) }

func checkListener(s lb.Listener) (lb.Finding, bool) {
	if f, bad := checkOptions(s); bad {
		return f, true
	}
	if f, bad := checkTLS(s); bad {
		return f, true
	}
	switch {
	case s.Port == 0:
		return finding(lb.CodeBadPort, field(s), "port 0 is not 1 to 65535"), true
	case s.Protocol == lb.HTTP:
		return checkRoutes(s)
	case s.Protocol == lb.Passthrough:
		return checkSNI(s)
	case s.Protocol != lb.TCP && s.Protocol != lb.UDP:
		return finding(lb.CodeBackendCannot, field(s), "unknown protocol %q", string(s.Protocol)), true
	case len(s.Routes) != 1 || s.Routes[0].Host != "" || s.Routes[0].Path != "" || s.Routes[0].Exact ||
		s.Routes[0].Rewrite != "":
		return finding(lb.CodeBadValue, field(s), "a %s listener has exactly one route, without host and path",
			s.Protocol), true
	}
	return checkEndpoints(s, s.Routes[0])
}

func checkRoutes(s lb.Listener) (lb.Finding, bool) {
	type place struct {
		host, path string
		exact      bool
	}
	seen := make(map[place]bool, len(s.Routes))
	for _, r := range s.Routes {
		if !isRouteHost(r.Host) {
			return finding(lb.CodeBadValue, field(s)+".host", "%q is not a DNS name in lower case", r.Host), true
		}
		path, err := routePath(r)
		if err != nil {
			return finding(lb.CodeBadValue, field(s)+".path", "%q %v", r.Path, err), true
		}
		if f, bad := checkRewrite(s, r); bad {
			return f, true
		}
		p := place{r.Host, path, r.Exact}
		if seen[p] {
			return finding(lb.CodeConflictingKeys, field(s), "host %q has two routes for %q", r.Host, path), true
		}
		seen[p] = true
		if f, bad := checkEndpoints(s, r); bad {
			return f, true
		}
	}
	return lb.Finding{}, false
}

func checkEndpoints(s lb.Listener, r lb.Route) (lb.Finding, bool) {
	for _, target := range r.Targets() {
		if len(target.Endpoints) > maxEndpoints || len(r.Others) > 0 && target.Weight > maxWeight {
			return finding(lb.CodeBadValue, field(s)+".target", "more than %d endpoints or a weight over %d", maxEndpoints,
				maxWeight), true
		}
		for _, e := range target.Endpoints {
			if e.Port() == 0 || !usable(e.Addr()) {
				return finding(lb.CodeBadValue, field(s)+".target", "%q is not an address to connect to", e), true
			}
		}
	}
	return lb.Finding{}, false
}

// listenable reports whether a socket of its own can be bound to a. A wildcard would take every other address's port,
// and a link-local address cannot be bound without its interface.
func listenable(a netip.Addr) bool {
	return usable(a) && !(a.Is6() && a.IsLinkLocalUnicast())
}

// usable reports whether a is one host's address, written in the one way that there is.
func usable(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast()
}

func field(s lb.Listener) string { return fmt.Sprintf("listeners[%d]", s.Port) }

// finding formats a finding. Text of the user goes through %q, so that no control character survives.
func finding(c lb.Code, field, format string, args ...any) lb.Finding {
	return lb.Finding{Code: c, Field: field, Message: fmt.Sprintf(format, args...)}
}
