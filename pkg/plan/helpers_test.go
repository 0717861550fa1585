package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// addrs reads addresses separated by commas.
func addrs(s string) []netip.Addr {
	var out []netip.Addr
	for a := range strings.SplitSeq(s, ",") {
		if a != "" {
			out = append(out, addr(a))
		}
	}
	return out
}

// pool makes a pool of addresses; a name that begins with "manual" makes it manual.
func pool(tb testing.TB, name string, addresses ...string) ipam.Pool {
	tb.Helper()
	p, err := ipam.ParsePool(name, addresses, ipam.Options{Manual: strings.HasPrefix(name, "manual")})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// everything is a backend that can do all.
func everything() lb.Capabilities {
	return lb.Capabilities{
		Protocols: []lb.Protocol{lb.HTTP, lb.TCP, lb.UDP, lb.SCTP, lb.Passthrough}, Hosts: true, Paths: true, TLS: true,
		ClientAuth: true, BackendTLS: true,
		Sharing: true, Wildcards: true, ExactPaths: true, Weights: true, SourceRanges: true, AcceptProxy: true,
		SendProxy: true, SendProxyV2: true, ClientLimits: true, SendTimeout: true, Cloud: true, Spread: true,
		TrustedProxies: true, Limits: true, IdleTimeout: true, Responses: true, Timeouts: true, Retries: true,
		AccessLog: true, Rewrite: true, Redirect: true, GRPC: true, Headers: true, MaxBody: true, Gzip: true, Families: []lb.Family{lb.IPv4, lb.IPv6},
		// "x" stands for what is not known yet.
		Endpoints: true, Methods: append(lb.Methods(), "x"), Affinities: append(lb.Affinities(), "x"), MaxSize: 1 << 30,
	}
}

// balancer makes a load balancer of the default namespace that serves TCP port 80.
func balancer(name string, age int, vips string) lb.LoadBalancer {
	return lb.LoadBalancer{
		Origin: lb.Origin{
			Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: name}, UID: "uid-" + name,
			Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Duration(age) * time.Hour),
		},
		VIPs: addrs(vips),
		Listeners: []lb.Listener{{Port: 80, Protocol: lb.TCP, Routes: []lb.Route{{Target: lb.Target{
			Service:   lb.Service{Key: lb.Key{Namespace: "default", Name: name}, Port: 80},
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
		}}}}},
	}
}

// An option changes a wish.
type option func(*lb.Wish)

func requestedIP(s string) option { return func(w *lb.Wish) { w.Address.Requested = addrs(s) } }
func recordedIP(s string) option  { return func(w *lb.Wish) { w.Address.Recorded = addrs(s) } }
func inPool(s string) option      { return func(w *lb.Wish) { w.Address.Pool = s } }
func withUID(s string) option     { return func(w *lb.Wish) { w.LoadBalancer.Origin.UID = s } }
func onPort(p uint16) option      { return func(w *lb.Wish) { w.LoadBalancer.Listeners[0].Port = p } }
func families(fs ...lb.Family) option {
	return func(w *lb.Wish) { w.Address.Families = fs }
}
func broken(w *lb.Wish) {
	w.LoadBalancer.Listeners = nil
	w.Findings = []lb.Finding{{Code: lb.CodeBadPort, Field: "data[bind-port]", Message: "broken"}}
}

// wish makes a wish; the age, in hours, decides who is older.
func wish(name string, age int, options ...option) lb.Wish {
	w := lb.Wish{LoadBalancer: balancer(name, age, ""), Fields: lb.Fields{
		Requested: "requested", Pool: "pool", Families: "families", Protocol: "protocol", Port: "port", Host: "host",
		Path: "path", TLS: "tls",
	}}
	w.LoadBalancer.VIPs = nil
	for _, o := range options {
		o(&w)
	}
	return w
}

func hold(name, a string, nodes ...string) Hold {
	return Hold{Key: lb.Key{Namespace: "default", Name: name}, Address: addr(a), Nodes: nodes}
}

// served writes down what is served, such as "a=10.0.0.1 b=10.0.0.2,fd00::1".
func served(out Output) string {
	var parts []string
	for _, l := range out.LoadBalancers {
		parts = append(parts, l.Origin.Name+"="+join(l.VIPs))
	}
	return strings.Join(parts, " ")
}

func join(as []netip.Addr) string {
	var parts []string
	for _, a := range as {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, ",")
}

// findings writes down all findings, one a line, as "name[ stale]: finding".
func findings(out Output) string {
	var lines []string
	for _, o := range out.Outcomes {
		stale := ""
		if o.Stale {
			stale = " stale"
		}
		for _, f := range o.Findings {
			lines = append(lines, fmt.Sprintf("%s%s: %s", o.Origin.Name, stale, f))
		}
	}
	return strings.Join(lines, "\n")
}
