package nginx_test

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

var update = rendertest.UpdateFlag()

const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// input is what the golden files are made with.
func input(lbs ...lb.LoadBalancer) nginx.Input {
	return nginx.Input{
		RunDir: "/run/kubectl-lb", Modules: []string{streamModule}, Workers: 2, LoadBalancers: lbs,
	}
}

// balancer makes a load balancer of "default" with the virtual IPs.
func balancer(name string, vips []string, listeners ...lb.Listener) lb.LoadBalancer {
	l := lb.LoadBalancer{Origin: lb.Origin{Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: name}}}
	for _, v := range vips {
		l.VIPs = append(l.VIPs, netip.MustParseAddr(v))
	}
	l.Listeners = listeners
	return l
}

func tcp(port uint16, endpoints ...string) lb.Listener {
	return lb.Listener{Port: port, Protocol: lb.TCP, Routes: []lb.Route{route("", "", endpoints...)}}
}

func udp(port uint16, endpoints ...string) lb.Listener {
	return lb.Listener{Port: port, Protocol: lb.UDP, Routes: []lb.Route{route("", "", endpoints...)}}
}

// with gives a listener options.
func with(s lb.Listener, o lb.Options) lb.Listener {
	s.Options = o
	return s
}

func passthrough(port uint16, routes ...lb.Route) lb.Listener {
	return lb.Listener{Port: port, Protocol: lb.Passthrough, Routes: routes}
}

func http(port uint16, routes ...lb.Route) lb.Listener {
	return lb.Listener{Port: port, Protocol: lb.HTTP, Routes: routes}
}

func route(host, path string, endpoints ...string) lb.Route {
	r := lb.Route{Host: host, Path: path}
	r.Target.Service = lb.Service{Key: lb.Key{Namespace: "default", Name: "svc"}, Port: 80}
	for _, e := range endpoints {
		r.Target.Endpoints = append(r.Target.Endpoints, netip.MustParseAddrPort(e))
	}
	return r
}

// exact makes a route match its path only.
func exact(r lb.Route) lb.Route {
	r.Exact = true
	return r
}

// split adds a target to a route. The first has weight 1.
func split(r lb.Route, weight uint16, endpoints ...string) lb.Route {
	other := route("", "", endpoints...).Target
	other.Weight, r.Target.Weight = weight, 1
	r.Others = append(r.Others, other)
	return r
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// guarded are options that every protocol can have.
func guarded() lb.Options {
	return lb.Options{
		Sources: prefixes("10.0.0.0/8", "192.0.2.1/32", "fd00::/8"), Limits: lb.Limits{Connections: 1000, PerClient: 10},
	}
}

// everyHTTP has every option of HTTP that goes with the others.
func everyHTTP() lb.Options {
	changes := lb.HeaderChanges{
		Set:    []lb.Header{{Name: "X-Price", Value: `"$5" \ ${uri}; }`}, {Name: "X-Team", Value: "tea"}},
		Remove: []string{"X-Debug"},
	}
	request := changes
	request.Set = append(request.Set[:2:2], lb.Header{Name: "host", Value: "inside.example.com"})
	return lb.Options{
		Retries: 2, AccessLog: true,
		Timeouts: lb.Timeouts{Connect: time.Second, Send: 2 * time.Second, Read: 1500 * time.Millisecond},
		HTTP:     lb.HTTPOptions{Request: request, Response: changes, MaxBody: 10 << 20, Gzip: true},
	}
}

// longHost is as long as a name can be.
func longHost() string {
	return strings.Repeat(strings.Repeat("h", 61)+".", 4) + "ab.cd"
}

// goldens are the cases that have a directory below testdata.
func goldens() map[string]nginx.Input {
	var many []lb.LoadBalancer
	for i := range 12 {
		many = append(many, balancer(fmt.Sprintf("lb-%02d", i), []string{fmt.Sprintf("10.0.1.%d", i+1)},
			tcp(5432, fmt.Sprintf("10.96.1.%d:5432", i+1)), http(80, route("", "", fmt.Sprintf("10.96.2.%d:80", i+1)))))
	}
	tuned := input(balancer("coffee", []string{"10.0.0.10"}, tcp(80, "10.96.0.10:80")))
	tuned.Workers, tuned.WorkerConnections, tuned.WorkerOpenFiles, tuned.User = 0, 512, 4096, "daemon"
	tuned.ShutdownTimeout = 10e9
	static := input(balancer("tea", []string{"10.0.0.11"}, http(80, route("", "", "10.96.0.11:80"))))
	static.Modules, static.Workers = nil, 0
	proxied := guarded()
	proxied.AcceptProxy, proxied.TrustedProxies = true, prefixes("10.1.0.0/16", "::/0")
	sending := proxied
	sending.SendProxy = true
	rewritten := route("a.b", "/old", "10.96.0.1:80")
	rewritten.Rewrite = "/new/"
	toRoot := exact(route("a.b", "/exact", "10.96.0.1:80"))
	toRoot.Rewrite = "/"
	trusting := lb.Options{TrustedProxies: prefixes("10.0.0.0/8", "fd00::/8"), HTTP: lb.HTTPOptions{RedirectTo: 8443}}
	return mergedGoldens(tlsGoldens(), map[string]nginx.Input{
		"http-options": input(balancer("full", []string{"10.0.0.20"}, with(http(80, rewritten, toRoot), everyHTTP()))),
		"grpc": input(balancer("rpc", []string{"10.0.0.21"},
			with(http(80, route("", "/pkg.Service", "10.96.0.1:80")), lb.Options{
				HTTP: lb.HTTPOptions{GRPC: true}, Retries: 1, Timeouts: lb.Timeouts{Read: time.Minute},
			}))),
		"redirect": input(balancer("moved", []string{"10.0.0.22"},
			with(http(80, route("a.b", "", "10.96.0.1:80")), lb.Options{HTTP: lb.HTTPOptions{RedirectTo: 443}}))),
		"trusting": input(balancer("cdn", []string{"10.0.0.23"}, with(http(80, route("", "", "10.96.0.1:80")), trusting))),
		"tcp-options": input(balancer("db", []string{"10.0.0.24"}, with(tcp(5432, "10.96.0.1:5432"), lb.Options{
			Retries: 2, AccessLog: true, Timeouts: lb.Timeouts{Connect: time.Second}}),
			with(udp(53, "10.96.0.1:53"), lb.Options{AccessLog: true}))),
		"passthrough": input(balancer("tls", []string{"10.0.0.25", "fd00::25"},
			with(passthrough(443, route("", "", "10.96.0.1:443"), route("*.example.com", "", "10.96.0.2:443"),
				route("default", "", "10.96.0.3:443"), split(route("a.example.com", "", "10.96.0.4:443"), 2, "10.96.0.5:443"),
				route("none.example.com", "")), lb.Options{AccessLog: true, SendProxy: true}),
			passthrough(8443, route(longHost(), "", "10.96.0.1:443")))),
		"shared": input(shared(balancer("one", []string{"10.0.0.26"}, http(80, route("a.example.com", "", "10.96.0.1:80"))),
			balancer("two", []string{"10.0.0.26", "fd00::26"}, http(80, route("", "", "10.96.0.2:80")), tcp(81, "10.96.0.2:81")),
			balancer("three", []string{"10.0.0.26"}, http(80, route("b.example.com", "", "10.96.0.3:80"))))...),
		"guarded": input(balancer("safe", []string{"10.0.0.18", "fd00::18"},
			with(http(80, route("a.b", "", "10.96.0.1:80")), guarded()), with(tcp(81, "10.96.0.2:80"), guarded()),
			with(udp(82, "10.96.0.3:80"), guarded()))),
		"proxied": input(balancer("behind", []string{"10.0.0.19"},
			with(http(80, route("a.b", "", "10.96.0.1:80")), proxied), with(tcp(81, "10.96.0.2:80"), sending))),
		"empty":    {RunDir: "/run/kubectl-lb"},
		"tcp":      input(balancer("coffee", []string{"10.0.0.10"}, tcp(80, "10.96.0.10:80"))),
		"tcp-none": input(balancer("coffee", []string{"10.0.0.10"}, tcp(80))),
		"http":     static,
		"http-none": input(balancer("tea", []string{"10.0.0.11"},
			http(80, route("tea.example.com", "/"), route("tea.example.com", "/x")))),
		"http-hosts": input(balancer("cafe", []string{"10.0.0.12"}, http(80,
			route("", "/shared", "10.96.0.1:80"), route("", "/tea/old", "10.96.0.2:80"),
			route("coffee.example.com", "/", "10.96.0.3:80"),
			route("tea.example.com", "/tea", "10.96.0.4:80"), route("tea.example.com", "/tea/green", "10.96.0.5:80")))),
		"http-paths": input(balancer("odd", []string{"10.0.0.13"}, http(8080,
			route("", `/quote"back\slash`, "10.96.0.1:80"), route("", "/a%20b;{}$uri", "10.96.0.2:80"),
			route("", "/straße/", "10.96.0.3:80")))),
		"http-routes": input(balancer("shop", []string{"10.0.0.16"}, http(80,
			route("", "/", "10.96.0.1:80"), exact(route("", "/", "10.96.0.2:80")),
			route("*.example.com", "/", "10.96.0.3:80"), route("*.eu.example.com", "/eu", "10.96.0.4:80"),
			route("shop.eu.example.com", "/cart", "10.96.0.5:80"), exact(route("shop.eu.example.com", "/cart", "10.96.0.6:80")),
			exact(route("shop.eu.example.com", "/cart/", "10.96.0.7:80")),
			split(split(route("", "/canary", "10.96.0.8:80"), 9, "10.96.0.9:80"), 0, "10.96.0.10:80")))),
		"tcp-split": input(balancer("db", []string{"10.0.0.17"}, lb.Listener{Port: 5432, Protocol: lb.TCP,
			Routes: []lb.Route{split(route("", "", "10.96.0.1:5432"), 3, "10.96.0.2:5432", "10.96.0.3:5432")}})),
		"ipv6": input(balancer("six", []string{"fd00::10"},
			tcp(53, "[fd00:96::1]:53"), http(80, route("", "", "[fd00:96::2]:80")))),
		"dual": input(balancer("both", []string{"10.0.0.14", "fd00::14"},
			tcp(22, "10.96.0.1:22", "[fd00:96::1]:22"), http(80, route("", "", "10.96.0.2:80", "[fd00:96::2]:80")))),
		"many":  input(many...),
		"tuned": tuned,
		"udp": input(balancer("dns", []string{"10.0.0.15", "fd00::15"},
			udp(53, "10.96.0.1:53"), tcp(53, "10.96.0.1:53"),
			with(udp(123, "10.96.0.2:123"), lb.Options{Responses: 1, Timeouts: lb.Timeouts{Idle: 2500 * time.Millisecond}}),
			with(tcp(5432, "10.96.0.3:5432"), lb.Options{Timeouts: lb.Timeouts{Idle: 24 * time.Hour}}))),
	})
}

func mergedGoldens(all ...map[string]nginx.Input) map[string]nginx.Input {
	out := map[string]nginx.Input{}
	for _, some := range all {
		maps.Copy(out, some)
	}
	return out
}

func TestGolden(t *testing.T) {
	for name, in := range goldens() {
		t.Run(name, func(t *testing.T) {
			res, err := nginx.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Refused) > 0 {
				t.Errorf("refused: %v", res.Refused)
			}
			rendertest.Golden(t, filepath.Join("testdata", name), res.Files, *update)
			accepted(t, res)
			// The golden files are for the oldest version. The one that is here must take what is rendered for it, too.
			in.Version = installed(t)
			own, err := nginx.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			if own.Generation != res.Generation {
				accepted(t, own)
			}
		})
	}
}

// accepted feeds the configuration to the real nginx -t, which also binds every address.
func accepted(tb testing.TB, res nginx.Result) {
	tb.Helper()
	dir := tb.TempDir()
	rendertest.Write(tb, dir, rendertest.WithMaterial(tb, res.Files, nginx.DefaultTLSDir, certtest.Authority(tb, "ca").Cert))
	cmd := rendertest.Sandboxed(tb, "nginx", "-t", "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Errorf("nginx -t: %v\n%s", err, out)
	}
}
