package configmap

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxPorts is how many ports one object may have.
const maxPorts = 64

// A portWish is a port to listen on.
type portWish struct {
	// bind is 0 where the target's port is meant.
	bind uint16
	// target is a port of the Service, by number or name; empty where it is not said.
	target string
	// protocol is empty where it is not said.
	protocol lb.Protocol
	// secure says that TLS is terminated.
	secure bool
	// place is the key that it was read from, empty for target-port.
	place string
}

// readPorts reads "80:http/HTTP, 443, 53/UDP".
func (r *reading) readPorts(v string) {
	for text := range strings.SplitSeq(v, ",") {
		p, ok := r.readPort(strings.TrimSpace(text))
		if !ok {
			return
		}
		r.ports = append(r.ports, p)
	}
	if len(r.ports) > maxPorts {
		r.badf(KeyPorts, "%d ports; give at most %d", len(r.ports), maxPorts)
		r.ports = nil
	}
}

// readPort reads one of them; false when there is a finding about it.
func (r *reading) readPort(text string) (p portWish, ok bool) {
	p.place = KeyPorts
	rest, protocol, named := strings.Cut(text, "/")
	if named {
		if p.protocol, p.secure = protocolOf(protocol); p.protocol == "" {
			r.badf(KeyPorts, "%s: %s is not a protocol; give %s", quote(text), quote(protocol), protocolNames())
			return p, false
		}
	}
	bind, target, named := strings.Cut(rest, ":")
	if p.bind = r.port(KeyPorts, bind); p.bind == 0 {
		return p, false
	}
	if named {
		p.target, ok = r.portName(KeyPorts, target)
		return p, ok
	}
	return p, true
}

// The names of protocols under TLS that the load balancer terminates.
const (
	overHTTPS lb.Protocol = "HTTPS"
	overTLS   lb.Protocol = "TLS"
)

// protocols are those that a user can name.
func protocols() []lb.Protocol {
	return []lb.Protocol{lb.HTTP, overHTTPS, lb.TCP, overTLS, lb.UDP, lb.Passthrough}
}

// routes reports whether a protocol can tell requests or connections apart by their host.
func routes(p lb.Protocol) bool { return p == lb.HTTP || p == lb.Passthrough }

// protocolOf returns the protocol of that name, in upper or lower case, and whether it is under TLS; empty when there
// is none.
func protocolOf(name string) (p lb.Protocol, secure bool) {
	i := slices.IndexFunc(protocols(), func(p lb.Protocol) bool { return strings.EqualFold(name, string(p)) })
	if i < 0 {
		return "", false
	}
	switch p = protocols()[i]; p {
	case overHTTPS:
		return lb.HTTP, true
	case overTLS:
		return lb.TCP, true
	default:
		return p, false
	}
}

// protocolNames lists the protocols: "HTTP, TCP or UDP".
func protocolNames() string { return either(protocols()) }

// either lists words of which one is meant.
func either[T ~string](words []T) string {
	var texts []string
	for _, w := range words {
		texts = append(texts, string(w))
	}
	last := len(texts) - 1
	if last == 0 {
		return texts[0]
	}
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// settle gives every port the protocol that is meant, as far as the object says it, and brings the one port of
// bind-port and target-port into the same form. No port at all stands for every port of the Service.
func (r *reading) settle() {
	routed := slices.ContainsFunc(r.routes, func(w routeWish) bool { return !w.plain() })
	if r.protocol == "" && (r.host != "" || r.aboutHTTP() || routed) {
		r.protocol = lb.HTTP
	}
	if r.ports == nil && !r.faulty(KeyPorts) && r.isOnePort() {
		r.ports = []portWish{{bind: r.bindPort, target: r.targetPort}}
	}
	for i := range r.ports {
		p := &r.ports[i]
		if p.protocol == "" {
			p.protocol, p.secure = r.protocol, r.secure
		}
		if p.secure && p.protocol == lb.HTTP && p.bind == 0 {
			p.bind = r.sslPort
		}
	}
	r.misspoken()
}

// isOnePort reports whether an object without ports is about one port, not about every port of the Service.
func (r *reading) isOnePort() bool {
	return r.bindPort > 0 || r.targetPort != "" || routes(r.protocol) || r.service == ""
}

// misspoken finds keys that need a protocol that no port has.
func (r *reading) misspoken() {
	isHTTP := func(p lb.Protocol) bool { return p == lb.HTTP }
	if r.aboutHTTP() && !r.speaks(isHTTP) || r.host != "" && !r.speaks(routes) {
		r.addf(lb.CodeConflictingKeys, KeyProtocol, "host, path and SSL need protocol HTTP, and host %s at least; remove "+
			"them, or set one of the two or leave the protocol out", lb.Passthrough)
	}
}

// aboutHTTP reports whether a key needs HTTP.
func (r *reading) aboutHTTP() bool { return r.ssl || r.path != "" || r.rewrite != "" }

// speaks reports whether a port has such a protocol.
func (r *reading) speaks(such func(lb.Protocol) bool) bool {
	if len(r.ports) == 0 {
		return such(r.protocol)
	}
	return slices.ContainsFunc(r.ports, func(p portWish) bool { return such(p.protocol) })
}

// everyPort returns the ports of a Service that are to be served where none is named.
func (r *reading) everyPort(key lb.Key, svc *corev1.Service) []portWish {
	var all []portWish
	for _, p := range svc.Spec.Ports {
		transport := transportOf(p)
		switch {
		case transport != lb.OverTCP && transport != lb.OverUDP:
			if r.protocol == "" {
				r.addf(lb.CodePortNotFound, KeyService, "port %d of Service %s is %s, which cannot be served; name the others "+
					"in %s", p.Port, key, quote(string(p.Protocol)), KeyPorts)
			}
		case r.protocol == "" || r.protocol == lb.Protocol(transport):
			all = append(all, portWish{
				target: strconv.Itoa(int(p.Port)), protocol: lb.Protocol(transport), secure: r.secure,
			})
		}
	}
	return all
}

// listenTwice finds ports that are listened on twice or redirected to themselves.
func (r *reading) listenTwice(listeners []lb.Listener) {
	for i, l := range listeners {
		if to := l.Options.HTTP.RedirectTo; to > 0 && to == l.Port {
			r.addf(lb.CodeConflictingKeys, KeyRedirect, "port %d would be redirected to itself; choose another port or %s",
				l.Port, KeySSLPort)
		}
		if !slices.ContainsFunc(listeners[:i], l.Clashes) {
			continue
		}
		switch {
		case l.TLS == nil || !r.ssl || i < len(listeners)-1:
			r.addf(lb.CodeConflictingKeys, KeyPorts, "port %d is there twice; give each port once for TCP and once for UDP",
				l.Port)
		case r.bindPort == l.Port:
			r.addf(lb.CodeConflictingKeys, KeySSLPort, "port %d is bind-port already; choose another one", l.Port)
		case len(listeners) == 2 && r.bindPort == 0:
			r.addf(lb.CodeConflictingKeys, KeySSLPort, "port %d is the target port, at which the load balancer listens as "+
				"there is no bind-port; add bind-port or choose another one", l.Port)
		default:
			r.addf(lb.CodeConflictingKeys, KeySSLPort, "port %d is one of %s already; choose another one", l.Port, KeyPorts)
		}
	}
}
