package members

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

var web = lb.Key{Namespace: "default", Name: "web"}

// node makes a ready node n1 with the address 192.0.2.1.
func node(i int, changes ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%d", i), Labels: map[string]string{"number": fmt.Sprint(i)}},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: fmt.Sprintf("192.0.2.%d", i)},
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("2001:db8::%d", i)},
			},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, c := range changes {
		c(n)
	}
	return n
}

func down(n *corev1.Node)      { n.Status.Conditions[0].Status = corev1.ConditionUnknown }
func kept(n *corev1.Node)      { n.Labels[corev1.LabelNodeExcludeBalancers] = "" }
func doomed(n *corev1.Node)    { n.Spec.Taints = []corev1.Taint{{Key: toBeDeleted}} }
func deleted(n *corev1.Node)   { n.DeletionTimestamp = &metav1.Time{} }
func homeless(n *corev1.Node)  { n.Status.Addresses = n.Status.Addresses[:1] }
func youngNode(n *corev1.Node) { n.Status.Conditions = nil }

func service(change ...func(*corev1.ServiceSpec)) *corev1.Service {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{
		{Name: "http", Port: 80, NodePort: 30080}, {Name: "dns", Port: 80, NodePort: 30053, Protocol: corev1.ProtocolUDP},
	}}}
	for _, c := range change {
		c(&s.Spec)
	}
	return s
}

func local(s *corev1.ServiceSpec) { s.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }

// slice has an endpoint on each of the nodes; the last one is not ready.
func slice(nodes ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}}}
	for i, n := range nodes {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			NodeName: &n, Addresses: []string{fmt.Sprintf("10.0.0.%d", 9-i)},
			Conditions: discoveryv1.EndpointConditions{Ready: new(i < len(nodes)-1)},
		})
	}
	return s
}

// resolve writes down the endpoints and findings of a wish for one port of the Service.
func resolve(c Cluster, protocol lb.Protocol, pods bool) string {
	w := lb.Wish{Fields: lb.Fields{Service: "service"}, LoadBalancer: lb.LoadBalancer{Cloud: lb.Cloud{Pods: pods}}}
	cluster := []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")}
	w.LoadBalancer.Listeners = []lb.Listener{{Port: 80, Protocol: protocol, Routes: []lb.Route{
		{Target: lb.Target{Service: lb.Service{Key: web, Port: 80}, Endpoints: cluster}},
	}}}
	got := New(c).Resolve(w)
	if w.LoadBalancer.Listeners[0].Routes[0].Target.Endpoints[0] != cluster[0] {
		return "the wish was changed"
	}
	t := got.LoadBalancer.Listeners[0].Routes[0].Target
	var words []string
	for _, e := range t.Endpoints {
		words = append(words, e.String())
	}
	if t.Check.Port > 0 {
		words = append(words, fmt.Sprintf("checked at %d%s", t.Check.Port, t.Check.Path))
	}
	for _, f := range got.Findings {
		words = append(words, f.String())
	}
	return strings.Join(words, " ")
}

func TestResolve(t *testing.T) {
	even, err := labels.Parse("number in (2,4)")
	if err != nil {
		t.Fatal(err)
	}
	of := func(s *corev1.Service, nodes ...*corev1.Node) Cluster {
		return Cluster{Service: func(k lb.Key) (*corev1.Service, bool) { return s, k == web }, Nodes: nodes,
			Slices: map[lb.Key][]*discoveryv1.EndpointSlice{web: {slice("n1", "n2"), slice("n3", "n3", "n9")}}}
	}
	selected := of(service(), node(1), node(2), node(3), node(4))
	selected.Selector = even
	health := func(s *corev1.ServiceSpec) { s.HealthCheckNodePort = 32000 }
	for _, c := range []struct {
		name     string
		cluster  Cluster
		protocol lb.Protocol
		pods     bool
		want     string
	}{
		{"gone between two looks", Cluster{Service: func(lb.Key) (*corev1.Service, bool) { return nil, false }}, lb.TCP, false,
			"LB0201 service: there is no Service default/web (any more); create it or correct the name"},
		{"nodes", of(service(), node(2), node(1)), lb.TCP, false, "192.0.2.1:30080 192.0.2.2:30080"},
		{"HTTP is TCP", of(service(), node(1)), lb.HTTP, false, "192.0.2.1:30080"},
		{"UDP", of(service(), node(1)), lb.UDP, false, "192.0.2.1:30053"},
		{"not ready", of(service(), node(1, down), node(2), node(3, youngNode)), lb.TCP, false, "192.0.2.2:30080"},
		{"none ready", of(service(), node(1, down), node(2, down), node(3, kept)), lb.TCP, false,
			"192.0.2.1:30080 192.0.2.2:30080"},
		{"kept out", of(service(), node(1, kept), node(2, doomed), node(3, deleted), node(4), node(5, homeless)), lb.TCP, false,
			"192.0.2.4:30080"},
		{"selector", selected, lb.TCP, false, "192.0.2.2:30080 192.0.2.4:30080"},
		{"local", of(service(local), node(1), node(2), node(3), node(4)), lb.TCP, false, "192.0.2.1:30080 192.0.2.3:30080"},
		{"local with a health port", of(service(local, health), node(1), node(2)), lb.TCP, false,
			"192.0.2.1:30080 checked at 32000/healthz"},
		{"health port without local", of(service(health), node(1)), lb.TCP, false, "192.0.2.1:30080"},
		{"no node port", of(service(func(s *corev1.ServiceSpec) { s.Ports[0].NodePort = 0 }), node(1)), lb.TCP, false,
			"LB0209 service: Service default/web has no node port for port 80, so that Octavia cannot reach it; make its type " +
				"NodePort or LoadBalancer, or set member to pod where pods have addresses that Octavia can reach"},
		{"pods", of(service(), node(1)), lb.TCP, true, "10.0.0.8:8080 10.0.0.9:8080"},
		{"pods of another port", of(service(), node(1)), lb.UDP, true,
			"LB0206 no pod of Service default/web is ready, so that nobody gets the traffic"},
	} {
		if d := cmp.Diff(c.want, resolve(c.cluster, c.protocol, c.pods)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// An object may choose among the nodes that the configuration allows; where none of those is ready, it has them all.
func TestNodeSelector(t *testing.T) {
	c := Cluster{
		Service: func(lb.Key) (*corev1.Service, bool) { return service(), true },
		Nodes:   []*corev1.Node{node(1), node(2, down), node(3), node(4, down)},
	}
	for selector, want := range map[string]string{
		"": "[192.0.2.1:30080 192.0.2.3:30080]", "number!=1": "[192.0.2.3:30080]", "number in (1,2)": "[192.0.2.1:30080]",
		"number in (2,4)": "[192.0.2.2:30080 192.0.2.4:30080]", "number=9": "[]",
	} {
		w := lb.Wish{LoadBalancer: lb.LoadBalancer{Cloud: lb.Cloud{NodeSelector: selector}}}
		w.LoadBalancer.Listeners = []lb.Listener{{Port: 80, Protocol: lb.TCP, Routes: []lb.Route{
			{Target: lb.Target{Service: lb.Service{Key: web, Port: 80}}},
		}}}
		got := New(c).Resolve(w).LoadBalancer.Listeners[0].Routes[0].Target.Endpoints
		if fmt.Sprint(got) != want {
			t.Errorf("%q: %v, not %s", selector, got, want)
		}
	}
}

// What is wrong already is not looked at.
func TestResolveFailed(t *testing.T) {
	w := lb.Wish{Findings: []lb.Finding{{Code: lb.CodeBadPort}}}
	if d := cmp.Diff(w, New(Cluster{}).Resolve(w)); d != "" {
		t.Error(d)
	}
}
