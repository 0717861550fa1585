package configmap

import (
	"fmt"
	"net/netip"
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

// target finds the Service's port and address. The zero target goes with a finding.
func (r *reading) target(services Services) lb.Target {
	if r.service == "" || r.faulty(KeyNamespace) {
		return lb.Target{}
	}
	key := lb.Key{Namespace: r.namespace, Name: r.service}
	if services == nil {
		n, _ := strconv.ParseUint(r.targetPort, 10, 16)
		return lb.Target{Service: lb.Service{Key: key, Port: uint16(n)}}
	}
	svc, ok := services.Service(key)
	if foreign := r.namespace != r.origin.Namespace; foreign && (!ok || !allows(svc, r.origin.Namespace)) {
		r.addf(lb.CodeServiceForeign, KeyNamespace, "Service %s does not exist or does not allow namespace %s; its owner "+
			"may annotate it with %s: %[2]s", key, quote(r.origin.Namespace), AnnotationAllowFrom)
		return lb.Target{}
	}
	if !ok {
		r.addf(lb.CodeServiceNotFound, KeyService, "there is no Service %s; create it or correct the name", key)
		return lb.Target{}
	}
	port, ok := r.servicePort(key, svc)
	ip, err := netip.ParseAddr(svc.Spec.ClusterIP)
	if err != nil {
		r.addf(lb.CodeServiceNoIP, KeyService, "Service %s %s; use one with a cluster IP", key, withoutIP(svc))
		return lb.Target{}
	}
	if !ok {
		return lb.Target{}
	}
	if r.ssl && r.bindPort == 0 && port == r.sslPort {
		r.addf(lb.CodeConflictingKeys, KeySSLPort, "port %d is the target port, at which the load balancer listens as there "+
			"is no bind-port; add bind-port or choose another one", port)
	}
	return lb.Target{
		Service:   lb.Service{Key: key, Port: port},
		Endpoints: []netip.AddrPort{netip.AddrPortFrom(ip, port)},
	}
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
func (r *reading) servicePort(key lb.Key, svc *corev1.Service) (uint16, bool) {
	ports := svc.Spec.Ports
	if len(ports) == 0 {
		r.addf(lb.CodeServiceNoPorts, KeyService, "Service %s has no ports; add one to it", key)
		return 0, false
	}
	if r.faulty(KeyTargetPort) {
		return 0, false
	}
	if r.targetPort == "" && len(ports) > 1 {
		r.addf(lb.CodeAmbiguousPort, KeyTargetPort, "Service %s has several ports (%s); give one of them", key,
			portList(ports))
		return 0, false
	}
	var other *corev1.ServicePort
	for i, p := range ports {
		if r.targetPort != "" && r.targetPort != p.Name && r.targetPort != strconv.Itoa(int(p.Port)) {
			continue
		}
		if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
			return uint16(p.Port), true
		}
		other = &ports[i]
	}
	if other != nil {
		r.addf(lb.CodePortNotFound, KeyTargetPort, "port %d of Service %s is %s, but protocol %s needs a TCP port; its "+
			"ports are %s", other.Port, key, other.Protocol, r.protocol, portList(ports))
	} else {
		r.addf(lb.CodePortNotFound, KeyTargetPort, "Service %s has no port %s; its ports are %s%s", key, quote(r.targetPort),
			portList(ports), r.podPortHint(ports))
	}
	return 0, false
}

// podPortHint tells those who gave the pods' port which one of the Service leads to it.
func (r *reading) podPortHint(ports []corev1.ServicePort) string {
	for _, p := range ports {
		if p.TargetPort.String() == r.targetPort {
			return fmt.Sprintf(" (%s is a port of its pods, which %d leads to)", quote(r.targetPort), p.Port)
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
