package endpoints

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Pods are what stands behind a port of a Service.
type Pods struct {
	// Serving are the addresses that get traffic, sorted: of one family, each once.
	Serving []netip.AddrPort
	// Ready and Terminating count the addresses that are ready, and those that are on their way out; Total counts all.
	Ready, Terminating, Total int
}

// Of returns what stands behind a port of a Service, given its EndpointSlices in any order. A pod of two families is
// taken once, by the Service's first family in which anybody serves.
func Of(svc *corev1.Service, all []*discoveryv1.EndpointSlice, port uint16, t lb.Transport) Pods {
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == int32(port) && lb.Transport(cmp.Or(p.Protocol, corev1.ProtocolTCP)) == t
	})
	if i < 0 {
		return Pods{}
	}
	var first Pods
	for _, f := range families(svc) {
		pods := gather(all, svc.Spec.Ports[i], f)
		if len(pods.Serving) > 0 {
			return pods
		}
		if first.Total == 0 {
			first = pods
		}
	}
	return first
}

// families returns the families of addresses to look for, the Service's own ones first.
func families(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, f := range append(slices.Clone(svc.Spec.IPFamilies), corev1.IPv4Protocol, corev1.IPv6Protocol) {
		if t := discoveryv1.AddressType(f); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// condition is what is known about an address.
type condition struct{ ready, serving, terminating bool }

// gather returns the addresses of a family behind a port. A pod may be in two slices at once while it moves from one to
// the other; what is better about it counts.
func gather(all []*discoveryv1.EndpointSlice, port corev1.ServicePort, family discoveryv1.AddressType) Pods {
	found := map[netip.AddrPort]condition{}
	for _, s := range all {
		number, ok := portOf(s, port)
		if s.AddressType != family || !ok {
			continue
		}
		for _, e := range s.Endpoints {
			a, ok := addressOf(e)
			if !ok {
				continue
			}
			at, now := netip.AddrPortFrom(a, number), conditionOf(e.Conditions)
			if before, twice := found[at]; twice {
				now = condition{
					now.ready || before.ready, now.serving || before.serving, now.terminating && before.terminating,
				}
			}
			found[at] = now
		}
	}
	return choose(found)
}

// Serves reports whether a slice has an address that kube-proxy would send traffic to: one that is ready, or that ends
// but serves still.
func Serves(s *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
		c := conditionOf(e.Conditions)
		return len(e.Addresses) > 0 && (c.ready || c.serving && c.terminating)
	})
}

// choose returns who gets traffic, and the counts.
func choose(found map[netip.AddrPort]condition) Pods {
	var ready, last []netip.AddrPort
	out := Pods{Total: len(found)}
	for at, c := range found {
		if c.terminating {
			out.Terminating++
		}
		switch {
		case c.ready:
			ready = append(ready, at)
		case c.serving && c.terminating:
			last = append(last, at)
		}
	}
	out.Ready, out.Serving = len(ready), ready
	if len(ready) == 0 {
		out.Serving = last
	}
	slices.SortFunc(out.Serving, netip.AddrPort.Compare)
	return out
}

// portOf returns the pods' port that a slice has for a Service's one: they have its name in common, and pods for which
// a named port has another number are in another slice.
func portOf(s *discoveryv1.EndpointSlice, want corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		if name == want.Name && protocol == cmp.Or(want.Protocol, corev1.ProtocolTCP) && p.Port != nil &&
			*p.Port > 0 && *p.Port <= 65535 {
			return uint16(*p.Port), true //nolint:gosec // it is in bounds
		}
	}
	return 0, false
}

// addressOf returns an endpoint's address; of several, which stand for the same, the first. The API server lets none of
// those in that are left out here: whoever may write EndpointSlices must not lead nginx to its own node.
func addressOf(e discoveryv1.Endpoint) (netip.Addr, bool) {
	if len(e.Addresses) == 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(e.Addresses[0])
	bad := err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() ||
		a.IsLinkLocalUnicast()
	return a, !bad
}

// conditionOf reads the conditions, of which a missing one has a meaning (EndpointConditions of discovery.k8s.io/v1).
func conditionOf(c discoveryv1.EndpointConditions) condition {
	out := condition{ready: c.Ready == nil || *c.Ready, terminating: c.Terminating != nil && *c.Terminating}
	out.serving = out.ready
	if c.Serving != nil {
		out.serving = *c.Serving
	}
	return out
}
