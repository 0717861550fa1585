package configmap

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestUpstreamFindings has an object for each thing that can be wrong about how traffic is spread.
func TestUpstreamFindings(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"upstream", []string{KeyUpstream, "pods"}, `LB0104 data[upstream]: "pods" is neither service nor endpoints`},
		{"method", []string{KeyUpstream, "endpoints", KeyMethod, "ewma"}, `LB0104 data[lb-method]: "ewma" is not a method; ` +
			`give round-robin, least-connections, source-ip-hash or request-hash`},
		{"affinity", []string{KeyUpstream, "endpoints", KeyAffinity, "session"},
			`LB0104 data[session-affinity]: "session" is not an affinity; give none, client-ip or cookie`},
		{"member and upstream", []string{KeyUpstream, "service", KeyMember, "pod"},
			"LB0108 data[member]: upstream: service means the other one; remove one of the two"},
		{"upstream and member", []string{KeyUpstream, "endpoints", KeyMember, "node"},
			"LB0108 data[member]: upstream: endpoints means the other one; remove one of the two"},
		{"bad upstream, so nothing is said of the method", []string{KeyUpstream, "x", KeyMethod, "least-connections"},
			`LB0104 data[upstream]: "x" is neither service nor endpoints`},
		{"two ways to choose", []string{KeyUpstream, "endpoints", KeyAffinity, "cookie", KeyMethod, "least-connections",
			KeyProtocol, "HTTP"}, "LB0108 data[lb-method]: session-affinity says which pod is next; remove one of the two"},
		{"cookie of TCP", []string{KeyUpstream, "endpoints", KeyAffinity, "cookie"}, "LB0108 data[session-affinity]: the key " +
			"needs a port of protocol HTTP; remove it, or set protocol or ports"},
		{"requests of TCP", []string{KeyUpstream, "endpoints", KeyMethod, "request-hash"}, "LB0108 data[lb-method]: the key " +
			"needs a port of protocol HTTP; remove it, or set protocol or ports"},
		{"cookie of gRPC", []string{KeyUpstream, "endpoints", KeyAffinity, "cookie", KeyProtocol, "HTTP", KeyBackend, "GRPC"},
			"LB0108 data[session-affinity]: clients of GRPC keep no cookies; give client-ip"},
		{"external", []string{KeyUpstream, "endpoints", KeyService, "external"},
			"LB0203 data[target-service-name]: Service default/external is of type ExternalName; use one with a cluster IP"},
		{"headless without ports", []string{KeyUpstream, "endpoints", KeyService, "none"},
			"LB0202 data[target-service-name]: Service default/none has no ports; add one to it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := texts(Parse(object(tc.keys...), cluster()).Findings); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestUpstream reads how traffic is spread. Addresses of pods are not the reader's.
func TestUpstream(t *testing.T) {
	type up = lb.Upstream
	for _, tc := range []struct {
		name    string
		keys    []string
		want    []lb.Upstream
		retries []int
	}{
		{"nothing", nil, []up{{}}, []int{0}},
		{"Service", []string{KeyUpstream, "Service", KeyAffinity, "none"}, []up{{}}, []int{0}},
		{"endpoints", []string{KeyUpstream, "Endpoints"}, []up{{Endpoints: true}}, []int{2}},
		{"no retry", []string{KeyUpstream, "endpoints", KeyRetries, "0"}, []up{{Endpoints: true}}, []int{0}},
		{"headless", []string{KeyUpstream, "endpoints", KeyService, "headless"}, []up{{Endpoints: true}}, []int{2}},
		{"the default said", []string{KeyUpstream, "endpoints", KeyMethod, "round-robin"}, []up{{Endpoints: true}}, []int{2}},
		{"method", []string{KeyUpstream, "endpoints", KeyMethod, "Least-Connections", KeyRetries, "5"},
			[]up{{Endpoints: true, Method: lb.LeastConnections}}, []int{5}},
		{"without endpoints, which only some backends can", []string{KeyMethod, "round-robin"}, []up{{Method: lb.RoundRobin}},
			[]int{0}},
		{"affinity without endpoints", []string{KeyAffinity, "client-ip"}, []up{{Affinity: lb.ClientIP}}, []int{0}},
		{"the pods of a headless Service", []string{KeyMember, "pod", KeyService, "headless"}, []up{{Endpoints: true}}, []int{2}},
		{"the same twice", []string{KeyUpstream, "endpoints", KeyMethod, "source-ip-hash", KeyAffinity, "client-ip"},
			[]up{{Endpoints: true, Affinity: lb.ClientIP}}, []int{2}},
		{"each port what it can", []string{KeyUpstream, "endpoints", KeyAffinity, "cookie", KeyService, "mixed",
			KeyPorts, "80:9153/HTTP,81:9153/TCP,53:dns/UDP"},
			[]up{{Endpoints: true}, {Endpoints: true, Affinity: lb.Cookie}, {Endpoints: true}}, []int{0, 2, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if w.Failed() || len(w.LoadBalancer.Listeners) != len(tc.want) {
				t.Fatalf("%s; %+v", texts(w.Findings), w.LoadBalancer.Listeners)
			}
			for i, l := range w.LoadBalancer.Listeners {
				if l.Options.Upstream != tc.want[i] || l.Options.Retries != tc.retries[i] {
					t.Errorf("port %d: %+v, %d retries", l.Port, l.Options.Upstream, l.Options.Retries)
				}
				if ends := l.Routes[0].Target.Endpoints; l.Options.Upstream.Endpoints && ends != nil {
					t.Errorf("port %d has addresses: %v", l.Port, ends)
				}
			}
		})
	}
}

// A Service that sticks to the client sticks to a node of ours, which its user has to know, and no more than that.
func TestStickyService(t *testing.T) {
	services := cluster()
	services[lb.Key{Namespace: "default", Name: "web"}].Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	const want = "LB0205 data[target-service-name]: Service default/web has sessionAffinity ClientIP, which takes a node " +
		"for the client and sends all its traffic to one pod; take it out, or set upstream: endpoints and " +
		"session-affinity: client-ip"
	if w := Parse(object(), services); texts(w.Findings) != want || w.Failed() {
		t.Errorf("got %s", texts(w.Findings))
	}
	if w := Parse(object(KeyUpstream, "endpoints", KeyAffinity, "client-ip"), services); len(w.Findings) > 0 {
		t.Errorf("with endpoints: %s", texts(w.Findings))
	}
}
