package nginx

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// RejectSocketName is the name, in the run directory, of the unix socket where connections end that are for nobody.
const RejectSocketName = "nginx-reject.sock"

// reject is the upstream of that socket. No load balancer's upstream has such a name, for theirs have "_" twice.
const reject = "lb_reject"

// sniDefaults adds what every passthrough listener needs. A connection for a host that is not served is closed at once
// by a server of our own: without one nginx would log an error for every such connection.
func sniDefaults(t *render.Text, runDir string) {
	socket := quote("unix:" + runDir + "/" + RejectSocketName)
	t.Block("upstream "+reject, func() { t.Line("server", socket+";") })
	t.Block("server", func() {
		t.Line("listen", socket+";")
		t.Line(`return "";`)
	})
}

// mapSizes makes room for the longest names.
func mapSizes(t *render.Text) {
	t.Line("map_hash_bucket_size 512;")
	t.Line("map_hash_max_size 4096;")
}

// sniListener adds the upstreams, the map and the server of a passthrough listener.
func sniListener(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener) {
	upstreams := map[string]string{}
	var hosts []string
	for n, r := range s.Routes {
		name := reject
		if servers := upstreamServers(s, r.Targets()); len(servers) > 0 {
			name = upstreamName(l.Origin.Key, s, n)
			upstream(t, s, name, servers)
		}
		if upstreams[r.Host] = name; r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	slices.Sort(hosts)
	variable := "$lb_sni_" + identifier(l.Origin.Key, s)
	t.Block("map $ssl_preread_server_name "+variable, func() {
		t.Line("hostnames;")
		t.Line("default", cmp.Or(upstreams[""], reject)+";")
		for _, h := range hosts {
			t.Line(mapKey(h), upstreams[h]+";")
		}
	})
	streamServer(t, in, l, s, func() {
		t.Line("ssl_preread on;")
		t.Line("proxy_pass", variable+";")
	})
}

// mapKey returns a host as a key of map, which takes some words for its own unless a backslash goes before them.
func mapKey(host string) string {
	if !strings.Contains(host, ".") {
		host = `\` + host
	}
	return quote(host)
}

// checkSNI returns the first route that a passthrough listener can't have.
func checkSNI(s lb.Listener) (lb.Finding, bool) {
	seen := map[string]bool{}
	if len(s.Routes) == 0 {
		return finding(lb.CodeBadValue, field(s), "a passthrough listener has at least one route"), true
	}
	for _, r := range s.Routes {
		switch {
		case !isRouteHost(r.Host):
			return finding(lb.CodeBadValue, field(s)+".host", "%q is not a DNS name in lower case", r.Host), true
		case r.Path != "" || r.Exact || r.Rewrite != "":
			return finding(lb.CodeBadValue, field(s)+".path", "a passthrough listener sees no paths"), true
		case seen[r.Host]:
			return finding(lb.CodeConflictingKeys, field(s), "host %q has two routes", r.Host), true
		}
		seen[r.Host] = true
		if f, bad := checkEndpoints(s, r); bad {
			return f, true
		}
	}
	return lb.Finding{}, false
}

// isRouteHost reports whether a route can have such a host: none, a DNS name in lower case, or all names below one.
func isRouteHost(h string) bool {
	return h == "" || len(h) <= maxHost && isHost(strings.TrimPrefix(h, "*."))
}

// listenOn adds the listen lines of a stream server.
func listenOn(t *render.Text, l lb.LoadBalancer, s lb.Listener) {
	for _, a := range l.VIPs {
		t.Line("listen", netip.AddrPortFrom(a, s.Port).String(), streamSocket(s)+";")
	}
}
