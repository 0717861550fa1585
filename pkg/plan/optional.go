package plan

import (
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// feature is something of an options' or a route's that not every backend can do.
type feature[T any] struct {
	asked func(T) bool
	can   bool
	field string
	// what follows "the backend cannot".
	what string
}

// optional lists what a listener's options can ask for.
func optional(at lb.Fields, can lb.Capabilities) []feature[lb.Options] {
	type options = lb.Options
	return []feature[options]{
		{func(o options) bool { return len(o.Sources) > 0 }, can.SourceRanges, at.Sources, "keep clients out"},
		{func(o options) bool { return len(o.TrustedProxies) > 0 }, can.TrustedProxies, at.TrustedProxies,
			"trust proxies"},
		{func(o options) bool { return o.AcceptProxy }, can.AcceptProxy, at.ProxyProtocol, "accept the PROXY protocol"},
		{func(o options) bool { return o.SendProxy }, can.SendProxy, at.ProxyProtocol, "send the PROXY protocol"},
		{func(o options) bool { return o.SendProxyV2 }, can.SendProxyV2, at.ProxyProtocol,
			"send version 2 of the PROXY protocol"},
		{func(o options) bool { return o.Limits.Connections > 0 }, can.Limits, at.Limits, "limit connections"},
		{func(o options) bool { return o.Limits.PerClient > 0 }, can.ClientLimits, at.PerClient,
			"limit a client's connections"},
		{func(o options) bool { return o.Timeouts.Connect+o.Timeouts.Read > 0 }, can.Timeouts, at.Timeouts,
			"keep times of its own"},
		{func(o options) bool { return o.Timeouts.Send > 0 }, can.SendTimeout, at.SendTimeout,
			"keep a time for sending"},
		{func(o options) bool { return o.Timeouts.Idle > 0 }, can.IdleTimeout, at.Idle, "end idle connections"},
		{func(o options) bool { return o.Responses > 0 }, can.Responses, at.Responses, "count UDP responses"},
		// Those that nobody has asked for are a default of endpoints, and no loss.
		{func(o options) bool { return o.Retries > 0 && at.Retries != "" }, can.Retries, at.Retries, "try again"},
		{func(o options) bool { return o.AccessLog }, can.AccessLog, at.AccessLog, "write an access log"},
		{func(o options) bool { return o.Upstream.Endpoints }, can.Endpoints, at.Upstream, "connect to pods"},
		{func(o options) bool {
			u := o.Upstream
			return u.Method != "" && (can.Spread || u.Endpoints) && !slices.Contains(can.Methods, u.Method)
		}, false, at.Method, "choose pods so"},
		{func(o options) bool {
			u := o.Upstream
			return u.Affinity != "" && (can.Spread || u.Endpoints) && !slices.Contains(can.Affinities, u.Affinity)
		}, false, at.Affinity, "keep clients with a pod so"},
		{func(o options) bool { return o.HTTP.RedirectTo > 0 }, can.Redirect, at.Redirect, "redirect to HTTPS"},
		{func(o options) bool { return o.HTTP.GRPC }, can.GRPC, at.GRPC, "speak gRPC"},
		{func(o options) bool { return changes(o.HTTP.Request) }, can.Headers, at.Request, "change requests"},
		{func(o options) bool { return changes(o.HTTP.Response) }, can.Headers, at.Response, "change answers"},
		{func(o options) bool { return o.HTTP.MaxBody > 0 }, can.MaxBody, at.Body, "limit requests' bodies"},
		{func(o options) bool { return o.BackendTLS != nil }, can.BackendTLS, at.BackendTLS, "speak TLS to Services"},
		{func(o options) bool { return o.HTTP.Gzip }, can.Gzip, at.Gzip, "compress answers"},
	}
}

func changes(c lb.HeaderChanges) bool { return len(c.Set)+len(c.Remove) > 0 }

// ofRoutes lists what a route can ask for.
func ofRoutes(at lb.Fields, can lb.Capabilities) []feature[lb.Route] {
	return []feature[lb.Route]{
		{func(r lb.Route) bool { return r.Host != "" }, can.Hosts, at.Host, "route by host"},
		{func(r lb.Route) bool { return r.Path != "" }, can.Paths, at.Path, "route by path"},
		{func(r lb.Route) bool { return strings.HasPrefix(r.Host, "*") }, can.Wildcards, at.Host,
			"route by wildcard host"},
		{func(r lb.Route) bool { return r.Exact }, can.ExactPaths, at.PathType, "tell a path from what is below it"},
		{func(r lb.Route) bool { return r.Rewrite != "" }, can.Rewrite, at.Rewrite, "rewrite paths"},
		{func(r lb.Route) bool { return len(r.Others) > 0 }, can.Weights, at.Routes, "split traffic between Services"},
	}
}
