package lb

// Upstream is how the traffic of a listener is spread over its targets' pods. The zero value leaves that to the
// cluster: connections go to the Services' cluster IPs, and kube-proxy or its like chooses the pods.
type Upstream struct {
	// Endpoints says that connections go to the pods themselves: [Target.Endpoints] are theirs, and come and go with
	// them. What follows means something only then.
	Endpoints bool `json:"endpoints,omitempty"`
	// Method says which pod is next; empty means [RoundRobin].
	Method Method `json:"method,omitempty"`
	// Affinity keeps a client with its pod, whatever the method; empty means none.
	Affinity Affinity `json:"affinity,omitempty"`
}

// Method is how the next pod is chosen.
type Method string

// The methods. A hash sends what is alike to the same pod, and moves as little as can be when pods come and go.
const (
	RoundRobin       Method = "round-robin"
	LeastConnections Method = "least-connections"
	// SourceIPHash goes by the client's address.
	SourceIPHash Method = "source-ip-hash"
	// RequestHash goes by the host, path and query of an HTTP request.
	RequestHash Method = "request-hash"
)

// Methods returns all methods.
func Methods() []Method { return []Method{RoundRobin, LeastConnections, SourceIPHash, RequestHash} }

// Affinity is what a client is known by.
type Affinity string

// The affinities.
const (
	// ClientIP is the client's address.
	ClientIP Affinity = "client-ip"
	// Cookie is a cookie that the load balancer gives to clients of HTTP.
	Cookie Affinity = "cookie"
)

// Affinities returns all affinities.
func Affinities() []Affinity { return []Affinity{ClientIP, Cookie} }

// AffinityCookie is the name of the cookie of [Cookie]. It holds a random value and no more.
const AffinityCookie = "lb_affinity"

// ByEndpoints reports whether a listener of the load balancer goes by its targets' pods.
func (l LoadBalancer) ByEndpoints() bool {
	for _, s := range l.Listeners {
		if s.Options.Upstream.Endpoints {
			return true
		}
	}
	return false
}

// EachEndpointTarget calls f for every target whose endpoints are pods, with the transport that leads to it.
func (l *LoadBalancer) EachEndpointTarget(f func(*Target, Transport)) {
	for i := range l.Listeners {
		s := &l.Listeners[i]
		if !s.Options.Upstream.Endpoints {
			continue
		}
		for j := range s.Routes {
			r := &s.Routes[j]
			f(&r.Target, s.Transport())
			for k := range r.Others {
				f(&r.Others[k], s.Transport())
			}
		}
	}
}
