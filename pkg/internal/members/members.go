package members

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// healthPath is what kube-proxy answers at a Service's health port: 200 where the node has a ready endpoint.
const healthPath = "/healthz"

// Cluster is what members are found in. The objects are not changed.
type Cluster struct {
	// Service finds one; false where there is none, or nothing can be said of it.
	Service func(lb.Key) (*corev1.Service, bool)
	// Nodes are all nodes; Selector chooses among them, nil all.
	Nodes    []*corev1.Node
	Selector labels.Selector
	// Slices are the EndpointSlices by Service.
	Slices map[lb.Key][]*discoveryv1.EndpointSlice
}

// Resolver finds members for any number of wishes.
type Resolver struct {
	cluster Cluster
	nodes   []*corev1.Node
}

// New returns a resolver.
func New(c Cluster) *Resolver { return &Resolver{cluster: c, nodes: serving(c.Nodes, c.Selector)} }

// Resolve returns the wish with members for endpoints, and findings where there can be none. A wish with errors is
// returned as it is.
func (r *Resolver) Resolve(w lb.Wish) lb.Wish {
	if w.Failed() {
		return w
	}
	w.LoadBalancer, w.Findings = w.LoadBalancer.Clone(), slices.Clone(w.Findings)
	nodes := r.nodesOf(w)
	for i := range w.LoadBalancer.Listeners {
		l := &w.LoadBalancer.Listeners[i]
		for j := range l.Routes {
			route := &l.Routes[j]
			r.target(&w, *l, nodes, &route.Target)
			for k := range route.Others {
				r.target(&w, *l, nodes, &route.Others[k])
			}
		}
	}
	return w
}

// nodesOf returns the nodes that are there for a wish, which may choose among them.
func (r *Resolver) nodesOf(w lb.Wish) []*corev1.Node {
	own, err := labels.Parse(w.LoadBalancer.Cloud.NodeSelector)
	if err != nil || own.Empty() {
		return r.nodes // the source has looked at it
	}
	chosen := slices.DeleteFunc(slices.Clone(r.cluster.Nodes), func(n *corev1.Node) bool {
		return !own.Matches(labels.Set(n.Labels))
	})
	return serving(chosen, r.cluster.Selector)
}

// target replaces the endpoints of one target.
func (r *Resolver) target(w *lb.Wish, l lb.Listener, nodes []*corev1.Node, t *lb.Target) {
	svc, ok := r.cluster.Service(t.Service.Key)
	if !ok && t.Service.Key == (lb.Key{}) {
		return // there is nothing to go to, such as where a route redirects
	}
	t.Endpoints = nil // never the cluster IP, which no cloud reaches
	if !ok {
		addOnce(w, lb.Finding{Code: lb.CodeServiceNotFound, Field: w.Fields.Service, Message: fmt.Sprintf(
			"there is no Service %s (any more); create it or correct the name", t.Service.Key)})
		return
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == int32(t.Service.Port) && transportOf(p) == l.Transport()
	})
	if i < 0 {
		return
	}
	port := svc.Spec.Ports[i]
	if w.LoadBalancer.Cloud.Pods {
		if t.Endpoints = r.pods(t.Service.Key, port); len(t.Endpoints) == 0 && r.cluster.Slices != nil {
			addOnce(w, lb.Finding{Code: lb.CodeNoEndpoints, Field: w.Fields.Upstream, Message: fmt.Sprintf(
				"no pod of Service %s is ready, so that nobody gets the traffic", t.Service.Key)})
		}
		return
	}
	if port.NodePort == 0 {
		addOnce(w, lb.Finding{Code: lb.CodeServiceNoNodePort, Field: w.Fields.Service, Message: fmt.Sprintf(
			"Service %s has no node port for port %d, so that Octavia cannot reach it; make its type NodePort or LoadBalancer, "+
				"or set member to pod where pods have addresses that Octavia can reach", t.Service.Key, t.Service.Port)})
		return
	}
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		nodes = r.withEndpoint(t.Service.Key, nodes)
		if svc.Spec.HealthCheckNodePort > 0 {
			t.Check = lb.Check{Port: uint16(svc.Spec.HealthCheckNodePort), Path: healthPath} //nolint:gosec // a port
		}
	}
	for _, n := range nodes {
		if a, ok := addressOf(n); ok {
			t.Endpoints = append(t.Endpoints, netip.AddrPortFrom(a, uint16(port.NodePort))) //nolint:gosec // a port
		}
	}
	slices.SortFunc(t.Endpoints, netip.AddrPort.Compare)
}

func addOnce(w *lb.Wish, f lb.Finding) {
	if !slices.Contains(w.Findings, f) {
		w.Findings = append(w.Findings, f)
	}
}

// withEndpoint returns the nodes that have a ready endpoint of the Service.
func (r *Resolver) withEndpoint(key lb.Key, nodes []*corev1.Node) []*corev1.Node {
	has := map[string]bool{}
	for _, s := range r.cluster.Slices[key] {
		for _, e := range s.Endpoints {
			if e.NodeName != nil && ready(e) {
				has[*e.NodeName] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n *corev1.Node) bool { return !has[n.Name] })
}

// pods returns the addresses of the Service's ready pods, sorted.
func (r *Resolver) pods(key lb.Key, port corev1.ServicePort) (out []netip.AddrPort) {
	for _, s := range r.cluster.Slices[key] {
		i := slices.IndexFunc(s.Ports, func(p discoveryv1.EndpointPort) bool {
			return p.Port != nil && deref(p.Name) == port.Name && cmp.Or(deref(p.Protocol), corev1.ProtocolTCP) ==
				cmp.Or(port.Protocol, corev1.ProtocolTCP)
		})
		if i < 0 {
			continue
		}
		for _, e := range s.Endpoints {
			for _, text := range e.Addresses {
				if a, err := netip.ParseAddr(text); err == nil && ready(e) {
					out = append(out, netip.AddrPortFrom(a.Unmap(), uint16(*s.Ports[i].Port))) //nolint:gosec // a port
				}
			}
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// ready reports whether an endpoint takes traffic; who does not say does.
func ready(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

func deref[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

func transportOf(p corev1.ServicePort) lb.Transport {
	return lb.Transport(cmp.Or(p.Protocol, corev1.ProtocolTCP))
}

// toBeDeleted is the taint that the cluster autoscaler gives to a node that it is about to delete.
const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

// serving returns the nodes that are there for traffic.
func serving(nodes []*corev1.Node, selector labels.Selector) []*corev1.Node {
	var all, well []*corev1.Node
	for _, n := range nodes {
		_, out := n.Labels[corev1.LabelNodeExcludeBalancers]
		leaving := n.DeletionTimestamp != nil || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == toBeDeleted
		})
		if out || leaving || selector != nil && !selector.Matches(labels.Set(n.Labels)) {
			continue
		}
		all = append(all, n)
		if isReady(n) {
			well = append(well, n)
		}
	}
	if len(well) == 0 {
		return all
	}
	return well
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// addressOf returns a node's first internal address.
func addressOf(n *corev1.Node) (netip.Addr, bool) {
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); a.Type == corev1.NodeInternalIP && err == nil {
			return ip.Unmap(), true
		}
	}
	return netip.Addr{}, false
}
