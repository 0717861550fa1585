package configmap

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

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
	exact, redirect                bool
	rewrite                        string
	routes                         []routeWish
	ssl                            bool
	options                        lb.Options
	// retried says that retries is given.
	retried bool
	tls     securities
	// secure says that protocol is one under TLS.
	secure   bool
	share    string
	address  lb.AddressWish
	provider lb.Provider
	cloud    lb.Cloud
	// upstream and member are the values of the keys of these names, empty where they are not given.
	upstream, member string
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
	given := known().given(cm.Data)
	for _, k := range given {
		r.value(k, cm.Data[k.Name])
	}
	if r.service == "" && !r.faulty(KeyService) && len(r.routes) == 0 && !r.faulty(KeyRoutes) {
		r.addf(lb.CodeMissingKey, KeyService, "the key is missing; give the name of the Service that gets the traffic")
	}
	r.contradictions()
	r.settle()
	listeners := r.listeners(services)
	w := lb.Wish{
		LoadBalancer: lb.LoadBalancer{Origin: r.origin, Share: r.share, Provider: r.provider, Cloud: r.cloud},
		Address:      r.address, Findings: r.findings, Fields: r.fields(), Clouded: clouded(cm.Data, given),
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

// everyField says where everything is that a key of its own is about. It is put together once.
var everyField = sync.OnceValue(func() lb.Fields {
	return lb.Fields{
		Requested: field(KeyRequestedIP), Pool: field(KeyPool), Families: field(KeyFamilies),
		Protocol: field(KeyProtocol), Port: field(KeyBindPort), Host: field(KeyHost), Path: field(KeyPath),
		PathType: field(KeyPathType), Routes: field(KeyRoutes), TLS: field(KeySSL), Share: field(KeyShare),
		Sources: field(KeySources), TrustedProxies: field(KeyTrusted), ProxyProtocol: field(KeyProxy),
		Limits: field(KeyMaxConns), Timeouts: field(KeyConnectTime), Idle: field(KeyIdleTimeout),
		Responses: field(KeyResponses), Retries: field(KeyRetries), AccessLog: field(KeyAccessLog),
		Rewrite: field(KeyRewrite), Redirect: field(KeyRedirect), GRPC: field(KeyBackend), Request: field(KeySetRequest),
		Response: field(KeySetAnswer), Body: field(KeyMaxBody), Gzip: field(KeyGzip),
		PerClient: field(KeyMaxPerIP), SendTimeout: field(KeySendTime),
		Provider: field(KeyProvider), Service: field(KeyService), Subnet: field(KeySubnet),
		Monitor:  field(KeyMonitorType),
		Upstream: field(KeyUpstream), Method: field(KeyMethod), Affinity: field(KeyAffinity),
		Certificates: field(KeyTLSSecret), ClientCA: field(KeyClientCA), BackendTLS: field(KeyBackendCA),
	}
})

// fields says where the plan finds what it judges.
func (r *reading) fields() lb.Fields {
	at := everyField()
	if !r.retried {
		at.Retries = ""
	}
	if len(r.ports) > 0 && r.ports[0].place == KeyPorts {
		at.Protocol, at.Port = field(KeyPorts), field(KeyPorts)
	}
	if len(r.routes) > 0 {
		at.Host, at.Path, at.PathType = field(KeyRoutes), field(KeyRoutes), field(KeyRoutes)
	}
	if r.service == "" && len(r.routes) > 0 {
		at.Service = field(KeyRoutes)
	}
	return at
}

// unknownKeys finds keys that are not in the contract. They come first, since a missing key is often a misspelt one.
func (r *reading) unknownKeys(cm *corev1.ConfigMap) {
	keys := known()
	stray := func(data map[string]string) bool {
		for key := range data {
			if _, isKnown := keys.index[key]; !isKnown {
				return true
			}
		}
		return false
	}
	if len(cm.BinaryData) == 0 && !stray(cm.Data) {
		return
	}
	given := slices.Concat(slices.Collect(maps.Keys(cm.Data)), slices.Collect(maps.Keys(cm.BinaryData)))
	slices.Sort(given)
	for _, key := range slices.Compact(given) {
		_, binary := cm.BinaryData[key]
		switch _, isKnown := keys.index[key]; {
		case binary && isKnown:
			r.findings = append(r.findings, lb.Finding{Code: lb.CodeUnknownKey, Field: "binaryData[" + key + "]",
				Message: "the key is read from data only; move it there"})
		case isKnown:
		default:
			// Only now: what is near takes a hundred times as long as all the rest.
			if near := nearest(key, keys.names); near != "" {
				r.addf(lb.CodeUnknownKey, key, "there is no such key; did you mean %q?", near)
			} else {
				r.addf(lb.CodeUnknownKey, key, "there is no such key; docs/configmap.md lists those that there are")
			}
		}
	}
}

// value reads one key that has a value. An empty one is the same as none, so that templates may leave holes.
func (r *reading) value(k *Key, v string) {
	if why := unsafe(v, k.Lines); why != "" {
		if !k.Written {
			r.addf(lb.CodeUnsafeValue, k.Name, "%s", why)
		}
		return
	}
	k.read(r, v)
}

// contradictions finds keys that cannot both be meant.
func (r *reading) contradictions() {
	r.portsTwice()
	if r.exact && r.path == "" && !r.faulty(KeyPath) {
		r.addf(lb.CodeConflictingKeys, KeyPathType, "there is no %s that it could be the type of; remove it or add one",
			KeyPath)
	}
	r.ownerless()
	r.headerTwice()
	r.addressTwice()
	r.monitorTwice()
	r.placedTwice()
	r.memberTwice()
	r.spreadTwice()
	r.insecure()
	rewrites := r.rewrite != "" || slices.ContainsFunc(r.routes, func(w routeWish) bool { return w.rewrite != "" })
	if r.options.HTTP.GRPC && rewrites {
		r.addf(lb.CodeConflictingKeys, KeyBackend,
			"paths of GRPC name methods and cannot be rewritten; remove one of the two")
	}
	if r.options.AcceptProxy && len(r.options.TrustedProxies) == 0 && !r.faulty(KeyTrusted) {
		r.addf(lb.CodeConflictingKeys, KeyProxy, "accept needs %s, for the header says who the client is; add the ranges of "+
			"the proxies", KeyTrusted)
	}
	if r.redirect {
		r.options.HTTP.RedirectTo = r.sslPort
	}
}

// portsTwice finds ports that are said in two ways.
func (r *reading) portsTwice() {
	for _, k := range []struct {
		key   string
		given bool
	}{{KeyBindPort, r.bindPort > 0}, {KeyTargetPort, r.targetPort != ""}} {
		if k.given && len(r.ports) > 0 {
			r.addf(lb.CodeConflictingKeys, k.key, "%s says which ports there are; remove one of the two", KeyPorts)
		}
	}
}

// addressTwice finds contradictions about addresses.
func (r *reading) addressTwice() {
	if len(r.address.ShareWith) > 0 && !strings.HasPrefix(r.share, r.origin.Namespace+"/") && !r.faulty(KeyShare) {
		r.addf(lb.CodeConflictingKeys, KeyShareWith, "the key is about a %s of this namespace, which is not there; add one",
			KeyShare)
	}
	for _, a := range r.address.Requested {
		if f := lb.FamilyOf(a); len(r.address.Families) > 0 && !slices.Contains(r.address.Families, f) {
			r.addf(lb.CodeConflictingKeys, KeyRequestedIP, "%s is not of a family in %s; add %s there or request another "+
				"address", a, KeyFamilies, f)
		}
	}
}

// ownerless finds keys that say something of a Service that is not named.
func (r *reading) ownerless() {
	if r.service != "" || len(r.routes) == 0 {
		return
	}
	for _, k := range []struct {
		key   string
		given bool
	}{
		{KeyNamespace, r.namespace != r.origin.Namespace}, {KeyHost, r.host != ""}, {KeyPath, r.path != ""},
		{KeyRewrite, r.rewrite != ""},
	} {
		if k.given {
			r.addf(lb.CodeConflictingKeys, k.key, "the key is about %s, which is not there; put it into %s", KeyService,
				KeyRoutes)
		}
	}
}

// listeners returns what the load balancer listens for.
func (r *reading) listeners(services Services) []lb.Listener {
	if r.service == "" && len(r.routes) == 0 {
		return nil
	}
	svc, known := r.lookUp(services, r.serviceKey(), places{KeyNamespace, KeyService})
	routes, found := r.findRoutes(services)
	if services != nil && (!known && r.service != "" || !found) {
		return nil
	}
	wants := r.wanted(svc)
	listeners := r.eachListener(svc, routes, wants)
	if len(listeners) == 0 {
		return nil
	}
	listeners = r.secured(listeners)
	r.listenTwice(listeners)
	r.certified(listeners)
	r.leftOver(routes, listeners)
	if (lb.LoadBalancer{Listeners: listeners}).Sprawls() {
		r.badf(KeyRoutes, "a route of every host is one of each host that leaves room for it, and one of each port: more "+
			"than %d in all; have fewer of them, or give the hosts a route of path / of their own", lb.MaxReach)
	}
	if r.service == "" || svc != nil || !slices.ContainsFunc(wants, func(p portWish) bool { return p.protocol == "" }) {
		r.optionless(listeners)
	}
	return listeners
}

// eachListener returns what every port listens for; none where one of them goes with a finding.
func (r *reading) eachListener(svc *corev1.Service, more []*route, wants []portWish) []lb.Listener {
	var listeners []lb.Listener
	for _, p := range wants {
		if l, ok := r.listener(svc, more, p); ok {
			if p.secure {
				l = r.terminating(l, l.Port)
			}
			listeners = append(listeners, l)
		}
	}
	if len(listeners) < len(wants) {
		return nil
	}
	return listeners
}

// wanted returns the ports to listen on; none goes with a finding.
func (r *reading) wanted(svc *corev1.Service) []portWish {
	wants := r.ports
	if len(wants) == 0 && svc != nil {
		wants = r.everyPort(r.serviceKey(), svc)
		if len(wants) > maxPorts {
			r.addf(lb.CodeAmbiguousPort, KeyService, "Service %s has %d ports; name at most %d of them in %s",
				r.serviceKey(), len(wants), maxPorts, KeyPorts)
			return nil
		}
	}
	if len(wants) == 0 && (svc == nil || r.protocol != "") {
		wants = []portWish{{protocol: r.protocol, secure: r.secure}}
	}
	return wants
}

// listener returns what one port listens for; false goes with a finding.
func (r *reading) listener(svc *corev1.Service, more []*route, p portWish) (l lb.Listener, ok bool) {
	if p, ok = r.bound(svc, p); !ok {
		return l, false
	}
	override, ok := r.only(more, p)
	if !ok {
		return l, false
	}
	if r.service == "" {
		return r.routed(more, override, p)
	}
	if override != nil {
		return r.split(override, p)
	}
	target, protocol, ok := r.target(svc, r.serviceKey(), p)
	if !ok {
		return l, false
	}
	p.bind, p.protocol = cmp.Or(p.bind, target.Service.Port), protocol
	l = lb.Listener{
		Port: p.bind, Protocol: p.protocol, Routes: []lb.Route{{Target: target}}, Options: r.optionsOf(p.protocol),
	}
	if routes(p.protocol) {
		l.Routes, ok = r.bindRoutes(&target, more, p)
	}
	return l, ok
}

// bound gives a port without a number the one that is meant, as far as that can be known before its routes are: that of
// its target, or of its protocol. Without a cluster it may stay 0. False goes with a finding.
func (r *reading) bound(svc *corev1.Service, p portWish) (portWish, bool) {
	switch {
	case p.bind > 0:
	case r.service == "":
		p.bind = map[lb.Protocol]uint16{lb.HTTP: 80, lb.Passthrough: 443}[p.protocol]
	default:
		target, _, ok := r.target(svc, r.serviceKey(), p)
		if !ok {
			return p, false
		}
		p.bind = target.Service.Port
	}
	return p, true
}

// routed returns what a port of an object without target-service-name listens for.
func (r *reading) routed(more []*route, override *route, p portWish) (lb.Listener, bool) {
	if p.target != "" {
		r.addf(lb.CodeMissingKey, KeyService, "%s names a port of the Service, but no Service is named; add %s or name "+
			"the port in %s", cmp.Or(p.place, KeyTargetPort), KeyService, KeyRoutes)
		return lb.Listener{}, false
	}
	if override != nil {
		return r.split(override, p)
	}
	if !routes(p.protocol) {
		r.addf(lb.CodeMissingKey, KeyService, "nothing says where port %d leads; add %s, or a route for it to %s", p.bind,
			KeyService, KeyRoutes)
		return lb.Listener{}, false
	}
	bound, ok := r.bindRoutes(nil, more, p)
	if ok && len(bound) == 0 {
		r.addf(lb.CodeMissingKey, KeyService, "nothing says where port %d leads; add %s, or a route for it to %s", p.bind,
			KeyService, KeyRoutes)
	}
	return lb.Listener{Port: p.bind, Protocol: p.protocol, Routes: bound, Options: r.optionsOf(p.protocol)},
		ok && len(bound) > 0
}

// split returns what a port listens for that passes everything on to the Services of one route.
func (r *reading) split(w *route, p portWish) (lb.Listener, bool) {
	p.protocol = cmp.Or(p.protocol, lb.TCP)
	bound, ok := r.bind(w, p.protocol)
	return lb.Listener{
		Port: cmp.Or(p.bind, bound.Target.Service.Port), Protocol: p.protocol, Routes: []lb.Route{bound},
		Options: r.optionsOf(p.protocol),
	}, ok
}
