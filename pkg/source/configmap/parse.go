package configmap

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A reading is a ConfigMap on its way to a wish.
type reading struct {
	origin   lb.Origin
	findings []lb.Finding

	namespace, service, targetPort string
	bindPort, sslPort              uint16
	ports                          []portWish
	protocol                       lb.Protocol
	host, path                     string
	ssl                            bool
	options                        lb.Options
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
	r.settle()
	listeners := r.listeners(services)
	w := lb.Wish{
		LoadBalancer: lb.LoadBalancer{Origin: r.origin}, Address: r.address, Findings: r.findings, Fields: fields(),
	}
	if !w.Failed() {
		w.LoadBalancer.Listeners = listeners
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
		TLS: field(KeySSL), Timeouts: field(KeyIdleTimeout), Responses: field(KeyResponses),
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
			r.addf(lb.CodeUnknownKey, key, "there is no such key; docs/configmap.md lists those that there are")
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

// contradictions finds keys that cannot both be meant.
func (r *reading) contradictions() {
	if len(r.ports) > 0 {
		for _, k := range []struct {
			key   string
			given bool
		}{{KeyBindPort, r.bindPort > 0}, {KeyTargetPort, r.targetPort != ""}} {
			if k.given {
				r.addf(lb.CodeConflictingKeys, k.key, "%s says which ports there are; remove one of the two", KeyPorts)
			}
		}
	}
	for _, a := range r.address.Requested {
		if f := lb.FamilyOf(a); len(r.address.Families) > 0 && !slices.Contains(r.address.Families, f) {
			r.addf(lb.CodeConflictingKeys, KeyRequestedIP, "%s is not of a family in %s; add %s there or request another "+
				"address", a, KeyFamilies, f)
		}
	}
}

// listeners returns what the load balancer listens for.
func (r *reading) listeners(services Services) []lb.Listener {
	svc, known := r.lookUp(services)
	if services != nil && !known {
		return nil
	}
	wants := r.ports
	if len(wants) == 0 && svc != nil {
		wants = r.everyPort(r.serviceKey(), svc)
	}
	switch {
	case len(wants) > 0:
	case svc != nil && r.protocol == "":
		return nil
	default:
		wants = []portWish{{protocol: r.protocol}}
	}
	var listeners []lb.Listener
	for _, p := range wants {
		target, protocol, ok := r.target(svc, p)
		if !ok {
			continue
		}
		if p.bind == 0 {
			p.bind = target.Service.Port
		}
		l := lb.Listener{Port: p.bind, Protocol: protocol, Routes: []lb.Route{{Target: target}}}
		if protocol == lb.HTTP {
			l.Routes[0].Host, l.Routes[0].Path = r.host, r.path
		}
		l.Options = r.optionsOf(protocol)
		listeners = append(listeners, l)
	}
	if i := slices.IndexFunc(listeners, func(l lb.Listener) bool { return l.Protocol == lb.HTTP }); r.ssl && i >= 0 {
		secure := listeners[i]
		secure.Port, secure.TLS = r.sslPort, &lb.TLS{}
		listeners = append(listeners, secure)
	}
	r.listenTwice(listeners)
	if unsure := svc == nil && slices.ContainsFunc(wants, func(p portWish) bool { return p.protocol == "" }); !unsure &&
		len(listeners) > 0 {
		r.optionless(listeners)
	}
	return listeners
}
