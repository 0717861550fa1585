package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestHTTPRouting: host and path decide; what matches neither is answered by the load balancer itself.
func TestHTTPRouting(t *testing.T) {
	ip := serve(t, "menu", "target-service-name: tea", "host: tea.example.com", "path: /menu")
	for _, c := range []struct {
		host, path string
		code       int
	}{
		{"tea.example.com", "/menu", http.StatusOK},
		{"tea.example.com", "/menu/green", http.StatusOK},
		{"tea.example.com", "/menus", http.StatusNotFound},
		{"tea.example.com", "/", http.StatusNotFound},
		{"other.example.com", "/menu", http.StatusNotFound},
	} {
		res, err := shared.Request(t.Context(), "client", ip+":80", c.host, c.path)
		if err != nil {
			t.Errorf("%s%s: %v", c.host, c.path, err)
			continue
		}
		if res.Code != c.code {
			t.Errorf("%s%s: status %d, want %d", c.host, c.path, res.Code, c.code)
		}
		if c.code == http.StatusOK && !strings.Contains(res.Body, c.path) {
			t.Errorf("%s%s: the pod saw another path:\n%s", c.host, c.path, res.Body)
		}
	}
}

// TestIPv6: a load balancer of the other family, and of both.
func TestIPv6(t *testing.T) {
	six := serve(t, "six", "target-service-name: coffee-svc", "ip-families: IPv6")
	if !strings.Contains(six, ":") {
		t.Fatalf("bind-ip %q is not an IPv6 address", six)
	}
	both := serve(t, "both", "target-service-name: coffee-svc", "ip-families: IPv4,IPv6")
	four, other, ok := strings.Cut(both, ",")
	if !ok || strings.Contains(four, ":") || !strings.Contains(other, ":") {
		t.Fatalf("bind-ip %q is not one address of each family", both)
	}
	for _, address := range []string{"[" + six + "]", four, "[" + other + "]"} {
		page, err := shared.Get(t.Context(), "client", "http://"+address+"/")
		if err != nil || !strings.Contains(strings.ToLower(page), "hello") {
			t.Errorf("%s: %q, %v", address, page, err)
		}
	}
}
