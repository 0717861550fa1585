package cli

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A load balancer that goes by endpoints says so, and how many there are, ready and on their way out.
func TestStatusOfPods(t *testing.T) {
	w := newWorld(t, "pods")
	w.service("tea", corev1.ServicePort{Port: 80})
	w.endpoints("tea", 3, 1)
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.serve("cookie", "10.88.100.2", "lb2", 80)
	slices, err := w.client.DiscoveryV1().EndpointSlices("pods").List(t.Context(), metav1.ListOptions{})
	w.must(err)
	last := &slices.Items[0].Endpoints[3]
	last.Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
	_, err = w.client.DiscoveryV1().EndpointSlices("pods").Update(t.Context(), &slices.Items[0], metav1.UpdateOptions{})
	w.must(err)
	for i, u := range []lb.Upstream{
		{Endpoints: true, Method: lb.LeastConnections}, {Endpoints: true, Affinity: lb.Cookie},
	} {
		s := &w.shard.LoadBalancers[i].Listeners[0]
		s.Options.Upstream = u
		s.Routes[0].Target.Service.Name = "tea"
		s.Routes[0].Target.Endpoints = []netip.AddrPort{
			netip.MustParseAddrPort("10.244.0.1:8080"), netip.MustParseAddrPort("10.244.0.2:8080"),
			netip.MustParseAddrPort("10.244.0.3:8080"),
		}
	}
	w.publish()
	for name, args := range map[string][]string{
		"status-pods-tree":   {"status", "tea"},
		"status-pods-cookie": {"status", "cookie"},
		"status-pods-yaml":   {"status", "tea", "-o", "yaml"},
	} {
		t.Run(name, func(t *testing.T) { w.lb(t, args...).expect(t, name, args) })
	}
}
