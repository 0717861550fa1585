package nodeconfig

import (
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Feature is something of a load balancer that its reader has to know. A reader skips fields that it does not know;
// without these, it would serve clients that must not be served, send them elsewhere, or say in clear text what is
// meant for TLS.
//
// What only changes how well or how fast the same clients get the same thing is none: times, retries, gzip, access
// logs, and the choice between the pods of a Service.
type Feature string

// The features. A field that comes later gets one of its own, unless it comes with one of these.
const (
	FeatureBackendTLS     Feature = "backend-tls"
	FeatureClientAuth     Feature = "client-auth"
	FeatureExactPaths     Feature = "exact-paths"
	FeatureGRPC           Feature = "grpc"
	FeatureHeaders        Feature = "headers"
	FeatureLimits         Feature = "limits"
	FeatureProxyProtocol  Feature = "proxy-protocol"
	FeatureRedirect       Feature = "redirect"
	FeatureRewrite        Feature = "rewrite"
	FeatureShare          Feature = "share"
	FeatureSourceRanges   Feature = "source-ranges"
	FeatureTLS            Feature = "tls"
	FeatureTrustedProxies Feature = "trusted-proxies"
	FeatureWeights        Feature = "weights"
)

// Requires returns the features of a load balancer that this program knows of, sorted; nil for none.
func Requires(l lb.LoadBalancer) []Feature {
	var out []Feature
	add := func(f Feature, has bool) {
		if has {
			out = append(out, f)
		}
	}
	add(FeatureShare, l.Share != "")
	for i := range l.Listeners {
		s, o := &l.Listeners[i], &l.Listeners[i].Options
		add(FeatureTLS, s.TLS != nil)
		add(FeatureClientAuth, s.TLS != nil && s.TLS.Clients != nil)
		add(FeatureBackendTLS, o.BackendTLS != nil)
		add(FeatureSourceRanges, len(o.Sources) > 0)
		add(FeatureTrustedProxies, len(o.TrustedProxies) > 0)
		add(FeatureProxyProtocol, o.AcceptProxy || o.SendProxy || o.SendProxyV2)
		add(FeatureLimits, o.Limits != lb.Limits{} || o.HTTP.MaxBody != 0)
		add(FeatureRedirect, o.HTTP.RedirectTo != 0)
		add(FeatureGRPC, o.HTTP.GRPC)
		add(FeatureHeaders, changesHeaders(o.HTTP.Request) || changesHeaders(o.HTTP.Response))
		add(FeatureExactPaths, slices.ContainsFunc(s.Routes, func(r lb.Route) bool { return r.Exact }))
		add(FeatureRewrite, slices.ContainsFunc(s.Routes, func(r lb.Route) bool { return r.Rewrite != "" }))
		add(FeatureWeights, slices.ContainsFunc(s.Routes, func(r lb.Route) bool { return len(r.Others) > 0 }))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func changesHeaders(c lb.HeaderChanges) bool { return len(c.Set) > 0 || len(c.Remove) > 0 }

// Unread returns what the entry requires and this program does not find in it, sorted; nil for nothing. Either this
// program does not know it, or one that does not has written the entry anew and lost it. Such an entry must not be
// served.
func (e Entry) Unread() []Feature {
	if len(e.Requires) == 0 {
		return nil
	}
	found := Requires(e.LoadBalancer)
	var out []Feature
	for _, f := range e.Requires {
		if !slices.Contains(found, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
