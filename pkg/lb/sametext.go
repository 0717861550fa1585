package lb

import "slices"

// SameText reports whether two load balancers are surely the same as JSON, without writing it. Where it reports that
// they are not, they may be still, as where one has an empty list and the other none. What is in no document does not
// count.
func (l *LoadBalancer) SameText(o *LoadBalancer) bool {
	return l.Origin == o.Origin && l.Share == o.Share && sameList(l.VIPs, o.VIPs) &&
		eachSame(l.Listeners, o.Listeners, (*Listener).sameText)
}

func (l *Listener) sameText(o *Listener) bool {
	return l.Port == o.Port && l.Protocol == o.Protocol && l.TLS.sameText(o.TLS) && l.Options.sameText(&o.Options) &&
		eachSame(l.Routes, o.Routes, (*Route).sameText)
}

func (t *TLS) sameText(o *TLS) bool {
	if t == nil || o == nil {
		return t == o
	}
	return samePart(t.Clients, o.Clients) && eachSame(t.Certificates, o.Certificates, (*Certificate).sameText)
}

func (c *Certificate) sameText(o *Certificate) bool {
	return c.Secret == o.Secret && c.Material == o.Material && c.Expires == o.Expires && sameList(c.Names, o.Names)
}

func (r *Route) sameText(o *Route) bool {
	return r.Host == o.Host && r.Path == o.Path && r.Exact == o.Exact && r.Rewrite == o.Rewrite &&
		r.Target.sameText(&o.Target) && eachSame(r.Others, o.Others, (*Target).sameText)
}

func (t *Target) sameText(o *Target) bool {
	return t.Service == o.Service && t.Weight == o.Weight && sameList(t.Endpoints, o.Endpoints)
}

func (o *Options) sameText(p *Options) bool {
	return sameList(o.Sources, p.Sources) && sameList(o.TrustedProxies, p.TrustedProxies) &&
		o.AcceptProxy == p.AcceptProxy && o.SendProxy == p.SendProxy && o.SendProxyV2 == p.SendProxyV2 &&
		o.Limits == p.Limits && o.Timeouts == p.Timeouts && o.Retries == p.Retries && o.AccessLog == p.AccessLog &&
		o.Upstream == p.Upstream && o.Responses == p.Responses && samePart(o.BackendTLS, p.BackendTLS) &&
		o.HTTP.sameText(&p.HTTP)
}

// Nothing reports whether the options surely ask for nothing, as the zero value does.
func (o *Options) Nothing() bool { return o.sameText(&Options{}) }

func (h *HTTPOptions) sameText(o *HTTPOptions) bool {
	return h.RedirectTo == o.RedirectTo && h.GRPC == o.GRPC && h.MaxBody == o.MaxBody && h.Gzip == o.Gzip &&
		h.Request.sameText(&o.Request) && h.Response.sameText(&o.Response)
}

func (c *HeaderChanges) sameText(o *HeaderChanges) bool {
	return sameList(c.Set, o.Set) && sameList(c.Remove, o.Remove)
}

// sameList compares lists; none is not an empty one.
func sameList[T comparable](a, b []T) bool { return (a == nil) == (b == nil) && slices.Equal(a, b) }

func samePart[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func eachSame[T any](a, b []T, same func(*T, *T) bool) bool {
	if (a == nil) != (b == nil) || len(a) != len(b) {
		return false
	}
	for i := range a {
		if !same(&a[i], &b[i]) {
			return false
		}
	}
	return true
}
