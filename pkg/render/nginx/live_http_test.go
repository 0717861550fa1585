package nginx_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestHeaderChanges sets and removes headers on both ways, with values that nginx could take for more.
func TestHeaderChanges(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("X-Team", "theirs")
		w.Header().Set("X-Debug", "theirs")
		w.Header().Set("X-Kept", "theirs")
		fmt.Fprintf(w, "Host: %s\n", r.Host)
		if err := r.Header.Write(w); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	port := freePort(t)
	serve(t, balancer("full", []string{"127.0.0.1"},
		with(http(port, route("", "", s.Listener.Addr().String())), everyHTTP())))
	a := ask(t, port, "GET / HTTP/1.1\nHost: x\nX-Team: mine\nX-Debug: mine\nX-Kept: mine")
	const price = `"$5" \ ${uri}; }`
	for _, want := range []string{
		"Host: inside.example.com\n", "X-Team: tea\r\n", "X-Price: " + price + "\r\n", "X-Kept: mine\r\n",
		"X-Forwarded-Host: x\r\n",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the service did not get %q but\n%s", want, a.body)
		}
	}
	if strings.Contains(a.body, "X-Debug") {
		t.Errorf("the service got a removed header:\n%s", a.body)
	}
	for name, want := range map[string]string{"X-Team": "tea", "X-Price": price, "X-Kept": "theirs", "X-Debug": ""} {
		if got := strings.Join(a.header.Values(name), "|"); got != want {
			t.Errorf("the client got %s: %q, want %q", name, got, want)
		}
	}
	if a := ask(t, port, "POST / HTTP/1.1\nHost: x\nContent-Length: 99999999"); a.status != 413 ||
		!strings.HasPrefix(a.body, "413 Content Too Large: ") {
		t.Errorf("a large body: %d %q", a.status, a.body)
	}
}

// TestRewrite has what a service gets in place of the path.
func TestRewrite(t *testing.T) {
	b := backend(t, "b")
	old, cut, whole := rewrite("/new/", b), rewrite("/", b), exact(rewrite("/x/y", b))
	old.Path, cut.Path, whole.Path = "/old", "/cut/", "/whole/"
	port := freePort(t)
	serve(t, balancer("moved", []string{"127.0.0.1"}, http(port, old, cut, whole, rewrite("/all", b))))
	for path, want := range map[string]string{
		"/old": "/new", "/old/": "/new/", "/old/a?b=/old": "/new/a?b=/old", "/cut": "/", "/cut/a/b": "/a/b",
		"/whole/": "/x/y", "/whole/a": "/all/whole/a", "/": "/all/", "/older": "/all/older",
	} {
		a := ask(t, port, "GET "+path+" HTTP/1.1\nHost: x")
		if got, _, _ := strings.Cut(a.body, "\n"); got != "b GET "+want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// TestRedirect sends clients to HTTPS, but not those whom a trusted proxy has brought that way, and nobody to a host
// that is not served.
func TestRedirect(t *testing.T) {
	plain, trusting := freePort(t), freePort(t)
	b := backend(t, "b")
	serve(t, balancer("moved", []string{"127.0.0.1"},
		with(http(plain, route("a.example.com", "", b)), lb.Options{HTTP: lb.HTTPOptions{RedirectTo: 443}}),
		with(http(trusting, route("", "", b)), lb.Options{
			HTTP: lb.HTTPOptions{RedirectTo: 8443}, TrustedProxies: prefixes("127.0.0.0/8"),
		})))
	for _, tt := range []struct {
		port     uint16
		request  string
		status   int
		location string
	}{
		{plain, "GET /x?y=z HTTP/1.1\nHost: A.example.com:80", 308, "https://a.example.com/x?y=z"},
		{plain, "POST / HTTP/1.1\nHost: a.example.com\nContent-Length: 0", 308, "https://a.example.com/"},
		{plain, "GET / HTTP/1.1\nHost: evil.example.com", 404, ""},
		{trusting, "GET / HTTP/1.1\nHost: a", 308, "https://a:8443/"},
		{trusting, "GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: https", 200, ""},
	} {
		if a := ask(t, tt.port, tt.request); a.status != tt.status || a.header.Get("Location") != tt.location {
			t.Errorf("%s: got %d to %q", tt.request, a.status, a.header.Get("Location"))
		}
	}
}

// TestTrustedProxies believes the proxies, and nobody else.
func TestTrustedProxies(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("cdn", []string{"127.0.0.1"}, with(http(port, route("", "", backend(t, "b"))), lb.Options{
		TrustedProxies: prefixes("127.0.0.1/32", "10.0.0.0/8"), Sources: prefixes("127.0.0.0/8", "192.0.2.0/24"),
	})))
	const said = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-Host: www.example.com\r\nX-Forwarded-Port: 443\r\nForwarded: for=192.0.2.1\r\n"
	for _, tt := range []struct {
		source, header string
		want           []string
	}{
		{"127.0.0.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1\r\n", []string{
			"X-Real-Ip: 192.0.2.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto: https",
			"X-Forwarded-Host: www.example.com", "X-Forwarded-Port: 443",
			"Forwarded: for=192.0.2.1;proto=https",
		}},
		{"127.0.0.1", "", []string{"X-Real-Ip: 127.0.0.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https"}},
		{"127.0.0.2", "X-Forwarded-For: 192.0.2.1\r\n", []string{
			"X-Real-Ip: 127.0.0.2", "X-Forwarded-For: 127.0.0.2", "X-Forwarded-Proto: http", "X-Forwarded-Host: x",
			fmt.Sprintf("X-Forwarded-Port: %d", port), "Forwarded: for=127.0.0.2;proto=http",
		}},
	} {
		c := from(t, tt.source, port)
		fmt.Fprint(c, said+tt.header+"\r\n")
		all, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(string(all), "\n"+want+"\r\n") {
				t.Errorf("from %s with %q: no %q in\n%s", tt.source, tt.header, want, all)
			}
		}
	}
	c := from(t, "127.0.0.1", port)
	fmt.Fprint(c, said+"X-Forwarded-For: 198.51.100.1\r\n\r\n")
	if all, _ := io.ReadAll(c); !strings.HasPrefix(string(all), "HTTP/1.1 403 ") {
		t.Errorf("a client out of range behind the proxy: %s", all)
	}
}

// TestAccessLog reads the lines of a request and a connection back, with what a client could break them with.
func TestAccessLog(t *testing.T) {
	web, raw := freePort(t), freePort(t)
	o := lb.Options{AccessLog: true}
	_, run := serve(t, balancer("logged", []string{"127.0.0.1"}, with(http(web, route("", "", backend(t, "b"))), o),
		with(tcp(raw, greeter(t)), o)))
	ask(t, web, "GET /a\"b\\x HTTP/1.1\nHost: x\nUser-Agent: \"},\t[31m\nX-Request-ID: one")
	c := dial(t, raw)
	hello(c, "x\n")
	c.Close()
	var lines []string
	poll(t, "two lines", func() bool {
		text, err := os.ReadFile(filepath.Join(run, stdout))
		lines = strings.Split(strings.TrimSpace(string(text)), "\n")
		return err == nil && len(lines) == 2
	})
	for i, want := range []map[string]any{
		{"protocol": "HTTP", "status": 200.0, "uri": `/a"b\x`, "userAgent": "\"},\t[31m", "requestId": "one", "method": "GET"},
		{"protocol": "TCP", "status": 200.0, "port": float64(raw), "bytesSent": 8.0},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("%v: %s", err, lines[i])
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s is %v, want %v in %s", k, got[k], v, lines[i])
			}
		}
		if got["loadBalancer"] != "default/logged" || got["client"] != "127.0.0.1" {
			t.Errorf("got %s", lines[i])
		}
	}
}

// TestGzip compresses text for those who ask.
func TestGzip(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.Repeat("a", 10_000))
	}))
	defer s.Close()
	zipped, unzipped := freePort(t), freePort(t)
	r := route("", "", s.Listener.Addr().String())
	serve(t, balancer("zip", []string{"127.0.0.1"}, http(unzipped, r),
		with(http(zipped, r), lb.Options{HTTP: lb.HTTPOptions{Gzip: true}})))
	const request = "GET / HTTP/1.1\nHost: x\nAccept-Encoding: gzip"
	if a := ask(t, unzipped, request); a.header.Get("Content-Encoding") != "" {
		t.Error("compressed without being asked to")
	}
	a := ask(t, zipped, request)
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); len(text) != 10_000 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// TestRetries goes to a service of which every second connection is closed unanswered, as one with a dead pod does.
func TestRetries(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n%2 == 1 {
				_, _ = c.Read(make([]byte, 4096))
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			c.Close()
		}
	}()
	port := freePort(t)
	serve(t, balancer("again", []string{"127.0.0.1"},
		with(http(port, route("", "", l.Addr().String())), lb.Options{Retries: 1})))
	for range 5 {
		if a := ask(t, port, "GET / HTTP/1.1\nHost: x"); a.status != 200 {
			t.Errorf("got %d", a.status)
		}
	}
}

// TestGRPC speaks HTTP/2 in clear text through nginx, with trailers, as gRPC does.
func TestGRPC(t *testing.T) {
	h2c := new(nethttp.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nethttp.Server{Protocols: h2c, Handler: nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s for %s", r.Proto, r.URL.Path, body, r.Header.Get("X-Forwarded-For"))
		w.Header().Set("Grpc-Status", "0")
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	port := freePort(t)
	serve(t, balancer("rpc", []string{"127.0.0.1"},
		with(http(port, route("", "", l.Addr().String())), lb.Options{HTTP: lb.HTTPOptions{GRPC: true}})))
	client := &nethttp.Client{Transport: &nethttp.Transport{Protocols: h2c}, Timeout: deadline}
	ctx, url := context.WithoutCancel(t.Context()), fmt.Sprintf("http://127.0.0.1:%d/pkg.Service/Call", port)
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodPost, url, bytes.NewReader([]byte("hi")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	r, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if want := "HTTP/2.0 /pkg.Service/Call hi for 127.0.0.1"; string(body) != want || err != nil || r.ProtoMajor != 2 {
		t.Errorf("got %s %q, %v", r.Proto, body, err)
	}
	if r.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("trailers %v", r.Trailer)
	}
}

// TestRequestNames: a request without a name, or with one that could do harm in a log, gets one that no other has.
func TestRequestNames(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("named", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "b")))))
	name := regexp.MustCompile(`(?m)^X-Request-Id: ([A-Za-z0-9._:/=+-]{1,128})\r?$`)
	seen := map[string]bool{}
	for i := range 10 {
		for _, given := range []string{"", "X-Request-ID: \"two words\"", "X-Request-ID: " + strings.Repeat("x", 129)} {
			bodies := []string{ask(t, port, strings.TrimSpace("GET / HTTP/1.1\nHost: x\n"+given)).body}
			res, err := nethttp.Get(fmt.Sprintf("http://127.0.0.1:%d/%d", port, i)) // on a kept connection
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range append(bodies, string(text)) {
				m := name.FindStringSubmatch(body)
				if len(m) == 0 || seen[m[1]] {
					t.Fatalf("with %.30q the request is called %q, after %d others:\n%s", given, m, len(seen), body)
				}
				seen[m[1]] = true
			}
		}
	}
}
