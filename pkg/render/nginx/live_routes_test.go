package nginx_test

import (
	"strings"
	"testing"
)

// TestRoutesByHostAndPath asks for what the more and the less special routes leave to each other.
func TestRoutesByHostAndPath(t *testing.T) {
	at := make(map[string]string)
	for _, n := range []string{"any", "root", "wild", "eu", "cart", "cartExact", "cartSlash"} {
		at[n] = backend(t, n)
	}
	port := freePort(t)
	serve(t, balancer("shop", []string{"127.0.0.1"}, http(port,
		route("", "/any", at["any"]), exact(route("", "/", at["root"])),
		route("*.example.com", "/w", at["wild"]), route("*.eu.example.com", "/", at["eu"]),
		route("shop.eu.example.com", "/cart", at["cart"]), exact(route("shop.eu.example.com", "/cart", at["cartExact"])),
		exact(route("shop.eu.example.com", "/cart/", at["cartSlash"])))))
	for _, tt := range []struct{ host, path, want string }{
		{"x", "/", "root"},
		{"x", "/x", "404"},
		{"x", "/any/x", "any"},
		{"a.example.com", "/w", "wild"},
		{"a.b.example.com", "/w/x", "wild"},
		{"a.example.com", "/any", "any"},
		{"a.example.com", "/", "root"},
		{"example.com", "/w", "404"},
		{"a.eu.example.com", "/w", "eu"},
		{"a.eu.example.com", "/any", "eu"},
		{"shop.eu.example.com", "/cart", "cartExact"},
		{"shop.eu.example.com", "/cart/", "cartSlash"},
		{"shop.eu.example.com", "/cart/x", "cart"},
		{"shop.eu.example.com", "/cartx", "eu"},
		{"shop.eu.example.com", "/", "eu"},
	} {
		a := ask(t, port, "GET "+tt.path+" HTTP/1.1\nHost: "+tt.host)
		if got, _, _ := strings.Cut(a.body, " "); got != tt.want {
			t.Errorf("host %s path %s: got %q, want %q", tt.host, tt.path, got, tt.want)
		}
	}
}

// TestWeights counts who answers.
func TestWeights(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("shop", []string{"127.0.0.1"}, http(port,
		split(split(route("", "/", backend(t, "one")), 4, backend(t, "four")), 0, backend(t, "none")))))
	got := make(map[string]int)
	for range 50 {
		name, _, _ := strings.Cut(ask(t, port, "GET / HTTP/1.1\nHost: x").body, " ")
		got[name]++
	}
	if got["one"] != 10 || got["four"] != 40 {
		t.Errorf("got %v", got)
	}
}
