package octavia

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Settings are what a load balancer of Octavia can have beyond the model. The zero value is Octavia's own choice of
// everything, with a TCP health monitor.
type Settings struct {
	Placement Placement
	// SubnetIPv6 is the subnet of the IPv6 address, where one is wanted.
	SubnetIPv6 string
	// MemberSubnetID is the subnet that leads to the members; empty for that of the virtual IP.
	MemberSubnetID string
	// FloatingNetwork is where the floating IP is of, empty for none; FloatingSubnet is one of its subnets, or empty.
	FloatingNetwork, FloatingSubnet string
	// Method is ROUND_ROBIN (default), LEAST_CONNECTIONS, SOURCE_IP or SOURCE_IP_PORT (provider ovn only).
	Method string
	// Persistence keeps a client with a member: SOURCE_IP, HTTP_COOKIE, or APP_COOKIE, which needs the name of the
	// Cookie; empty for not. Cookies are for HTTP listeners.
	Persistence, Cookie string
	// ConnectionLimit is how many connections a listener takes at once; 0 for no limit.
	ConnectionLimit int
	// The timeouts are in milliseconds; 0 means Octavia's documented default, which is 50000 for the client, 5000 for
	// connecting to a member, 50000 for a member, and none for the inspection of TCP.
	ClientTimeout, ConnectTimeout, MemberTimeout, InspectTimeout int
	// AllowedCIDRs are the only sources that get in; none lets in all.
	AllowedCIDRs []netip.Prefix
	// ProxyProtocol tells members of TCP listeners who the client is: "v1", "v2", or empty for not.
	ProxyProtocol string
	// ForwardedFor puts X-Forwarded-For, -Port and -Proto into requests of HTTP listeners.
	ForwardedFor bool
	Monitor      MonitorSettings
}

// MonitorSettings say how members are checked. The zero value connects to their port.
type MonitorSettings struct {
	// Type is TCP, HTTP, HTTPS, PING, TLS-HELLO, UDP-CONNECT, SCTP, or NONE for no checks. Default: UDP-CONNECT and SCTP
	// for pools of these protocols, else TCP.
	Type string
	// Delay, Timeout (seconds), Retries and RetriesDown default to 5, 3, 1 and 3.
	Delay, Timeout, Retries, RetriesDown int
	// Path is for HTTP and HTTPS, default "/"; Codes are such as "200" (default), "200,202" or "200-204".
	Path, Codes string
}

const (
	methodDefault = "ROUND_ROBIN"
	methodLeast   = "LEAST_CONNECTIONS"
	methodSource  = "SOURCE_IP"
	methodFlow    = "SOURCE_IP_PORT"
	persistSource = "SOURCE_IP"
	persistCookie = "HTTP_COOKIE"
	persistOwn    = "APP_COOKIE"
	monitorNone   = "NONE"
	monitorTCP    = "TCP"
	monitorHTTP   = "HTTP"
	monitorHTTPS  = "HTTPS"
	monitorUDP    = "UDP-CONNECT"
	monitorSCTP   = "SCTP"
)

// Check says what Octavia would refuse, or would accept and not do, whatever the load balancer is.
func (s Settings) Check() error {
	for _, c := range []struct {
		what, value string
		allowed     []string
	}{
		{"method", s.Method, []string{methodDefault, methodLeast, methodSource, methodFlow}},
		{"session persistence", s.Persistence, []string{persistSource, persistCookie, persistOwn}},
		{"PROXY protocol", s.ProxyProtocol, []string{"v1", "v2"}},
		{"monitor type", s.Monitor.Type, []string{monitorTCP, monitorHTTP, monitorHTTPS, "PING", "TLS-HELLO",
			monitorUDP, monitorSCTP, monitorNone}},
	} {
		if c.value != "" && !slices.Contains(c.allowed, c.value) {
			return fmt.Errorf("%s %q is none of %s", c.what, c.value, strings.Join(c.allowed, ", "))
		}
	}
	return s.Monitor.check()
}

func (m MonitorSettings) check() error {
	m = m.complete("")
	switch {
	case m.Delay < 1 || m.Timeout < 1:
		return errors.New("monitor delay and timeout must be at least a second")
	case m.Timeout > m.Delay:
		return fmt.Errorf("monitor timeout %d s is longer than its delay of %d s", m.Timeout, m.Delay)
	case m.Retries < 1 || m.Retries > 10 || m.RetriesDown < 1 || m.RetriesDown > 10:
		return errors.New("monitor retries must be 1 to 10")
	}
	return nil
}

// complete fills in what is not said, for a pool of the protocol.
func (m MonitorSettings) complete(protocol string) MonitorSettings {
	own := map[string]string{"UDP": monitorUDP, "SCTP": monitorSCTP}[protocol]
	m.Type = orElse(m.Type, orElse(own, monitorTCP))
	m.Delay, m.Timeout = orElse(m.Delay, 5), orElse(m.Timeout, 3)
	m.Retries, m.RetriesDown = orElse(m.Retries, 1), orElse(m.RetriesDown, 3)
	if m.Type == monitorHTTP || m.Type == monitorHTTPS {
		m.Path, m.Codes = orElse(m.Path, "/"), orElse(m.Codes, "200")
	} else {
		m.Path, m.Codes = "", ""
	}
	return m
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
