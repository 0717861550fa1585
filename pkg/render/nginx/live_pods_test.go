package nginx_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// three are backends that say their names.
func three(t *testing.T) []string {
	t.Helper()
	return []string{backend(t, "a"), backend(t, "b"), backend(t, "c")}
}

// answerers asks some times and returns who answered, sorted, each once.
func answerers(t *testing.T, port uint16, request string) string {
	t.Helper()
	var out []string
	for i := range 30 {
		a := ask(t, port, strings.ReplaceAll(request, "#", fmt.Sprint(i)))
		if a.status != 200 {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		if name := a.body[:1]; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// TestMethods: requests that are alike come to the same pod where a hash decides, and others are spread.
func TestMethods(t *testing.T) {
	ends := three(t)
	for _, tc := range []struct {
		options       lb.Options
		alike, spread string
	}{
		{pods("", ""), "abc", "abc"},
		{pods(lb.LeastConnections, ""), "abc", "abc"},
		{pods(lb.RequestHash, ""), "?", "abc"},
		{pods(lb.SourceIPHash, ""), "?", "?"},
		{pods("", lb.ClientIP), "?", "?"},
		{pods("", lb.Cookie), "abc", "abc"},
	} {
		port := freePort(t)
		serve(t, balancer("pods", []string{"127.0.0.1"}, with(http(port, route("", "", ends...)), tc.options)))
		for request, want := range map[string]string{
			"GET /same HTTP/1.1\nHost: x": tc.alike, "GET /# HTTP/1.1\nHost: x": tc.spread,
		} {
			if got := answerers(t, port, request); got != want && !(want == "?" && len(got) == 1) {
				t.Errorf("%+v: %s: %s answered, not %s", tc.options.Upstream, request, got, want)
			}
		}
	}
}

// TestAffinityCookie: a client without the cookie gets one and comes to its pod with it; what it says itself is hashed
// and never given back; behind a trusted proxy that speaks HTTPS the cookie is Secure.
func TestAffinityCookie(t *testing.T) {
	port, behind := freePort(t), freePort(t)
	trusting := pods("", lb.Cookie)
	trusting.TrustedProxies = prefixes("127.0.0.0/8")
	ends := three(t)
	serve(t, balancer("shop", []string{"127.0.0.1"}, with(http(port, route("", "", ends...)), pods("", lb.Cookie)),
		with(http(behind, route("", "", ends...)), trusting)))
	const plain = "; Path=/; HttpOnly; SameSite=Lax"
	for range 10 {
		a := ask(t, port, "GET / HTTP/1.1\nHost: x\nX-Forwarded-Proto: https")
		cookie, rest, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
		if ";"+rest != plain || len(cookie) != len("lb_affinity=")+32 {
			t.Fatalf("Set-Cookie: %q", a.header.Get("Set-Cookie"))
		}
		if got := answerers(t, port, "GET / HTTP/1.1\nHost: x\nCookie: x=y; "+cookie); got != a.body[:1] {
			t.Errorf("%s gave the cookie, %s answered to it", a.body[:1], got)
		}
	}
	if a := ask(t, port, "GET / HTTP/1.1\nHost: x\nCookie: lb_affinity=mine"); a.header.Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie: %q", a.header.Get("Set-Cookie"))
	}
	for proto, want := range map[string]string{"https": plain + "; Secure", "http": plain} {
		a := ask(t, behind, "GET / HTTP/1.1\nHost: x\nX-Forwarded-Proto: "+proto)
		if got := a.header.Get("Set-Cookie"); !strings.HasSuffix(got, plain[1:]+strings.TrimPrefix(want, plain)) {
			t.Errorf("by %s: Set-Cookie: %q", proto, got)
		}
	}
}

// dead returns an address that refuses connections.
func dead(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(t))
}

// TestDeadPods: dead pods cost nobody his request, nor his connection, as long as there are enough tries; they are left
// out after a few failures; and without a retry they cost one request each time.
func TestDeadPods(t *testing.T) {
	ends := append(three(t), dead(t), dead(t))
	web, raw, once := freePort(t), freePort(t), freePort(t)
	unsure := pods("", "")
	unsure.Retries = 0
	serve(t, balancer("pods", []string{"127.0.0.1"}, with(http(web, route("", "", ends...)), pods("", "")),
		with(tcp(raw, ends...), pods("", "")), with(http(once, route("", "", ends...)), unsure)))
	const request = "GET / HTTP/1.1\nHost: x"
	for _, port := range []uint16{web, raw} {
		if got := answerers(t, port, request+"\nConnection: close"); got != "abc" {
			t.Errorf("%s answered", got)
		}
	}
	if a := ask(t, web, "POST / HTTP/1.1\nHost: x\nContent-Length: 0"); a.status != 200 {
		t.Errorf("a POST that nobody has got yet: %d", a.status)
	}
	failed := 0
	for range 40 {
		if ask(t, once, request).status == 503 {
			failed++
		}
	}
	if failed != 6 { // each of the dead is asked three times, and then left out
		t.Errorf("%d requests failed without a retry", failed)
	}
}

// A single pod is asked whatever it did before.
func TestOnlyPod(t *testing.T) {
	l, err := net.Listen("tcp", dead(t))
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	port := freePort(t)
	serve(t, balancer("pods", []string{"127.0.0.1"}, with(tcp(port, address), pods("", ""))))
	for range 5 {
		c := dial(t, port)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("who answered?")
		}
		_ = c.Close()
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, port)
	defer c.Close()
	if in, err := l.Accept(); err != nil {
		t.Error(err)
	} else {
		_ = in.Close()
	}
}
