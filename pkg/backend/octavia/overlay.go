package octavia

import (
	"cmp"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// with returns the settings with what an object asks for over them.
func (s Settings) with(c lb.Cloud) Settings {
	p := &s.Placement
	if c.Subnet+c.Network+c.Port != "" {
		p.SubnetID, p.NetworkID, p.PortID = c.Subnet, c.Network, c.Port
	}
	s.SubnetIPv6 = cmp.Or(c.SubnetIPv6, s.SubnetIPv6)
	if c.FloatingNetwork != "" {
		s.FloatingNetwork, s.FloatingSubnet = c.FloatingNetwork, ""
	}
	s.FloatingSubnet = cmp.Or(c.FloatingSubnet, s.FloatingSubnet)
	if c.Internal {
		s.FloatingNetwork, s.FloatingSubnet = "", ""
	}
	p.FlavorID = cmp.Or(c.Flavor, p.FlavorID)
	p.AvailabilityZone = cmp.Or(c.Zone, p.AvailabilityZone)
	p.Provider = cmp.Or(c.Driver, p.Provider)
	s.MemberSubnetID = cmp.Or(c.MemberSubnet, s.MemberSubnetID)
	s.Method = cmp.Or(methodOf(c.Method), s.Method)
	if s.Method == "" && p.Provider == providerOVN {
		s.Method = methodFlow
	}
	s.ClientTimeout = cmp.Or(milliseconds(c.ClientTimeout), s.ClientTimeout)
	s.InspectTimeout = cmp.Or(milliseconds(c.InspectTimeout), s.InspectTimeout)
	s.ForwardedFor = s.ForwardedFor && !c.NoForwardedFor
	s.Monitor = s.Monitor.with(c.Monitor)
	return s
}

func (m MonitorSettings) with(c lb.CloudMonitor) MonitorSettings {
	m.Type = cmp.Or(c.Type, m.Type)
	m.Delay = cmp.Or(int(c.Delay/time.Second), m.Delay)
	m.Timeout = cmp.Or(int(c.Timeout/time.Second), m.Timeout)
	m.Retries, m.RetriesDown = cmp.Or(c.Retries, m.Retries), cmp.Or(c.RetriesDown, m.RetriesDown)
	m.Path, m.Codes = cmp.Or(c.Path, m.Path), cmp.Or(c.Codes, m.Codes)
	return m
}

// of returns the settings with what a port asks for over them.
func (s Settings) of(l lb.Listener, c lb.Cloud) Settings {
	o := l.Options
	if len(o.Sources) > 0 {
		s.AllowedCIDRs = o.Sources
	}
	s.ConnectionLimit = cmp.Or(o.Limits.Connections, s.ConnectionLimit)
	s.ConnectTimeout = cmp.Or(milliseconds(o.Timeouts.Connect), s.ConnectTimeout)
	s.MemberTimeout = cmp.Or(milliseconds(o.Timeouts.Read), s.MemberTimeout)
	if idle := milliseconds(o.Timeouts.Idle); idle > 0 {
		s.ClientTimeout, s.MemberTimeout = cmp.Or(milliseconds(c.ClientTimeout), idle), idle
	}
	switch {
	case o.SendProxyV2:
		s.ProxyProtocol = "v2"
	case o.SendProxy:
		s.ProxyProtocol = "v1"
	}
	switch {
	case o.Upstream.Affinity == lb.ClientIP:
		s.Persistence, s.Cookie = persistSource, ""
	case o.Upstream.Affinity == lb.Cookie && c.Cookie != "":
		s.Persistence, s.Cookie = persistOwn, c.Cookie
	case o.Upstream.Affinity == lb.Cookie:
		s.Persistence, s.Cookie = persistCookie, ""
	case l.Protocol != lb.HTTP && s.Persistence != persistSource:
		s.Persistence, s.Cookie = "", ""
	}
	return s
}

// methodOf is what Octavia calls a method; empty for none and for what it cannot do.
func methodOf(m lb.Method) string {
	return map[lb.Method]string{
		lb.RoundRobin: methodDefault, lb.LeastConnections: methodLeast, lb.SourceIPHash: methodSource,
	}[m]
}

func milliseconds(d time.Duration) int { return int(d / time.Millisecond) }
