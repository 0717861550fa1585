package octavia

import (
	"fmt"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// providerOVN is the provider that can do the least.
const providerOVN = "ovn"

// Check says what Octavia, or the provider that the load balancer would have, cannot do of a wish. What is said here is
// said before anything is created.
func (b *Backend) Check(w lb.Wish) []lb.Finding {
	l := w.LoadBalancer
	s := b.settings(l).with(l.Cloud)
	c := checker{wish: w, settings: s, provider: s.Placement.Provider}
	c.placement()
	c.monitor()
	for _, listener := range l.Listeners {
		c.listener(listener)
	}
	if c.provider == providerOVN {
		c.ovn()
	} else if s.Method == methodFlow {
		c.add(w.Fields.Method, "%s is for provider ovn only", methodFlow)
	}
	return c.findings
}

// checker collects findings about one wish.
type checker struct {
	wish     lb.Wish
	settings Settings
	provider string
	findings []lb.Finding
}

func (c *checker) add(field, format string, args ...any) {
	f := lb.Finding{Code: lb.CodeBackendCannot, Field: field, Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(c.findings, f) {
		c.findings = append(c.findings, f)
	}
}

// placement finds addresses that could be nowhere.
func (c *checker) placement() {
	p, families := c.settings.Placement, c.wish.Address.Families
	six := slices.Contains(families, lb.IPv6)
	if p.SubnetID == "" && p.NetworkID == "" && p.PortID == "" && (c.settings.SubnetIPv6 == "" || !six) {
		c.add(c.wish.Fields.Subnet, "nobody says where the address is to be; add the key, or have octavia.subnet added to "+
			"the controller's configuration")
	}
	if len(families) > 1 && (c.settings.SubnetIPv6 == "" || p.SubnetID == "") {
		c.add(c.wish.Fields.Families, "an address of each family needs vip-subnet and vip-subnet-ipv6")
	}
}

// monitor finds checks that cannot be made as they are asked for.
func (c *checker) monitor() {
	if err := c.settings.Monitor.check(); err != nil {
		c.add(c.wish.Fields.Monitor, "%s", err)
	}
}

// listener finds what a port cannot have.
func (c *checker) listener(l lb.Listener) {
	at, kind := c.wish.Fields, c.settings.Monitor.Type
	datagrams := l.Protocol == lb.UDP || l.Protocol == lb.SCTP
	switch {
	case l.TLS == nil:
	case l.Protocol != lb.HTTP:
		c.add(at.Protocol, "Octavia ends TLS for HTTP only; leave TLS to the Service with protocol TCP, or use HTTPS")
	}
	switch {
	case !datagrams && (kind == monitorUDP || kind == monitorSCTP):
		c.add(at.Monitor, "%s is for ports of UDP and SCTP, and port %d is of %s", kind, l.Port, l.Protocol)
	case datagrams && (kind == monitorHTTPS || kind == "TLS-HELLO" || kind == "PING"):
		c.add(at.Monitor, "%s is not for port %d of %s", kind, l.Port, l.Protocol)
	}
	if datagrams && l.Options.Timeouts.Idle > 0 {
		c.add(at.Idle, "Octavia has no time after which a session of %s ends; remove the key", l.Protocol)
	}
}

// ovn finds what provider ovn cannot do.
func (c *checker) ovn() {
	at, s := c.wish.Fields, c.settings
	if s.Method != methodFlow {
		c.add(at.Method, "provider ovn knows no method but its own, %s; remove the key", methodFlow)
	}
	if k := s.Monitor.Type; k == monitorHTTP || k == monitorHTTPS || k == "PING" || k == "TLS-HELLO" {
		c.add(at.Monitor, "provider ovn checks by TCP and UDP-CONNECT only")
	}
	for _, l := range c.wish.LoadBalancer.Listeners {
		if l.Protocol == lb.HTTP {
			c.add(at.Protocol, "provider ovn passes connections on, and does not look into them; use protocol TCP")
		}
		if l.Options.Upstream.Affinity == lb.Cookie {
			c.add(at.Affinity, "provider ovn cannot keep clients by cookies; give client-ip")
		}
		if l.Options.SendProxy || l.Options.SendProxyV2 {
			c.add(at.ProxyProtocol, "provider ovn cannot speak the PROXY protocol")
		}
		if l.Options.Limits.Connections > 0 {
			c.add(at.Limits, "provider ovn cannot limit connections")
		}
		if l.Options.Timeouts != (lb.Timeouts{}) {
			c.add(at.Timeouts, "provider ovn keeps no times of its own")
		}
	}
}
