package nginx_test

import (
	"fmt"
	"net"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// TestSourceRangesAnswerNothing: clients out of range learn neither what is served, nor where it moved, nor that it has
// no endpoints.
func TestSourceRangesAnswerNothing(t *testing.T) {
	plain, moved := freePort(t), freePort(t)
	o := lb.Options{Sources: prefixes("127.0.0.2/32")}
	redirecting := o
	redirecting.HTTP.RedirectTo = 443
	serve(t, balancer("safe", []string{"127.0.0.1"},
		with(http(plain, route("", "/none"), route("", "/b", backend(t, "b"))), o),
		with(http(moved, route("", "", backend(t, "b"))), redirecting)))
	for _, tt := range []struct {
		port   uint16
		path   string
		status int
	}{{plain, "/", 404}, {plain, "/none", 503}, {plain, "/b", 200}, {moved, "/", 308}} {
		for source, want := range map[string]int{"127.0.0.2": tt.status, "127.0.0.3": 403} {
			a := request(t, source, tt.port, tt.path, "")
			if a.status != want || want == 403 && !strings.HasPrefix(a.body, "403 Forbidden: ") {
				t.Errorf("%s from %s: got %d %q, want %d", tt.path, source, a.status, a.body, want)
			}
		}
	}
}

// request asks for a path from an address of the loopback, with more header lines.
func request(t *testing.T, source string, port uint16, path, headers string) answer {
	t.Helper()
	c := from(t, source, port)
	defer c.Close()
	return over(t, c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+headers+"\r\n")
}

// TestStrangersHost: the options of the first at a shared port are not those of requests for hosts that nobody has.
func TestStrangersHost(t *testing.T) {
	port, own := freePort(t), freePort(t)
	o := lb.Options{Sources: prefixes("192.0.2.0/24"), HTTP: lb.HTTPOptions{Response: lb.HeaderChanges{
		Set: []lb.Header{{Name: "X-Owner", Value: "a"}}}}}
	serve(t, append(shared(
		balancer("a", []string{"127.0.0.1"}, with(http(port, route("a.example.com", "", backend(t, "a"))), o)),
		balancer("b", []string{"127.0.0.1"}, http(port, route("b.example.com", "", backend(t, "b")))),
	), balancer("c", []string{"127.0.0.1"}, with(http(own, route("c.example.com", "", backend(t, "c"))), o)))...)
	for _, tt := range []struct {
		port   uint16
		host   string
		status int
		owner  string
	}{{port, "a.example.com", 403, "a"}, {port, "b.example.com", 200, ""}, {port, "x", 404, ""}, {own, "x", 403, "a"}} {
		a := ask(t, tt.port, "GET / HTTP/1.1\nHost: "+tt.host)
		if a.status != tt.status || a.header.Get("X-Owner") != tt.owner {
			t.Errorf("%s: got %d with owner %q, want %d", tt.host, a.status, a.header.Get("X-Owner"), tt.status)
		}
	}
}

// TestNoRetries: without retries a request is tried once, also where there are several Services to try.
func TestNoRetries(t *testing.T) {
	var tries atomic.Int32
	closing := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				tries.Add(1)
				c.Close()
			}
		}()
		return l.Addr().String()
	}
	plain, rpc := freePort(t), freePort(t)
	r := split(split(route("", "", closing()), 1, closing()), 1, closing())
	serve(t, balancer("once", []string{"127.0.0.1"}, http(plain, r),
		with(http(rpc, r), lb.Options{HTTP: lb.HTTPOptions{GRPC: true}})))
	if a := ask(t, plain, "GET / HTTP/1.1\nHost: x"); a.status != 503 || tries.Load() != 1 {
		t.Errorf("HTTP: got %d after %d tries", a.status, tries.Load())
	}
	tries.Store(0)
	h2c := new(nethttp.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	client := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c}, Timeout: deadline}
	req, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", rpc), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != nethttp.StatusServiceUnavailable || tries.Load() != 1 {
		t.Errorf("GRPC: got %d after %d tries", a.StatusCode, tries.Load())
	}
}

// TestForwardedProto: a trusted proxy may write the protocol in capitals, and may hand on a list of them.
func TestForwardedProto(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("cdn", []string{"127.0.0.1"}, with(http(port, route("", "", backend(t, "b"))), lb.Options{
		TrustedProxies: prefixes("127.0.0.2/32"), HTTP: lb.HTTPOptions{RedirectTo: 443},
	})))
	for _, tt := range []struct {
		source, proto string
		status        int
	}{
		{"127.0.0.2", "https", 200}, {"127.0.0.2", "HTTPS", 200}, {"127.0.0.2", "https, http", 200},
		{"127.0.0.2", "Https,http", 200}, {"127.0.0.2", "http, https", 308}, {"127.0.0.2", "http", 308},
		{"127.0.0.2", "httpsx", 308}, {"127.0.0.2", "", 308}, {"127.0.0.3", "https", 308},
	} {
		a := request(t, tt.source, port, "/", "X-Forwarded-Proto: "+tt.proto+"\r\n")
		if a.status != tt.status {
			t.Errorf("%s says %q: got %d, want %d", tt.source, tt.proto, a.status, tt.status)
		}
		if tt.status == 200 && !strings.Contains(a.body, "\nX-Forwarded-Proto: https\r\n") {
			t.Errorf("%q: the service got\n%s", tt.proto, a.body)
		}
	}
}

// TestSpoofedHeaders: nothing that a client says of who it is, or of how it came, reaches a service.
func TestSpoofedHeaders(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("cafe", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "b")))))
	var forged strings.Builder
	for _, name := range []string{
		"Client-IP", "Front-End-Https", "Proxy", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Forwarded-Prefix",
		"X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Original-URL",
		"X-Rewrite-URL", "X-Url-Scheme", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded",
		"Client-Cert", "Client-Cert-Chain", "SSL-Client-Cert", "X-Forwarded-Client-Cert", "SSL-Client-Verify",
		"SSL-Client-Subject-DN", "SSL-Client-Issuer-DN",
	} {
		forged.WriteString("\n" + name + ": 6.6.6.6")
	}
	if a := ask(t, port, "GET / HTTP/1.1\nHost: x"+forged.String()); strings.Contains(a.body, "6.6.6.6") {
		t.Errorf("the service got\n%s", a.body)
	}
}

// TestRangesOnce: listeners that ask for the same ranges have one tree of them.
func TestRangesOnce(t *testing.T) {
	o := lb.Options{Sources: prefixes("10.0.0.0/8"), TrustedProxies: prefixes("10.0.0.0/8")}
	other := lb.Options{Sources: prefixes("10.0.0.0/8", "fd00::/8")}
	var lbs []lb.LoadBalancer
	for i := range 20 {
		l := http(80, route("", "", "10.96.0.1:80"))
		lbs = append(lbs, balancer(fmt.Sprintf("x%d", i), []string{fmt.Sprintf("10.0.0.%d", i+1)}, with(l, o)))
	}
	lbs[7].Listeners[0].Options = other
	res, err := nginx.Render(input(lbs...))
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	data, _ := res.Files.Get("ranges.conf")
	if n := strings.Count(string(data), "geo "); n != 3 {
		t.Errorf("%d variables:\n%s", n, data)
	}
	accepted(t, res)
}
