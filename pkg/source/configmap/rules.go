package configmap

import (
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A rule says which protocols an option means something for. An option that is for none of the object's ports is a
// finding; one that is for some of them is theirs only.
type rule struct {
	key   string
	given bool
	need  []lb.Protocol
	clear func(*lb.Options)
}

// rules returns a rule for each option that is not for every protocol.
func rules(o lb.Options) []rule {
	raw := []lb.Protocol{lb.TCP, lb.Passthrough}
	streams := []lb.Protocol{lb.TCP, lb.Passthrough, lb.UDP}
	connections := []lb.Protocol{lb.TCP, lb.Passthrough, lb.HTTP}
	trusting := []lb.Protocol{lb.HTTP}
	if o.AcceptProxy {
		trusting = connections
	}
	web := []lb.Protocol{lb.HTTP}
	return append(upstreamRules(o.Upstream), []rule{
		{KeyRetries, o.Retries > 0, connections, func(o *lb.Options) { o.Retries = 0 }},
		{KeyConnectTime, o.Timeouts.Connect > 0, connections, func(o *lb.Options) { o.Timeouts.Connect = 0 }},
		{KeySendTime, o.Timeouts.Send > 0, web, func(o *lb.Options) { o.Timeouts.Send = 0 }},
		{KeyReadTime, o.Timeouts.Read > 0, web, func(o *lb.Options) { o.Timeouts.Read = 0 }},
		{KeyRedirect, o.HTTP.RedirectTo > 0, web, func(o *lb.Options) { o.HTTP.RedirectTo = 0 }},
		{KeyBackend, o.HTTP.GRPC, web, func(o *lb.Options) { o.HTTP.GRPC = false }},
		{KeyBackend, o.BackendTLS != nil, web, func(o *lb.Options) { o.BackendTLS = nil }},
		{KeySetRequest, len(o.HTTP.Request.Set) > 0, web, func(o *lb.Options) { o.HTTP.Request.Set = nil }},
		{KeyCutRequest, len(o.HTTP.Request.Remove) > 0, web, func(o *lb.Options) { o.HTTP.Request.Remove = nil }},
		{KeySetAnswer, len(o.HTTP.Response.Set) > 0, web, func(o *lb.Options) { o.HTTP.Response.Set = nil }},
		{KeyCutAnswer, len(o.HTTP.Response.Remove) > 0, web, func(o *lb.Options) { o.HTTP.Response.Remove = nil }},
		{KeyMaxBody, o.HTTP.MaxBody > 0, web, func(o *lb.Options) { o.HTTP.MaxBody = 0 }},
		{KeyGzip, o.HTTP.Gzip, web, func(o *lb.Options) { o.HTTP.Gzip = false }},
		{KeyProxy, o.AcceptProxy, connections, func(o *lb.Options) { o.AcceptProxy = false }},
		{KeyProxy, o.SendProxy, raw, func(o *lb.Options) { o.SendProxy = false }},
		{KeyProxy, o.SendProxyV2, raw, func(o *lb.Options) { o.SendProxyV2 = false }},
		{KeyTrusted, len(o.TrustedProxies) > 0, trusting, func(o *lb.Options) { o.TrustedProxies = nil }},
		{KeyIdleTimeout, o.Timeouts.Idle > 0, streams, func(o *lb.Options) { o.Timeouts.Idle = 0 }},
		{KeyResponses, o.Responses > 0, []lb.Protocol{lb.UDP}, func(o *lb.Options) { o.Responses = 0 }},
	}...)
}

// optionsOf returns those of the object's options that mean something for a protocol.
func (r *reading) optionsOf(p lb.Protocol) lb.Options {
	o := r.options
	if o.Nothing() {
		return o
	}
	if o.BackendTLS != nil { // each port's is looked up for itself
		own := *o.BackendTLS
		o.BackendTLS = &own
	}
	for _, rule := range rules(o) {
		if !slices.Contains(rule.need, p) {
			rule.clear(&o)
		}
	}
	if o.Upstream.Endpoints && !r.retried && p != lb.UDP {
		o.Retries = endpointRetries
	}
	return o
}

// optionless finds options that no port of the object can have.
func (r *reading) optionless(listeners []lb.Listener) {
	if r.options.Nothing() {
		return
	}
	for _, rule := range rules(r.options) {
		if !rule.given || slices.ContainsFunc(listeners, func(l lb.Listener) bool {
			return slices.Contains(rule.need, l.Protocol)
		}) {
			continue
		}
		r.addf(lb.CodeConflictingKeys, rule.key, "the key needs a port of protocol %s; remove it, or set %s or %s",
			either(rule.need), KeyProtocol, KeyPorts)
	}
}
