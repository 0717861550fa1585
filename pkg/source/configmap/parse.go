package configmap

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A reading is a ConfigMap on its way to a wish.
type reading struct {
	origin   lb.Origin
	findings []lb.Finding

	namespace, service, targetPort string
	bindPort, sslPort              uint16
	protocol                       lb.Protocol
	host, path                     string
	ssl                            bool
	address                        lb.AddressWish
}

// Parse reads what a ConfigMap asks for. Faults of the user are findings of the wish, all of them at once; a wish with
// errors has no listeners.
//
// Without services (nil) nothing is said about the Service, and the targets have no endpoints: enough to judge a file
// without a cluster, not to serve it.
func Parse(cm *corev1.ConfigMap, services Services) lb.Wish {
	r := &reading{
		origin: lb.Origin{
			Kind: "ConfigMap", Key: lb.Key{Namespace: cm.Namespace, Name: cm.Name}, UID: string(cm.UID),
			Created: cm.CreationTimestamp.UTC(),
		},
		namespace: cm.Namespace,
		sslPort:   443,
	}
	r.unknownKeys(cm)
	for _, k := range Keys() {
		r.value(k, cm.Data[k.Name])
	}
	r.contradictions()
	target := r.target(services)
	w := lb.Wish{
		LoadBalancer: lb.LoadBalancer{Origin: r.origin}, Address: r.address, Findings: r.findings, Fields: fields(),
	}
	if !w.Failed() {
		w.LoadBalancer.Listeners = r.listeners(target)
		w.LoadBalancer.Normalize()
	}
	return w
}

// faulty reports whether there is a finding about the key's value already.
func (r *reading) faulty(key string) bool {
	return slices.ContainsFunc(r.findings, func(f lb.Finding) bool { return f.Field == field(key) })
}

// fields says where the plan finds what it judges.
func fields() lb.Fields {
	return lb.Fields{
		Requested: field(KeyRequestedIP), Pool: field(KeyPool), Families: field(KeyFamilies),
		Protocol: field(KeyProtocol), Port: field(KeyBindPort), Host: field(KeyHost), Path: field(KeyPath),
		TLS: field(KeySSL),
	}
}

// unknownKeys finds keys that are not in the contract. They come first, since a missing key is often a misspelt one.
func (r *reading) unknownKeys(cm *corev1.ConfigMap) {
	var known []string
	for _, k := range Keys() {
		known = append(known, k.Name)
	}
	given := slices.Concat(slices.Collect(maps.Keys(cm.Data)), slices.Collect(maps.Keys(cm.BinaryData)))
	slices.Sort(given)
	for _, key := range slices.Compact(given) {
		_, binary := cm.BinaryData[key]
		isKnown := slices.Contains(known, key)
		switch near := nearest(key, known); {
		case binary && isKnown:
			r.findings = append(r.findings, lb.Finding{Code: lb.CodeUnknownKey, Field: "binaryData[" + key + "]",
				Message: "the key is read from data only; move it there"})
		case isKnown:
		case near != "":
			r.addf(lb.CodeUnknownKey, key, "there is no such key; did you mean %q?", near)
		default:
			r.addf(lb.CodeUnknownKey, key, "there is no such key; the keys are %s", strings.Join(known, ", "))
		}
	}
}

// value reads one key. An empty value is the same as none, so that templates may leave holes.
func (r *reading) value(k Key, v string) {
	if v == "" {
		if k.Name == KeyService {
			r.addf(lb.CodeMissingKey, KeyService, "the key is missing; give the name of the Service that gets the traffic")
		}
		return
	}
	if why := unsafe(v); why != "" {
		if !k.Written {
			r.addf(lb.CodeUnsafeValue, k.Name, "%s", why)
		}
		return
	}
	k.read(r, v)
}

// contradictions finds keys that cannot both be meant, and settles the protocol.
func (r *reading) contradictions() {
	http := r.ssl || r.host != "" || r.path != ""
	switch {
	case r.protocol == "" && http:
		r.protocol = lb.HTTP
	case r.protocol == "":
		r.protocol = lb.TCP
	case r.protocol == lb.TCP && http:
		r.addf(lb.CodeConflictingKeys, KeyProtocol,
			"host, path and SSL need protocol HTTP; remove them, or set HTTP or leave the protocol out")
	}
	if r.ssl && r.bindPort == r.sslPort {
		r.addf(lb.CodeConflictingKeys, KeySSLPort, "port %d is bind-port already; choose another one", r.sslPort)
	}
	for _, a := range r.address.Requested {
		if f := lb.FamilyOf(a); len(r.address.Families) > 0 && !slices.Contains(r.address.Families, f) {
			r.addf(lb.CodeConflictingKeys, KeyRequestedIP, "%s is not of a family in %s; add %s there or request another "+
				"address", a, KeyFamilies, f)
		}
	}
}

// listeners returns what the load balancer listens for.
func (r *reading) listeners(target lb.Target) []lb.Listener {
	port := r.bindPort
	if port == 0 {
		port = target.Service.Port
	}
	routes := []lb.Route{{Host: r.host, Path: r.path, Target: target}}
	listeners := []lb.Listener{{Port: port, Protocol: r.protocol, Routes: routes}}
	if r.ssl {
		listeners = append(listeners, lb.Listener{Port: r.sslPort, Protocol: lb.HTTP, TLS: &lb.TLS{}, Routes: routes})
	}
	return listeners
}
