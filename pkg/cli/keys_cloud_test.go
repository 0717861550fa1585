package cli

import (
	"encoding/json"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// inCloud reports whether a key is shown by what Octavia is asked for.
func inCloud(k configmap.Key) bool { return k.Cloud || k.Name == configmap.KeyProvider }

// shownCloudKeys has the keys of Octavia. Their values are those of an imagined cloud.
func shownCloudKeys() map[string]shownKey {
	const id = "11111111-2222-3333-4444-555555555555"
	tcp := []string{"provider: octavia", "target-service-name: web", "target-port: 80"}
	web := plus(tcp, "protocol: HTTP")
	checked := plus(tcp, "monitor-type: HTTP")
	return map[string]shownKey{
		"provider":             {"octavia", tcp[1:], true, "TestKeys"},
		"vip-subnet":           {id, tcp, false, "TestKeys"},
		"vip-subnet-ipv6":      {id, plus(tcp, "ip-families: IPv6"), false, "TestKeys"},
		"vip-network":          {id, tcp, false, "TestKeys"},
		"vip-port":             {id, tcp, false, "TestKeys"},
		"flavor":               {id, tcp, false, "TestKeys"},
		"availability-zone":    {"zone1", tcp, false, "TestKeys"},
		"octavia-provider":     {"ovn", tcp, false, "TestKeys"},
		"member-subnet":        {id, tcp, false, "TestKeys"},
		"floating-network":     {id, tcp, false, "TestFloating"},
		"floating-subnet":      {id, tcp, false, "TestFloating"},
		"keep-floating-ip":     {"true", tcp, false, "TestFloating"},
		"internal":             {"true", tcp, false, "TestFloating"},
		"adopt":                {id, tcp, true, "TestAdopt"},
		"member":               {"pod", tcp, true, "TestPodsAndLocal"},
		"node-selector":        {"zone=a", tcp, true, "TestNodes"},
		"tls-container":        {"https://barbican.example/v1/secrets/" + id, plus(tcp, "protocol: HTTPS"), false, "TestKeys"},
		"client-timeout":       {"7s", tcp, false, "TestKeys"},
		"inspect-timeout":      {"7s", tcp, false, "TestKeys"},
		"x-forwarded-for":      {"false", web, false, "TestKeys"},
		"monitor-type":         {"PING", tcp, false, "TestKeys"},
		"monitor-delay":        {"7s", tcp, false, "TestKeys"},
		"monitor-timeout":      {"2s", tcp, false, "TestKeys"},
		"monitor-retries":      {"7", tcp, false, "TestKeys"},
		"monitor-retries-down": {"7", tcp, false, "TestKeys"},
		"monitor-path":         {"/ready", checked, false, "TestKeys"},
		"monitor-codes":        {"200-204", checked, false, "TestKeys"},
	}
}

// The parts of a tree with what the API names by id, or by a call of its own.
type (
	shownTree struct {
		octavia.Placement
		Floating  *octavia.Floating
		Listeners []shownListener
		Pools     []shownPool
	}
	shownListener struct {
		octavia.Listener
		DefaultPool string
		Policies    []octavia.Policy
	}
	shownPool struct {
		octavia.Pool
		Members []octavia.Member
		Monitor *octavia.Monitor
	}
)

// planted returns what Octavia is asked for because of the object, with the key or without it.
func (s shownKey) planted(t *testing.T, key string, with bool) string {
	t.Helper()
	services := configmap.MapServices([]*corev1.Service{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080}},
		},
	}})
	w := configmap.Parse(s.object(t, key, with), services)
	for i := range w.LoadBalancer.Listeners {
		for j := range w.LoadBalancer.Listeners[i].Routes {
			target := &w.LoadBalancer.Listeners[i].Routes[j].Target
			target.Endpoints = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.11:30080")}
		}
	}
	out := plan.MakeForCloud(plan.CloudInput{Wishes: []lb.Wish{w}, Capabilities: new(octavia.Backend).Capabilities()})
	if with {
		unharmed(t, key, out)
	}
	identity := octavia.Identity{Cluster: "c", Origin: w.LoadBalancer.Origin}
	tree := octavia.Plant(out.LoadBalancers[0], identity, octavia.Settings{
		ForwardedFor: true, FloatingNetwork: "99999999-2222-3333-4444-555555555555",
	})
	shown := shownTree{Placement: tree.Placement, Floating: tree.Floating}
	for _, l := range tree.Listeners {
		shown.Listeners = append(shown.Listeners, shownListener{l, l.DefaultPool, l.Policies})
	}
	for _, p := range tree.Pools {
		shown.Pools = append(shown.Pools, shownPool{p, p.Members, p.Monitor})
	}
	text, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}
