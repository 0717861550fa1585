package nginx

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// location is a route as nginx sees it: a path that cleanPath or exactPath has cleaned, and an upstream, empty when
// there is no endpoint to send to.
type location struct {
	path  string
	exact bool
	// upstream follows "proxy_pass", with what the path is rewritten to apart.
	upstream, rewrite string
	// name is what the upstream's certificate must be for, where it has one.
	name string
}

// server is a server of one host, or the default server when host is empty. That may be one for no host but only.
type server struct {
	host, only string
	lead       lead
	locs       []location
}

// lead says where the default server of a listener's sockets is.
type lead struct {
	// at says for each virtual IP whether it is ours.
	at []bool
	// alone says that nobody else is at any of the sockets.
	alone bool
}

// httpListener adds the upstreams and servers of an HTTP listener.
func httpListener(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener, lead lead) {
	s.Routes = slices.Clone(s.Routes)
	locs := make([]location, 0, len(s.Routes))
	for n, r := range s.Routes {
		path, _ := routePath(r)
		s.Routes[n].Path = path
		loc := location{path: path, exact: r.Exact, rewrite: r.Rewrite, name: backendName(s, r.Target)}
		if servers := upstreamServers(s, r.Targets()); len(servers) > 0 {
			loc.upstream = upstreamName(l.Origin.Key, s, n)
			upstream(t, s, loc.upstream, servers)
		}
		locs = append(locs, loc)
	}
	limitZones(t, listenerName(l.Origin.Key, s), s.Options.Limits)
	if s.Options.AccessLog {
		logFormat(t, l.Origin.Key, s)
	}
	certificateMap(t, l.Origin.Key, s)
	if host := onlyHost(s); host != "" && lead.alone {
		httpServer(t, in, l, s, server{only: host, lead: lead, locs: locs})
		return
	}
	for host, routes := range s.Hosts() {
		of := server{host: host, lead: lead}
		for _, n := range routes {
			of.locs = append(of.locs, locs[n])
		}
		httpServer(t, in, l, s, of)
	}
}

// onlyHost returns the one host of a listener, empty where there are others or TLS. Such a listener needs no second
// server, and so no table of names, for which nginx clears more than a megabyte for each address when it reads its
// configuration.
func onlyHost(s lb.Listener) string {
	if s.TLS != nil || len(s.Routes) == 0 {
		return ""
	}
	host := s.Routes[0].Host
	if strings.HasPrefix(host, "*") || slices.ContainsFunc(s.Routes, func(r lb.Route) bool { return r.Host != host }) {
		return ""
	}
	return host
}

// httpServer adds a server. A default server that others have at all addresses is theirs.
func httpServer(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener, of server) {
	host, locs := of.host, of.locs
	if host == "" && !slices.Contains(of.lead.at, true) {
		return
	}
	// Requests for hosts that nobody at a shared socket has are nobody's, and nobody's options are theirs.
	stranger := host == "" && len(locs) == 0 && !of.lead.alone
	slices.SortFunc(locs, func(a, b location) int { return strings.Compare(a.path, b.path) })
	t.Block("server", func() {
		listenAt(t, in, l, s, of)
		if s.TLS != nil {
			httpsServer(t, l.Origin.Key, s, of, in.TLSDir)
		}
		if !stranger {
			httpOptions(t, in, l, s)
		}
		refuse := func() { t.Line("return 404", quote(notFound)+";") }
		if of.only != "" {
			t.Block("if ($host != "+quote(of.only)+")", refuse)
		}
		if len(locs) == 0 {
			refuse()
			if !stranger && len(s.Options.Sources) > 0 {
				failedLocation(t)
			}
			return
		}
		if s.Options.HTTP.RedirectTo > 0 {
			redirect(t, s)
		}
		for _, loc := range locs {
			httpLocation(t, s, loc, locs)
		}
		if !slices.ContainsFunc(locs, func(l location) bool { return l.path == "/" && !l.exact }) {
			t.Block("location /", refuse)
		}
		failedLocation(t)
	})
}

// failedLocation adds where the error pages of a server are.
func failedLocation(t *render.Text) {
	t.Block("location @failed", func() { t.Line("return 200 $lb_failure;") })
}

// listenAt adds where a server listens, for which host and for which versions of HTTP.
func listenAt(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener, of server) {
	for i, a := range l.VIPs {
		if of.host != "" || of.lead.at[i] {
			t.Line("listen", netip.AddrPortFrom(a, s.Port).String()+httpSocket(in, s, of.host)+";")
		}
	}
	if of.host != "" {
		t.Line("server_name", quote(of.host)+";")
	}
	if speaksHTTP2(s) && in.http2Directive() {
		t.Line("http2 on;")
	}
}

// speaksHTTP2 reports whether clients may speak HTTP/2: with TLS they choose, without they must know it.
func speaksHTTP2(s lb.Listener) bool { return s.TLS != nil || s.Options.HTTP.GRPC }

// httpSocket returns the options of the listening socket, which only its default server has but for TLS.
func httpSocket(in Input, s lb.Listener, host string) string {
	options := ""
	if s.TLS != nil {
		options = " ssl"
	}
	if host != "" {
		return options
	}
	options += " default_server"
	if speaksHTTP2(s) && !in.http2Directive() {
		options += " http2"
	}
	if s.Options.AcceptProxy {
		options += " proxy_protocol"
	}
	return options + " backlog=" + strconv.Itoa(backlog)
}

// httpLocation adds a path. nginx's own prefixes are of characters: "/foo" would match "/foobar". So "/foo" is "/foo"
// exactly, unless another route has that, and everything below "/foo/".
func httpLocation(t *render.Text, s lb.Listener, loc location, all []location) {
	taken := slices.ContainsFunc(all, func(o location) bool { return o.exact && o.path == loc.path })
	rewrite := strings.TrimSuffix(loc.rewrite, "/")
	switch {
	case loc.exact:
		t.Block("location = "+quote(loc.path), func() { pass(t, s, loc, loc.rewrite) })
		return
	case loc.path == "/":
		t.Block("location /", func() { pass(t, s, loc, below(loc, rewrite)) })
		return
	case !taken:
		t.Block("location = "+quote(loc.path), func() { pass(t, s, loc, cmp.Or(rewrite, loc.rewrite)) })
	}
	t.Block("location "+quote(loc.path+"/"), func() { pass(t, s, loc, below(loc, rewrite)) })
}

// below returns what stands for a location that ends with "/", "" where it stays.
func below(loc location, rewrite string) string {
	if loc.rewrite == "" {
		return ""
	}
	return rewrite + "/"
}

// pass adds what is done with a location's requests.
func pass(t *render.Text, s lb.Listener, loc location, rewrite string) {
	if loc.upstream == "" {
		t.Line("return 503", quote(unavailable)+";")
		return
	}
	secure := ""
	if s.Options.BackendTLS != nil {
		secure = "s"
		t.Line(module(s)+"_ssl_name", quote(loc.name)+";")
	}
	if s.Options.HTTP.GRPC {
		t.Line("grpc_pass", "grpc"+secure+"://"+loc.upstream+";")
	} else {
		t.Line("proxy_pass", "http"+secure+"://"+loc.upstream+rewrite+";")
	}
}
