package lb

import (
	"net/netip"
	"time"
)

// Provider names what makes a load balancer exist. Empty leaves it to the controller's configuration.
type Provider string

// The providers.
const (
	// ProviderSoftware is the project's own daemons.
	ProviderSoftware Provider = "software"
	// ProviderOctavia is OpenStack's load balancing service.
	ProviderOctavia Provider = "octavia"
)

// Providers returns all of them.
func Providers() []Provider { return []Provider{ProviderSoftware, ProviderOctavia} }

// Cloud is what can be asked of a load balancer that a cloud makes. The zero value leaves everything to the
// controller's configuration. What is an ID is a UUID of OpenStack.
type Cloud struct {
	// IPv4 and IPv6 say which families the virtual IPs have; neither leaves it to the subnet.
	IPv4, IPv6 bool
	// Subnet, SubnetIPv6, Network and Port say where the virtual IP is.
	Subnet     string
	SubnetIPv6 string
	Network    string
	Port       string
	// MemberSubnet leads to the members.
	MemberSubnet string
	// Flavor (an ID), Zone and Driver are those that the operator offers; Driver is such as "amphora" or "ovn".
	Flavor string
	Zone   string
	Driver string
	// Internal says that there is to be no floating IP.
	Internal bool
	// FloatingNetwork and FloatingSubnet are where a floating IP is taken from; KeepFloating leaves it to the project
	// when the load balancer goes.
	FloatingNetwork string
	FloatingSubnet  string
	KeepFloating    bool
	// Method is [Upstream.Method] as it is asked for, also where that is the model's default.
	Method Method
	// Cookie is the name of a cookie of the members' own that [Cookie] goes by; empty for one that the cloud sets.
	Cookie  string
	Monitor CloudMonitor
	// ClientTimeout is how long a client may send nothing, InspectTimeout how long is waited for what a connection
	// begins with; in whole milliseconds.
	ClientTimeout  time.Duration
	InspectTimeout time.Duration
	// NoForwardedFor leaves X-Forwarded-For, -Port and -Proto out of requests.
	NoForwardedFor bool
	// Certificates are the URLs of what TLS is terminated with, in the cloud's own store; the first is the default.
	Certificates []string
	// Recorded are the addresses that the object's status says it has: claims, see [AddressWish.Recorded]. They tell which
	// one serves where there are two after a start.
	Recorded []netip.Addr
	// Begun says that an earlier controller may have asked the cloud to make it, be it that nothing is there yet.
	Begun bool
	// Adopt is the ID of a load balancer that is there already, and is to be this one.
	Adopt string
	// NodeSelector is a label selector of the nodes that get traffic, beside the configuration's; empty for all.
	NodeSelector string
	// Pods says that members are the pods themselves, and not node ports.
	Pods bool
}

// CloudMonitor says how members are checked; zero leaves it to the configuration.
type CloudMonitor struct {
	// Type is such as "TCP" or "HTTP", or "NONE" for no checks.
	Type string
	// Delay is the time between two checks, Timeout how long one may take, in whole seconds.
	Delay   time.Duration
	Timeout time.Duration
	// Retries is how many good checks bring a member back, RetriesDown how many bad ones take it out; 1 to 10.
	Retries     int
	RetriesDown int
	// Path and Codes are for HTTP: what is asked for, and the status codes that are good, such as "200-204".
	Path  string
	Codes string
}

// Check is where a target's members tell whether they can serve: a port of HTTP and a path. Port 0 is the port that
// gets the traffic.
type Check struct {
	Port uint16
	Path string
}
