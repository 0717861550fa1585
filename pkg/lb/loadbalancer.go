package lb

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Key identifies a load balancer: the namespace and name of the object that asks for it.
type Key struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Compare orders keys by namespace, then name.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(k.Namespace, o.Namespace), strings.Compare(k.Name, o.Name))
}

// ParseKey reads "namespace/name".
func ParseKey(s string) (Key, error) {
	ns, name, ok := strings.Cut(s, "/")
	if !ok || ns == "" || name == "" || strings.Contains(name, "/") {
		return Key{}, fmt.Errorf("%q is not of the form namespace/name", s)
	}
	return Key{Namespace: ns, Name: name}, nil
}

// Origin is the object that a load balancer comes from.
type Origin struct {
	// Kind is the object's Kubernetes kind, such as "ConfigMap".
	Kind string `json:"kind"`
	Key
	// UID tells a replaced object from its predecessor of the same name.
	UID string `json:"uid"`
	// Created is the object's creation time; where two want the same thing, the older one has it.
	Created time.Time `json:"created"`
}

// LoadBalancer is one load balancer as a backend serves it.
type LoadBalancer struct {
	Origin Origin `json:"origin"`
	// VIPs are its virtual IPs, at most one of each family, IPv4 first.
	VIPs      []netip.Addr `json:"vips"`
	Listeners []Listener   `json:"listeners"`
	// Share names those that have their virtual IPs in common, as "namespace/name"; empty shares with nobody. No two of
	// them want the same request: see [LoadBalancer.Collides].
	Share string `json:"share,omitempty"`
	// Provider makes it exist; empty leaves that to the configuration. It is for the controller, and in no document.
	Provider Provider `json:"-"`
	// Cloud is what is asked of a cloud that makes it; it is in no document.
	Cloud Cloud `json:"-"`
}

// Owner returns what stands for the owner of the load balancer's addresses: itself, or all those that it shares with.
// No object has the key that stands for a share.
func (l LoadBalancer) Owner() Key {
	if l.Share == "" {
		return l.Origin.Key
	}
	return Key{Name: "share " + l.Share}
}

// Collides reports whether two load balancers cannot have an address in common, and the port that both want: one port
// is both's only for HTTP of different hosts, spoken alike.
func (l LoadBalancer) Collides(o LoadBalancer) (port uint16, collides bool) {
	for _, a := range l.Listeners {
		for _, b := range o.Listeners {
			if a.Clashes(b) && !a.besides(b) {
				return a.Port, true
			}
		}
	}
	return 0, false
}

// Listener is one port of the virtual IPs and what happens to its traffic.
type Listener struct {
	Port     uint16   `json:"port"`
	Protocol Protocol `json:"protocol"`
	// TLS, where set, is terminated by the load balancer.
	TLS *TLS `json:"tls,omitempty"`
	// Routes decide where a request goes. A TCP, UDP or SCTP listener has exactly one, without host and path, a
	// passthrough listener any number without path. An HTTP listener takes the most specific match: exact host before
	// wildcard before none, exact path before prefix, longer before shorter.
	Routes []Route `json:"routes"`
	// Options are what else was asked for; the zero value asks for nothing.
	Options Options `json:"options,omitzero"`
}

// Transport is what carries a listener's traffic. One port can be listened on once for each.
func (l Listener) Transport() Transport {
	switch l.Protocol {
	case UDP:
		return OverUDP
	case SCTP:
		return OverSCTP
	default:
		return OverTCP
	}
}

// Clashes reports whether two listeners want the same socket of an address.
func (l Listener) Clashes(o Listener) bool { return l.Port == o.Port && l.Transport() == o.Transport() }

// besides reports whether two listeners can be at one socket.
func (l Listener) besides(o Listener) bool {
	mine, social := l.Speech()
	theirs, too := o.Speech()
	return social && too && mine == theirs && !slices.ContainsFunc(l.Routes, func(r Route) bool {
		return slices.ContainsFunc(o.Routes, func(s Route) bool { return r.Host == s.Host })
	})
}

// Speech is what those have in common that are at one socket, each with hosts of its own.
type Speech struct{ AcceptProxy, GRPC, TLS bool }

// Speech returns how a listener speaks to its clients before it knows their host; false where it must be the only one
// at its socket, as one that asks clients for certificates.
func (l Listener) Speech() (Speech, bool) {
	// By TLS clients choose their version of HTTP.
	grpc := l.Options.HTTP.GRPC && l.TLS == nil
	return Speech{l.Options.AcceptProxy, grpc, l.TLS != nil}, l.Protocol == HTTP && (l.TLS == nil || l.TLS.Clients == nil)
}

// Route sends the requests of one host and path to a target.
type Route struct {
	// Host is a DNS name in lower case, or "*." and one, which stands for all names below that; empty matches every
	// host.
	Host string `json:"host,omitempty"`
	// Path is a path prefix that starts with "/"; empty means "/". A prefix ends where a segment does: "/a" matches
	// "/a" and "/a/b" but not "/ab".
	Path string `json:"path,omitempty"`
	// Exact says that only Path itself matches, and nothing below it.
	Exact bool `json:"exact,omitempty"`
	// Rewrite is what targets get in place of Path; empty leaves it.
	Rewrite string `json:"rewrite,omitempty"`
	Target  Target `json:"target"`
	// Others share the traffic with Target.
	Others []Target `json:"others,omitempty"`
}

// Targets returns all targets of a route.
func (r Route) Targets() []Target { return slices.Concat([]Target{r.Target}, r.Others) }

// Target is where traffic goes: a port of a Service, and the addresses that stand for it.
type Target struct {
	Service Service `json:"service"`
	// Weight is the target's share of the route's traffic, in proportion to the weights of the others. A target of
	// weight 0 beside others gets none; that of the only target means nothing.
	Weight uint16 `json:"weight,omitempty"`
	// Endpoints are the addresses to connect to: the Service's cluster IP and port, which kube-proxy or its like
	// spreads over the pods, or those of the pods where [Upstream.Endpoints] says so. For a cloud, see package
	// internal/members.
	Endpoints []netip.AddrPort `json:"endpoints"`
	// Check, where set, is where the addresses of the endpoints tell a cloud whether they can serve; it is in no document.
	Check Check `json:"-"`
}

// Service is a port of a Kubernetes Service.
type Service struct {
	Key
	Port uint16 `json:"port"`
}

// Compare orders Services by key, then port.
func (s Service) Compare(o Service) int {
	return cmp.Or(s.Key.Compare(o.Key), cmp.Compare(s.Port, o.Port))
}

// String returns "namespace/name:port".
func (s Service) String() string { return fmt.Sprintf("%s:%d", s.Key, s.Port) }

// Protocol is what a listener speaks to its clients.
type Protocol string

// The protocols of a listener.
const (
	HTTP Protocol = "HTTP"
	TCP  Protocol = "TCP"
	UDP  Protocol = "UDP"
	SCTP Protocol = "SCTP"
	// Passthrough is TLS that the targets terminate; the name that the client asks for in its first message (SNI, RFC
	// 6066, 3) decides where the connection goes.
	Passthrough Protocol = "TLS-PASSTHROUGH"
)

// Transport is a transport protocol, named as Kubernetes names those of a Service's ports.
type Transport string

// The transports.
const (
	OverTCP  Transport = "TCP"
	OverUDP  Transport = "UDP"
	OverSCTP Transport = "SCTP"
)

// Family is an IP address family.
type Family string

// The IP address families, named as Kubernetes names them.
const (
	IPv4 Family = "IPv4"
	IPv6 Family = "IPv6"
)

// FamilyOf returns the family of a valid address.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// Normalize sorts everything whose order carries no meaning, so that equal load balancers are equal bytes.
func (l *LoadBalancer) Normalize() {
	slices.SortFunc(l.VIPs, netip.Addr.Compare)
	slices.SortFunc(l.Listeners, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(string(a.Transport()), string(b.Transport())))
	})
	for i := range l.Listeners {
		routes := l.Listeners[i].Routes
		slices.SortFunc(routes, func(a, b Route) int {
			return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Path, b.Path),
				compareBools(a.Exact, b.Exact))
		})
		for j := range routes {
			routes[j].normalize()
		}
		l.Listeners[i].Options.normalize()
	}
}

// normalize sorts the route's targets.
func (r *Route) normalize() {
	targets := r.Targets()
	slices.SortStableFunc(targets, func(a, b Target) int { return a.Service.Compare(b.Service) })
	for _, t := range targets {
		slices.SortFunc(t.Endpoints, netip.AddrPort.Compare)
	}
	r.Target = targets[0]
	if len(targets) > 1 {
		r.Others = targets[1:]
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Clone returns a deep copy.
func (l LoadBalancer) Clone() LoadBalancer {
	l.VIPs = slices.Clone(l.VIPs)
	l.Cloud.Certificates = slices.Clone(l.Cloud.Certificates)
	l.Cloud.Recorded = slices.Clone(l.Cloud.Recorded)
	l.Listeners = slices.Clone(l.Listeners)
	for i := range l.Listeners {
		l.Listeners[i].TLS = l.Listeners[i].TLS.clone()
		routes := slices.Clone(l.Listeners[i].Routes)
		for j := range routes {
			routes[j].Target.Endpoints = slices.Clone(routes[j].Target.Endpoints)
			routes[j].Others = slices.Clone(routes[j].Others)
			for k := range routes[j].Others {
				o := &routes[j].Others[k]
				o.Endpoints = slices.Clone(o.Endpoints)
			}
		}
		l.Listeners[i].Routes = routes
		l.Listeners[i].Options = l.Listeners[i].Options.clone()
	}
	return l
}
