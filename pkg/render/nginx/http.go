package nginx

import (
	"cmp"
	"maps"
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
}

// server is a server of one host, or the default server when host is empty.
type server struct {
	host string
	// leads says for each virtual IP whether the default server is ours.
	leads []bool
	locs  []location
}

// httpListener adds the upstreams and servers of an HTTP listener.
func httpListener(t *render.Text, l lb.LoadBalancer, s lb.Listener, leads []bool) {
	hosts := map[string][]location{"": nil}
	for n, r := range s.Routes {
		path, _ := routePath(r)
		loc := location{path: path, exact: r.Exact, rewrite: r.Rewrite}
		if servers := upstreamServers(s, r.Targets()); len(servers) > 0 {
			loc.upstream = upstreamName(l.Origin.Key, s, n)
			httpUpstream(t, loc.upstream, servers)
		}
		hosts[r.Host] = append(hosts[r.Host], loc)
	}
	limitZones(t, listenerName(l.Origin.Key, s), s.Options.Limits)
	if trusts(s) {
		trustMap(t, l.Origin.Key, s)
	}
	if s.Options.AccessLog {
		logFormat(t, l.Origin.Key, s)
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		httpServer(t, l, s, server{host, leads, withFallbacks(host, hosts)})
	}
}

// withFallbacks returns a host's locations and those of the less special hosts that they leave room for: a request of
// this host that none of its own routes matches is that of the next wildcard, and at last anybody's.
func withFallbacks(host string, hosts map[string][]location) []location {
	all := slices.Clone(hosts[host])
	for h := host; h != ""; {
		h = parent(h)
		more := slices.Clip(all)
		for _, f := range hosts[h] {
			if !slices.ContainsFunc(more, func(o location) bool { return o.leavesNothingOf(f) }) {
				all = append(all, f)
			}
		}
	}
	return all
}

// parent returns the wildcard that is the next less special host, "" behind the last.
func parent(host string) string {
	name := strings.TrimPrefix(host, "*.")
	_, rest, ok := strings.Cut(name, ".")
	if !ok {
		return ""
	}
	return "*." + rest
}

// leavesNothingOf reports whether every request that a location matches is matched by o already.
func (o location) leavesNothingOf(f location) bool {
	if o.exact {
		return f.exact && o.path == f.path
	}
	return covers(o.path, strings.TrimSuffix(f.path, "/"))
}

func httpUpstream(t *render.Text, name string, servers []string) {
	t.Block("upstream "+name, func() {
		for _, s := range servers {
			t.Line(s)
		}
		// Connections are kept, for a new one costs every request a round trip, but not long: a connection stays with
		// the pod that kube-proxy chose for it, so it ends after 30 s and the next finds the pods of then. Idle ones
		// end after 4 s, before the 5 s of Node.js and others, lest a request meet a closing server.
		t.Line("keepalive 16;")
		t.Line("keepalive_time 30s;")
		t.Line("keepalive_timeout 4s;")
	})
}

// httpServer adds a server. A default server that others have at all addresses is theirs.
func httpServer(t *render.Text, l lb.LoadBalancer, s lb.Listener, of server) {
	host, locs := of.host, of.locs
	if host == "" && !slices.Contains(of.leads, true) {
		return
	}
	slices.SortFunc(locs, func(a, b location) int { return strings.Compare(a.path, b.path) })
	t.Block("server", func() {
		for i, a := range l.VIPs {
			if host != "" || of.leads[i] {
				t.Line("listen", netip.AddrPortFrom(a, s.Port).String()+httpSocket(s, host)+";")
			}
		}
		if host != "" {
			t.Line("server_name", quote(host)+";")
		}
		httpOptions(t, l, s)
		if s.Options.HTTP.RedirectTo > 0 && len(locs) > 0 {
			redirect(t, s)
		}
		for _, loc := range locs {
			httpLocation(t, s, loc, locs)
		}
		if !slices.ContainsFunc(locs, func(l location) bool { return l.path == "/" && !l.exact }) {
			t.Block("location /", func() { t.Line("return 404", quote(notFound)+";") })
		}
		t.Block("location @failed", func() { t.Line("return 200 $lb_failure;") })
	})
}

// httpSocket returns the options of the listening socket, which only its default server has.
func httpSocket(s lb.Listener, host string) string {
	if host != "" {
		return ""
	}
	options := " default_server"
	if s.Options.HTTP.GRPC {
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
	switch {
	case loc.upstream == "":
		t.Line("return 503", quote(unavailable)+";")
	case s.Options.HTTP.GRPC:
		t.Line("grpc_pass", "grpc://"+loc.upstream+";")
	default:
		t.Line("proxy_pass", "http://"+loc.upstream+rewrite+";")
	}
}
