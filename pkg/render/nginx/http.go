package nginx

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// location is a route as nginx sees it: a path that cleanPath has cleaned, and an upstream, empty when there is no
// endpoint to send to.
type location struct{ path, upstream string }

// httpListener adds the upstreams and servers of an HTTP listener.
func httpListener(t *render.Text, l lb.LoadBalancer, s lb.Listener) {
	hosts := map[string][]location{"": nil}
	for n, r := range s.Routes {
		path, _ := cleanPath(r.Path)
		loc := location{path: path}
		if len(r.Target.Endpoints) > 0 {
			loc.upstream = upstreamName(l.Origin.Key, s, n)
			httpUpstream(t, loc.upstream, r.Target.Endpoints)
		}
		hosts[r.Host] = append(hosts[r.Host], loc)
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		locs := hosts[host]
		if host != "" {
			locs = withFallback(locs, hosts[""])
		}
		httpServer(t, l.VIPs, s.Port, host, locs)
	}
}

// withFallback returns a host's locations and those of no host that they leave room for: a request of this host that
// none of its own routes matches is anybody's.
func withFallback(own, anybody []location) []location {
	all := slices.Clone(own)
	for _, f := range anybody {
		if !slices.ContainsFunc(own, func(o location) bool { return covers(o.path, f.path) }) {
			all = append(all, f)
		}
	}
	return all
}

func httpUpstream(t *render.Text, name string, endpoints []netip.AddrPort) {
	t.Block("upstream "+name, func() {
		upstreamServers(t, endpoints)
		// Connections are kept, for a new one costs every request a round trip, but not long: a connection stays with
		// the pod that kube-proxy chose for it, so it ends after 30 s and the next finds the pods of then. Idle ones
		// end after 4 s, before the 5 s of Node.js and others, lest a request meet a closing server.
		t.Line("keepalive 16;")
		t.Line("keepalive_time 30s;")
		t.Line("keepalive_timeout 4s;")
	})
}

// upstreamServers adds the endpoints. max_fails=0, for an endpoint is a cluster IP: that one connection failed says
// nothing about the next, which goes to another pod.
func upstreamServers(t *render.Text, endpoints []netip.AddrPort) {
	for _, e := range endpoints {
		t.Line("server", e.String(), "max_fails=0;")
	}
}

// httpServer adds the server of one host, or the default server when host is empty.
func httpServer(t *render.Text, vips []netip.Addr, port uint16, host string, locs []location) {
	slices.SortFunc(locs, func(a, b location) int { return strings.Compare(a.path, b.path) })
	t.Block("server", func() {
		for _, a := range vips {
			listen := netip.AddrPortFrom(a, port).String()
			if host == "" {
				listen += " default_server backlog=" + strconv.Itoa(backlog)
			}
			t.Line("listen", listen+";")
		}
		if host != "" {
			t.Line("server_name", quote(host)+";")
		}
		for _, loc := range locs {
			httpLocation(t, loc)
		}
		if len(locs) == 0 || locs[0].path != "/" {
			t.Block("location /", func() { t.Line("return 404", quote(notFound)+";") })
		}
		t.Block("location @failed", func() { t.Line("return 200 $lb_failure;") })
	})
}

// httpLocation adds a path prefix. nginx's own prefixes are of characters: "/foo" would match "/foobar". So "/foo" is
// "/foo" exactly and everything below "/foo/".
func httpLocation(t *render.Text, loc location) {
	do := func() {
		if loc.upstream == "" {
			t.Line("return 503", quote(unavailable)+";")
			return
		}
		t.Line("proxy_pass", "http://"+loc.upstream+";")
	}
	if loc.path == "/" {
		t.Block("location /", do)
		return
	}
	t.Block("location = "+quote(loc.path), do)
	t.Block("location "+quote(loc.path+"/"), do)
}
