package nginx_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

func TestRefused(t *testing.T) {
	ok := []string{"10.0.0.1"}
	up := "10.96.0.1:80"
	tls, hosted, pathed := http(443, route("", "", up)), tcp(1, up), tcp(1, up)
	tls.TLS = &lb.TLS{}
	hosted.Routes[0].Host, pathed.Routes[0].Path = "a", "/"
	for _, tt := range []struct {
		name string
		lb   lb.LoadBalancer
		code lb.Code
	}{
		{"key", balancer("../etc", ok, tcp(80, up)), lb.CodeUnsafeValue},
		{"key with _", balancer("a_b", ok, tcp(80, up)), lb.CodeUnsafeValue},
		{"no name", balancer("", ok, tcp(80, up)), lb.CodeUnsafeValue},
		{"no VIP", balancer("x", nil, tcp(80, up)), lb.CodeBadValue},
		{"wildcard VIP", balancer("x", []string{"0.0.0.0"}, tcp(80, up)), lb.CodeBadValue},
		{"IPv6 wildcard VIP", balancer("x", []string{"::"}, tcp(80, up)), lb.CodeBadValue},
		{"multicast VIP", balancer("x", []string{"224.0.0.1"}, tcp(80, up)), lb.CodeBadValue},
		{"link-local VIP", balancer("x", []string{"fe80::1"}, tcp(80, up)), lb.CodeBadValue},
		{"VIP with zone", balancer("x", []string{"fd00::1%a;b"}, tcp(80, up)), lb.CodeBadValue},
		{"mapped VIP", balancer("x", []string{"::ffff:10.0.0.1"}, tcp(80, up)), lb.CodeBadValue},
		{"no listener", balancer("x", ok), lb.CodeBadValue},
		{"port 0", balancer("x", ok, tcp(0, up)), lb.CodeBadPort},
		{"same port twice", balancer("x", ok, tcp(80, up), http(80, route("", "", up))), lb.CodeConflictingKeys},
		{"same VIP twice", balancer("x", []string{"10.0.0.1", "10.0.0.1"}, tcp(80, up)), lb.CodeConflictingKeys},
		{"TLS without a certificate", balancer("x", ok, tls), lb.CodeBadValue},
		{"UDP without route", balancer("x", ok, lb.Listener{Port: 1, Protocol: lb.UDP}), lb.CodeBadValue},
		{"same UDP port twice", balancer("x", ok, udp(53, up), udp(53, up)), lb.CodeConflictingKeys},
		{"negative time", balancer("x", ok, with(tcp(80, up), lb.Options{Timeouts: lb.Timeouts{Idle: -1e9}})),
			lb.CodeBadValue},
		{"endless time", balancer("x", ok, with(tcp(80, up), lb.Options{Timeouts: lb.Timeouts{Idle: 25 * time.Hour}})),
			lb.CodeBadValue},
		{"negative number", balancer("x", ok, with(udp(53, up), lb.Options{Responses: -1})), lb.CodeBadValue},
		{"range with too many bits", balancer("x", ok, with(tcp(80, up), lb.Options{Sources: prefixes("10.0.0.1/8")})),
			lb.CodeBadValue},
		{"no range", balancer("x", ok, with(tcp(80, up), lb.Options{Sources: make([]netip.Prefix, 1)})), lb.CodeBadValue},
		{"too many ranges", balancer("x", ok, with(http(80), lb.Options{TrustedProxies: make([]netip.Prefix, 1001)})),
			lb.CodeBadValue},
		{"PROXY over UDP", balancer("x", ok, with(udp(80, up), lb.Options{AcceptProxy: true})), lb.CodeBackendCannot},
		{"PROXY to HTTP", balancer("x", ok, with(http(80), lb.Options{SendProxy: true})), lb.CodeBackendCannot},
		{"trust at TCP", balancer("x", ok, with(tcp(80, up), lb.Options{TrustedProxies: prefixes("10.0.0.0/8")})),
			lb.CodeBackendCannot},
		{"retries", balancer("x", ok, with(tcp(80, up), lb.Options{Retries: 11})), lb.CodeBadValue},
		{"UDP retries", balancer("x", ok, with(udp(80, up), lb.Options{Retries: 1})), lb.CodeBackendCannot},
		{"HTTP options of TCP", balancer("x", ok, with(tcp(80, up), lb.Options{HTTP: lb.HTTPOptions{Gzip: true}})),
			lb.CodeBackendCannot},
		{"negative body", balancer("x", ok, with(http(80), lb.Options{HTTP: lb.HTTPOptions{MaxBody: -1}})), lb.CodeBadValue},
		{"header with a line break", balancer("x", ok, headed(lb.Header{Name: "A", Value: "b\r\nC: d"})), lb.CodeBadValue},
		{"header with NUL", balancer("x", ok, headed(lb.Header{Name: "A", Value: "\x00"})), lb.CodeBadValue},
		{"header name", balancer("x", ok, headed(lb.Header{Name: "A b;", Value: "c"})), lb.CodeBadValue},
		{"long header name", balancer("x", ok, headed(lb.Header{Name: strings.Repeat("a", 65), Value: "c"})), lb.CodeBadValue},
		{"reserved header", balancer("x", ok, headed(lb.Header{Name: "Transfer-Encoding", Value: "c"})), lb.CodeBadValue},
		{"header twice", balancer("x", ok, headed(lb.Header{Name: "a", Value: "c"}, lb.Header{Name: "A", Value: "c"})),
			lb.CodeBadValue},
		{"request without host", balancer("x", ok, with(http(80), lb.Options{HTTP: lb.HTTPOptions{
			Request: lb.HeaderChanges{Remove: []string{"hOst"}}}})), lb.CodeBadValue},
		{"sprawling hosts", balancer("x", ok, sprawling()), lb.CodeBadValue},
		{"too many headers", balancer("x", ok, headed(make([]lb.Header, 65)...)), lb.CodeBadValue},
		{"rewrite with a variable", balancer("x", ok, http(80, rewrite("/$uri", up))), lb.CodeBadValue},
		{"relative rewrite", balancer("x", ok, http(80, rewrite("x", up))), lb.CodeBadValue},
		{"rewrite of gRPC", balancer("x", ok, with(http(80, rewrite("/x", up)), lb.Options{HTTP: lb.HTTPOptions{GRPC: true}})),
			lb.CodeBackendCannot},
		{"passthrough without route", balancer("x", ok, passthrough(443)), lb.CodeBadValue},
		{"passthrough with path", balancer("x", ok, passthrough(443, route("a", "/", up))), lb.CodeBadValue},
		{"passthrough host", balancer("x", ok, passthrough(443, route("a b", "", up))), lb.CodeBadValue},
		{"passthrough host twice", balancer("x", ok, passthrough(443, route("a", "", up), route("a", "", up))),
			lb.CodeConflictingKeys},
		{"passthrough endpoint", balancer("x", ok, passthrough(443, route("a", "", "0.0.0.0:1"))), lb.CodeBadValue},
		{"passthrough beside TCP", balancer("x", ok, passthrough(443, route("", "", up)), tcp(443, up)),
			lb.CodeConflictingKeys},
		{"negative limit", balancer("x", ok, with(tcp(80, up), lb.Options{Limits: lb.Limits{PerClient: -1}})),
			lb.CodeBadValue},
		{"protocol", balancer("x", ok, lb.Listener{Port: 1, Protocol: "UDP\x1b[31m"}), lb.CodeBackendCannot},
		{"TCP without route", balancer("x", ok, lb.Listener{Port: 1, Protocol: lb.TCP}), lb.CodeBadValue},
		{"TCP with host", balancer("x", ok, hosted), lb.CodeBadValue},
		{"TCP with path", balancer("x", ok, pathed), lb.CodeBadValue},
		{"endpoint port 0", balancer("x", ok, tcp(80, "10.96.0.1:0")), lb.CodeBadValue},
		{"endpoint anywhere", balancer("x", ok, tcp(80, "0.0.0.0:80")), lb.CodeBadValue},
		{"endpoint zone", balancer("x", ok, tcp(80, "[fe80::1%x;y]:80")), lb.CodeBadValue},
		{"wildcard within", balancer("x", ok, http(80, route("a.*.com", "", up))), lb.CodeBadValue},
		{"wildcard alone", balancer("x", ok, http(80, route("*", "", up))), lb.CodeBadValue},
		{"wildcard twice", balancer("x", ok, http(80, route("*.*.com", "", up))), lb.CodeBadValue},
		{"weight", balancer("x", ok, http(80, split(route("", "", up), 1001, up))), lb.CodeBadValue},
		{"TCP exact", balancer("x", ok, lb.Listener{Port: 1, Protocol: lb.TCP, Routes: []lb.Route{{Exact: true}}}),
			lb.CodeBadValue},
		{"same exact route twice", balancer("x", ok, http(80, exact(route("a", "/b")), exact(route("a", "/b")))),
			lb.CodeConflictingKeys},
		{"upper-case host", balancer("x", ok, http(80, route("Example.com", "", up))), lb.CodeBadValue},
		{"regex host", balancer("x", ok, http(80, route("~.*", "", up))), lb.CodeBadValue},
		{"long label", balancer("x", ok, http(80, route(strings.Repeat("a", 64), "", up))), lb.CodeBadValue},
		{"long host", balancer("x", ok, http(80, route(strings.Repeat("a.", 127)+"a", "", up))), lb.CodeBadValue},
		{"relative path", balancer("x", ok, http(80, route("", "a", up))), lb.CodeBadValue},
		{"path up", balancer("x", ok, http(80, route("", "/a/../b", up))), lb.CodeBadValue},
		{"encoded path up", balancer("x", ok, http(80, route("", "/a/%2e%2e/b", up))), lb.CodeBadValue},
		{"empty segment", balancer("x", ok, http(80, route("", "/a//b", up))), lb.CodeBadValue},
		{"query", balancer("x", ok, http(80, route("", "/a?b", up))), lb.CodeBadValue},
		{"bad encoding", balancer("x", ok, http(80, route("", "/a%", up))), lb.CodeBadValue},
		{"line break", balancer("x", ok, http(80, route("", "/a\nb", up))), lb.CodeBadValue},
		{"encoded NUL", balancer("x", ok, http(80, route("", "/a%00", up))), lb.CodeBadValue},
		{"not UTF-8", balancer("x", ok, http(80, route("", "/a\xff", up))), lb.CodeBadValue},
		{"long path", balancer("x", ok, http(80, route("", "/"+strings.Repeat("a", 1024), up))), lb.CodeBadValue},
		{"same route twice", balancer("x", ok, http(80, route("a", "/b"), route("a", "/b/"))), lb.CodeConflictingKeys},
	} {
		t.Run(tt.name, func(t *testing.T) {
			neighbour := balancer("neighbour", []string{"10.0.0.2"}, tcp(80, up))
			res, err := nginx.Render(input(tt.lb, neighbour))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Refused) != 1 || res.Refused[0].Key != tt.lb.Origin.Key || res.Refused[0].Code != tt.code {
				t.Errorf("got %v, want %s of %s", res.Refused, tt.code, tt.lb.Origin.Key)
			}
			alone, err := nginx.Render(input(neighbour))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(alone.Files, res.Files); diff != "" {
				t.Errorf("a refused load balancer left something (-want +got):\n%s", diff)
			}
		})
	}
}

// headed is a listener that sets headers of requests.
func headed(set ...lb.Header) lb.Listener {
	return with(http(80), lb.Options{HTTP: lb.HTTPOptions{Request: lb.HeaderChanges{Set: set}}})
}

// sprawling is a listener whose hosts leave room for all routes of every host.
func sprawling() lb.Listener {
	l := http(80)
	for i := range 128 {
		l.Routes = append(l.Routes, route(fmt.Sprintf("h%d", i), "/own"), route("", fmt.Sprintf("/p%d", i)))
	}
	return l
}

// rewrite is a route that rewrites all paths.
func rewrite(to string, endpoints ...string) lb.Route {
	r := route("", "", endpoints...)
	r.Rewrite = to
	return r
}

// TestConflict has two load balancers want one socket: the first by key has it, and one that is refused blocks nobody.
func TestConflict(t *testing.T) {
	up := "10.96.0.1:80"
	res, err := nginx.Render(input(
		balancer("b", []string{"10.0.0.1"}, tcp(80, up), tcp(81, up)),
		balancer("a", []string{"10.0.0.1"}, http(80, route("", "", up))),
		balancer("c", []string{"10.0.0.1"}, tcp(81, up)),
		balancer("c", []string{"10.0.0.3"}, tcp(81, up)),
		balancer("d", []string{"10.0.0.3"}, tcp(81, up)),
	))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Refused {
		got = append(got, r.Key.Name+" "+r.Finding.String())
	}
	want := []string{
		"b LB0303 listeners[80]: 10.0.0.1:80 belongs to default/a",
		`c LB0108 "default/c" occurs twice`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOrder renders the same load balancers in another order.
func TestOrder(t *testing.T) {
	for name, in := range goldens() {
		want, err := nginx.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		in.LoadBalancers = slices.Clone(in.LoadBalancers)
		slices.Reverse(in.LoadBalancers)
		got, err := nginx.Render(in)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(nginx.Result{})); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// TestNames has names that would clash if they were cut, and more bytes than a file's name may have.
func TestNames(t *testing.T) {
	ns, long := strings.Repeat("n", 63), strings.Repeat("a", 252)
	var lbs []lb.LoadBalancer
	for i, name := range []string{long + "x", long + "y", long[:136], "b.c-d"} {
		l := balancer(name, []string{fmt.Sprintf("10.0.0.%d", i+1)},
			tcp(80, "10.96.0.1:80"), http(81, route("", "", "10.96.0.1:80")))
		l.Origin.Namespace = ns
		lbs = append(lbs, l)
	}
	res, err := nginx.Render(input(lbs...))
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	owned := make(map[lb.Key]int)
	for _, f := range res.Files {
		if base := filepath.Base(f.Path); len(base) > 255 {
			t.Errorf("%s has %d bytes", base, len(base))
		}
		if k, ok := res.Owner(f.Path); ok {
			owned[k]++
		}
	}
	for _, l := range lbs {
		if owned[l.Origin.Key] != 2 {
			t.Errorf("%s owns %d files, want 2", l.Origin.Key, owned[l.Origin.Key])
		}
	}
	accepted(t, res)
}

func TestLongHosts(t *testing.T) {
	var routes []lb.Route
	for i := range 40 {
		host := fmt.Sprintf("%02d.%s%s", i, strings.Repeat(strings.Repeat("h", 61)+".", 3), strings.Repeat("i", 62))
		routes = append(routes, route(host, "", "10.96.0.1:80"))
	}
	res, err := nginx.Render(input(balancer("x", []string{"10.0.0.1"}, http(80, routes...))))
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	accepted(t, res)
}

// TestManySockets has more listeners than worker connections were asked for, which nginx would not start with.
func TestManySockets(t *testing.T) {
	l := balancer("x", []string{"10.0.0.1", "fd00::1"})
	for p := range uint16(300) {
		l.Listeners = append(l.Listeners, tcp(1000+p, "10.96.0.1:80"))
	}
	in := input(l)
	in.WorkerConnections = 16
	res, err := nginx.Render(in)
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	if got, _ := res.Files.Get("nginx.conf"); !strings.Contains(string(got), "worker_connections 618;") {
		t.Errorf("600 sockets, two of the probe and 16 connections are not 618:\n%s", got)
	}
}

func TestGeneration(t *testing.T) {
	seen := make(map[string]string)
	cases := goldens()
	moved := cases["tcp"]
	moved.RunDir = "/run/other"
	cases["moved"] = moved
	for name, in := range cases {
		res, err := nginx.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[res.Generation]; ok {
			t.Errorf("%s and %s have generation %s", name, other, res.Generation)
		}
		seen[res.Generation] = name
		probe, _ := res.Files.Get("generation.conf")
		if !strings.Contains(string(probe), `return 200 "`+res.Generation+`";`) {
			t.Errorf("%s: generation %s is not in %s", name, res.Generation, probe)
		}
	}
}

func TestBadInput(t *testing.T) {
	for name, change := range map[string]func(*nginx.Input){
		"no run directory":       func(in *nginx.Input) { in.RunDir = "" },
		"relative run directory": func(in *nginx.Input) { in.RunDir = "run" },
		"unclean run directory":  func(in *nginx.Input) { in.RunDir = "/run/../etc" },
		"quote in run directory": func(in *nginx.Input) { in.RunDir = `/run/"x` },
		"long run directory":     func(in *nginx.Input) { in.RunDir = "/" + strings.Repeat("r", 80) },
		"module":                 func(in *nginx.Input) { in.Modules = []string{"mod.so; x"} },
		"user":                   func(in *nginx.Input) { in.User = "www data" },
		"workers":                func(in *nginx.Input) { in.Workers = -1 },
		"connections":            func(in *nginx.Input) { in.WorkerConnections = -1 },
		"open files":             func(in *nginx.Input) { in.WorkerOpenFiles = -1 },
		"negative timeout":       func(in *nginx.Input) { in.ShutdownTimeout = -time.Second },
		"fractional timeout":     func(in *nginx.Input) { in.ShutdownTimeout = 1500 * time.Millisecond },
	} {
		in := input()
		change(&in)
		if res, err := nginx.Render(in); err == nil || len(res.Files) > 0 {
			t.Errorf("%s: %v, %d files", name, err, len(res.Files))
		}
	}
}

func BenchmarkRender5000(b *testing.B) {
	var alone, shared []lb.LoadBalancer
	for i := range 5000 {
		name := fmt.Sprintf("lb-%04d", i)
		l := balancer(name, nil, http(80, route("", "", "10.96.0.1:80")))
		l.VIPs = []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})}
		alone = append(alone, l)
		l = balancer(name, []string{"10.1.0.1"}, http(80, route(name+".example.com", "", "10.96.0.1:80")))
		l.Share = "default/edge"
		shared = append(shared, l)
	}
	for name, lbs := range map[string][]lb.LoadBalancer{"alone": alone, "shared": shared} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if res, err := nginx.Render(input(lbs...)); err != nil || len(res.Refused) > 0 {
					b.Fatal(err, res.Refused)
				}
			}
		})
	}
}
