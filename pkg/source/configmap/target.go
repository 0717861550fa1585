package configmap

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Services knows the cluster's Services.
type Services interface {
	// Service returns the Service of that namespace and name; false when there is none.
	Service(key lb.Key) (*corev1.Service, bool)
}

// ServiceMap is a set of Services.
type ServiceMap map[lb.Key]*corev1.Service

// MapServices returns the Services as a set.
func MapServices(list []*corev1.Service) ServiceMap {
	m := make(ServiceMap, len(list))
	for _, s := range list {
		m[lb.Key{Namespace: s.Namespace, Name: s.Name}] = s
	}
	return m
}

// Service implements [Services].
func (m ServiceMap) Service(key lb.Key) (*corev1.Service, bool) {
	s, ok := m[key]
	return s, ok
}

// serviceKey names the Service that the object targets.
func (r *reading) serviceKey() lb.Key { return lb.Key{Namespace: r.namespace, Name: r.service} }

// places are the keys that findings about a Service point at.
type places struct{ namespace, service string }

// lookUp finds a Service; false goes with a finding, or with services that are not known.
func (r *reading) lookUp(services Services, key lb.Key, at places) (*corev1.Service, bool) {
	if services == nil || key.Name == "" || r.faulty(KeyNamespace) {
		return nil, false
	}
	svc, ok := services.Service(key)
	if foreign := key.Namespace != r.origin.Namespace; foreign && (!ok || !allows(svc, r.origin.Namespace)) {
		r.addf(lb.CodeServiceForeign, at.namespace, "Service %s does not exist or does not allow namespace %s; its owner "+
			"may annotate it with %s: %[2]s", key, quote(r.origin.Namespace), AnnotationAllowFrom)
		return nil, false
	}
	if !ok {
		r.addf(lb.CodeServiceNotFound, at.service, "there is no Service %s; create it or correct the name", key)
		return nil, false
	}
	if len(svc.Spec.Ports) == 0 {
		r.addf(lb.CodeServiceNoPorts, at.service, "Service %s has no ports; add one to it", key)
	}
	if !r.reachable(svc, key, at.service) {
		return nil, false
	}
	r.sticky(svc, key, at.service)
	return svc, len(svc.Spec.Ports) > 0
}

// target finds the port of a Service that a port of the load balancer leads to, and the protocol if the object does not
// say it. False goes with a finding.
func (r *reading) target(svc *corev1.Service, key lb.Key, p portWish) (lb.Target, lb.Protocol, bool) {
	if svc == nil {
		n, _ := strconv.ParseUint(p.target, 10, 16)
		return lb.Target{Service: lb.Service{Key: key, Port: uint16(n)}}, cmp.Or(p.protocol, lb.TCP), true
	}
	port, ok := r.servicePort(svc, key, p)
	if !ok {
		return lb.Target{}, "", false
	}
	protocol := cmp.Or(p.protocol, lb.Protocol(transportOf(port)))
	number := uint16(port.Port) //nolint:gosec // the API server keeps it within 1 to 65535
	out := lb.Target{Service: lb.Service{Key: key, Port: number}}
	// The pods' own addresses are for package endpoints: they change while the object stays.
	if ip, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil && !r.options.Upstream.Endpoints {
		out.Endpoints = []netip.AddrPort{netip.AddrPortFrom(ip, number)}
	}
	return out, protocol, true
}

// reachable reports whether there is a way to a Service; false goes with a finding.
func (r *reading) reachable(svc *corev1.Service, key lb.Key, place string) bool {
	if r.options.Upstream.Endpoints && svc.Spec.Type != corev1.ServiceTypeExternalName {
		return true
	}
	if _, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil && svc.Spec.Type != corev1.ServiceTypeExternalName {
		return true
	}
	hint := ""
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		hint = fmt.Sprintf(", or set %s: %s", KeyUpstream, upstreamEndpoints)
	}
	r.addf(lb.CodeServiceNoIP, place, "Service %s %s; use one with a cluster IP%s", key, withoutIP(svc), hint)
	return false
}

// allows reports whether the Service lets ConfigMaps of a namespace target it.
func allows(svc *corev1.Service, namespace string) bool {
	for allowed := range strings.SplitSeq(svc.Annotations[AnnotationAllowFrom], ",") {
		if a := strings.TrimSpace(allowed); a == "*" || a == namespace {
			return true
		}
	}
	return false
}

// withoutIP says why a Service has no cluster IP.
func withoutIP(svc *corev1.Service) string {
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return "is of type ExternalName"
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return "is headless"
	default:
		return "has no cluster IP"
	}
}

// servicePort finds the port of the Service that is meant.
func (r *reading) servicePort(svc *corev1.Service, key lb.Key, p portWish) (corev1.ServicePort, bool) {
	ports, place := svc.Spec.Ports, cmp.Or(p.place, KeyTargetPort)
	if r.faulty(KeyTargetPort) {
		return corev1.ServicePort{}, false
	}
	want := p.target
	if number := strconv.Itoa(int(p.bind)); want == "" && place == KeyPorts && slices.ContainsFunc(ports, called(number)) {
		want = number
	}
	meant := ports
	if want != "" {
		meant = slices.DeleteFunc(slices.Clone(ports), func(q corev1.ServicePort) bool { return !called(want)(q) })
	}
	fits := fitting(meant, p.protocol)
	switch {
	case len(meant) == 0:
		r.addf(lb.CodePortNotFound, place, "Service %s has no port %s; its ports are %s%s", key, quote(want),
			portList(ports), podPortHint(ports, want))
	case want == "" && len(fits) > 1:
		r.addf(lb.CodeAmbiguousPort, place, "Service %s has several ports (%s); give one of them", key, portList(ports))
	case len(fits) > 0:
		return fits[0], true
	case len(meant) > 1:
		r.addf(lb.CodePortNotFound, place, "Service %s has no %s port, which protocol %s needs; its ports are %s", key,
			lb.Listener{Protocol: p.protocol}.Transport(), cmp.Or(p.protocol, lb.TCP), portList(ports))
	default:
		r.addf(lb.CodePortNotFound, place, "port %d of Service %s is %s, but protocol %s needs a %s port; its ports are %s",
			meant[0].Port, key, transportOf(meant[0]), cmp.Or(p.protocol, lb.TCP),
			lb.Listener{Protocol: p.protocol}.Transport(), portList(ports))
	}
	return corev1.ServicePort{}, false
}

// called returns a test for the port of a number or name.
func called(want string) func(corev1.ServicePort) bool {
	return func(p corev1.ServicePort) bool { return want == p.Name || want == strconv.Itoa(int(p.Port)) }
}

// fitting returns the ports whose transport a protocol needs. Without a protocol those of TCP go before those of UDP,
// as a number can stand for a port of each.
func fitting(ports []corev1.ServicePort, p lb.Protocol) (out []corev1.ServicePort) {
	wanted := []lb.Transport{lb.Listener{Protocol: p}.Transport()}
	if p == "" {
		wanted = []lb.Transport{lb.OverTCP, lb.OverUDP}
	}
	for _, t := range wanted {
		for _, q := range ports {
			if transportOf(q) == t {
				out = append(out, q)
			}
		}
	}
	return out
}

// transportOf returns the transport of a Service's port.
func transportOf(p corev1.ServicePort) lb.Transport {
	return lb.Transport(cmp.Or(p.Protocol, corev1.ProtocolTCP))
}

// podPortHint tells those who gave the pods' port which one of the Service leads to it.
func podPortHint(ports []corev1.ServicePort, want string) string {
	for _, p := range ports {
		if p.TargetPort.String() == want {
			return fmt.Sprintf(" (%s is a port of its pods, which %d leads to)", quote(want), p.Port)
		}
	}
	return ""
}

// portList lists a Service's ports.
func portList(ports []corev1.ServicePort) string {
	const shown = 8
	var texts []string
	for _, p := range ports[:min(shown, len(ports))] {
		t := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			t += " " + quote(p.Name)
		}
		if p.Protocol != corev1.ProtocolTCP && p.Protocol != "" {
			t += " " + quote(string(p.Protocol))
		}
		texts = append(texts, t)
	}
	if more := len(ports) - shown; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}
