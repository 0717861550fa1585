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
	p.FlavorID = cmp.Or(c.Flavor, p.FlavorID)
	p.AvailabilityZone = cmp.Or(c.Zone, p.AvailabilityZone)
	p.Provider = cmp.Or(c.Driver, p.Provider)
	s.MemberSubnetID = cmp.Or(c.MemberSubnet, s.MemberSubnetID)
	s.Method = cmp.Or(c.Method, s.Method)
	if s.Method == "" && p.Provider == providerOVN {
		s.Method = methodFlow
	}
	if c.Persistence != "" {
		s.Persistence, s.Cookie = c.Persistence, c.Cookie
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
	if l.Protocol != lb.HTTP && s.Persistence != persistSource {
		s.Persistence, s.Cookie = "", ""
	}
	return s
}

func milliseconds(d time.Duration) int { return int(d / time.Millisecond) }
