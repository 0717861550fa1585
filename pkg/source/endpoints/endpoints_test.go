package endpoints

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// slice makes an EndpointSlice with a port such as "http:8080" or "dns:53/UDP", and endpoints such as "10.0.0.1",
// "10.0.0.2 unready", "10.0.0.3 ending" (it serves still) or "10.0.0.4 ended".
func slice(family, port string, endpoints ...string) *discoveryv1.EndpointSlice {
	port, protocol, _ := strings.Cut(port, "/")
	name, text, _ := strings.Cut(port, ":")
	var number int32
	if _, err := fmt.Sscan(text, &number); err != nil {
		panic(err)
	}
	p := discoveryv1.EndpointPort{Name: &name, Port: &number}
	if protocol != "" {
		p.Protocol = new(corev1.Protocol(protocol))
	}
	s := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressType(family), Ports: []discoveryv1.EndpointPort{p}}
	for _, e := range endpoints {
		address, state, _ := strings.Cut(e, " ")
		out := discoveryv1.Endpoint{Addresses: []string{address}}
		is := func(states ...string) *bool { return new(slices.Contains(states, state)) }
		if state != "" {
			out.Conditions = discoveryv1.EndpointConditions{
				Ready: is("ready"), Serving: is("ready", "ending"), Terminating: is("ending", "ended"),
			}
		}
		s.Endpoints = append(s.Endpoints, out)
	}
	return s
}

func service(families ...corev1.IPFamily) *corev1.Service {
	return &corev1.Service{Spec: corev1.ServiceSpec{IPFamilies: families, Ports: []corev1.ServicePort{
		{Name: "http", Port: 80}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53},
	}}}
}

type list = []*discoveryv1.EndpointSlice

func TestServes(t *testing.T) {
	for text, want := range map[string]bool{
		"10.0.0.1": true, "10.0.0.1 ready": true, "10.0.0.1 ending": true, "10.0.0.1 unready": false, "10.0.0.1 ended": false,
	} {
		if got := Serves(slice("IPv4", "http:80", "10.0.0.9 unready", text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if Serves(slice("IPv4", "http:80")) {
		t.Error("nobody serves")
	}
}

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		name      string
		service   *corev1.Service
		slices    list
		port      uint16
		transport lb.Transport
		want      string
	}{
		{"none", service(), nil, 80, lb.OverTCP, "[] 0 0 0"},
		{"no such port", service(), list{slice("IPv4", "http:8080", "10.0.0.1")}, 81, lb.OverTCP, "[] 0 0 0"},
		{"sorted, without conditions", service(), list{slice("IPv4", "http:8080", "10.0.0.2", "10.0.0.1")}, 80, lb.OverTCP,
			"[10.0.0.1:8080 10.0.0.2:8080] 2 0 2"},
		{"ready only", service(), list{slice("IPv4", "http:8080", "10.0.0.1 ready", "10.0.0.2 unready", "10.0.0.3 ending",
			"10.0.0.4 ended")}, 80, lb.OverTCP, "[10.0.0.1:8080] 1 2 4"},
		{"none ready, so the ending that serve", service(), list{slice("IPv4", "http:8080", "10.0.0.2 unready",
			"10.0.0.3 ending", "10.0.0.4 ended")}, 80, lb.OverTCP, "[10.0.0.3:8080] 0 2 3"},
		{"none that serves", service(), list{slice("IPv4", "http:8080", "10.0.0.2 unready", "10.0.0.4 ended")}, 80,
			lb.OverTCP, "[] 0 1 2"},
		{"other ports", service(), list{slice("IPv4", "metrics:9", "10.0.0.1"), slice("IPv4", "http:8080/UDP", "10.0.0.2"),
			slice("IPv4", "http:0", "10.0.0.3")}, 80, lb.OverTCP, "[] 0 0 0"},
		{"a named port of two numbers", service(), list{slice("IPv4", "http:8080", "10.0.0.1"),
			slice("IPv4", "http:9090", "10.0.0.2")}, 80, lb.OverTCP, "[10.0.0.1:8080 10.0.0.2:9090] 2 0 2"},
		{"one number, two protocols", service(), list{slice("IPv4", "dns:5353/UDP", "10.0.0.1"),
			slice("IPv4", "dns-tcp:5300", "10.0.0.1")}, 53, lb.OverUDP, "[10.0.0.1:5353] 1 0 1"},
		{"in two slices", service(), list{slice("IPv4", "http:8080", "10.0.0.1 unready", "10.0.0.2 ending"),
			slice("IPv4", "http:8080", "10.0.0.1 ready", "10.0.0.2 ready")}, 80, lb.OverTCP,
			"[10.0.0.1:8080 10.0.0.2:8080] 2 0 2"},
		{"two families", service(corev1.IPv6Protocol, corev1.IPv4Protocol), list{slice("IPv4", "http:8080", "10.0.0.1"),
			slice("IPv6", "http:8080", "fd00::1")}, 80, lb.OverTCP, "[[fd00::1]:8080] 1 0 1"},
		{"the second family where nobody serves in the first", service(corev1.IPv6Protocol), list{
			slice("IPv4", "http:8080", "10.0.0.1"), slice("IPv6", "http:8080", "fd00::1 unready")}, 80, lb.OverTCP,
			"[10.0.0.1:8080] 1 0 1"},
		{"counts of the first family where nobody serves", service(corev1.IPv4Protocol), list{
			slice("IPv4", "http:8080", "10.0.0.1 unready", "10.0.0.2 unready"), slice("IPv6", "http:8080", "fd00::1 unready")},
			80, lb.OverTCP, "[] 0 0 2"},
		{"no addresses to go to", service(), list{slice("IPv4", "http:8080", "127.0.0.1", "0.0.0.0", "169.254.169.254",
			"224.0.0.1", "x", "::ffff:10.0.0.1", "fe80::1%eth0"), slice("FQDN", "http:8080", "example.com"),
			{AddressType: "IPv4", Ports: slice("IPv4", "http:1").Ports, Endpoints: make([]discoveryv1.Endpoint, 1)}},
			80, lb.OverTCP, "[] 0 0 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Of(tc.service, tc.slices, tc.port, tc.transport)
			if got := fmt.Sprint(p.Serving, p.Ready, p.Terminating, p.Total); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// balancer goes by endpoints at every port that is a port of the Service, weighted with another at the first.
func balancer(ports ...uint16) *lb.LoadBalancer {
	l := new(lb.LoadBalancer)
	for _, p := range ports {
		l.Listeners = append(l.Listeners, lb.Listener{
			Port: p, Protocol: lb.TCP, Options: lb.Options{Upstream: lb.Upstream{Endpoints: true}},
			Routes: []lb.Route{{Target: lb.Target{Service: lb.Service{Key: lb.Key{Namespace: "a", Name: "b"}, Port: p}}}},
		})
	}
	r := &l.Listeners[0].Routes[0]
	r.Others = []lb.Target{{Service: lb.Service{Key: lb.Key{Namespace: "a", Name: "other"}, Port: ports[0]}}}
	return l
}

// many are that many addresses.
func many(n int) []netip.AddrPort {
	var out []netip.AddrPort
	a := netip.MustParseAddr("10.0.0.0")
	for range n {
		a = a.Next()
		out = append(out, netip.AddrPortFrom(a, 80))
	}
	return out
}

func TestFill(t *testing.T) {
	l := balancer(80, 443)
	byCluster := balancer(81).Listeners[0]
	byCluster.Options.Upstream.Endpoints = false
	byCluster.Routes[0].Target.Endpoints = many(1)
	l.Listeners = append(l.Listeners, byCluster)
	if got := fmt.Sprint(Ports(l)); got != "[a/b:80 a/b:443 a/other:80]" {
		t.Errorf("ports: %s", got)
	}
	found := Fill(l, "data[upstream]", func(p Port) []netip.AddrPort {
		return map[string][]netip.AddrPort{"a/b:80": many(3), "a/b:443": many(1001)}[p.Service.String()]
	})
	var counts []int
	for _, s := range l.Listeners {
		for _, target := range s.Routes[0].Targets() {
			counts = append(counts, len(target.Endpoints))
		}
	}
	if fmt.Sprint(counts) != "[3 0 1000 1 0]" {
		t.Errorf("endpoints: %v", counts)
	}
	var texts []string
	for _, f := range found {
		if f.Severity() != lb.SeverityWarning {
			t.Errorf("%s keeps it from being served", f)
		}
		texts = append(texts, f.String())
	}
	want := "LB0206 data[upstream]: no pod behind port 80 of Service a/other is ready; see that its selector finds pods " +
		"and that they are ready\n" +
		"LB0207 data[upstream]: port 443 of Service a/b has more endpoints than the first 1000, which get traffic; use " +
		"upstream: service"
	if got := strings.Join(texts, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// However many ports there are, a load balancer stays within its bounds.
func TestFillBounds(t *testing.T) {
	var ports []uint16
	for p := range uint16(64) {
		ports = append(ports, p+1)
	}
	l := balancer(ports...)
	Fill(l, "", func(Port) []netip.AddrPort { return many(1000) })
	total := 0
	l.EachEndpointTarget(func(t *lb.Target, _ lb.Transport) { total += len(t.Endpoints) })
	if total > MaxOfAll || total < MaxOfAll*9/10 {
		t.Errorf("%d endpoints", total)
	}
	if found := Fill(new(lb.LoadBalancer), "", nil); found != nil {
		t.Errorf("a load balancer of nothing: %v", found)
	}
}
