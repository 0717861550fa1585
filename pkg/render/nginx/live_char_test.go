package nginx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestEveryCharacter has a route for each character that a path can hold, written encoded, and asks for each. A route
// without endpoints answers 503 and no route 404, so that the two can be told apart.
func TestEveryCharacter(t *testing.T) {
	var routes []lb.Route
	for c := 0x20; c < 0x7f; c++ {
		if c != '/' && c != '.' {
			routes = append(routes, route("", fmt.Sprintf("/x/%%%02X", c)))
		}
	}
	port := freePort(t)
	serve(t, balancer("chars", []string{"127.0.0.1"}, http(port, routes...)))
	for _, r := range routes {
		for suffix, want := range map[string]int{"": 503, "/": 503, "/y": 503, "y": 404} {
			got := ask(t, port, "GET "+r.Path+suffix+" HTTP/1.1\nHost: x")
			if got.status != want {
				t.Errorf("%s: got %d, want %d", r.Path+suffix, got.status, want)
			}
		}
		if plain := strings.ToLower(r.Path); plain != r.Path {
			if got := ask(t, port, "GET "+plain+" HTTP/1.1\nHost: x"); got.status != 503 {
				t.Errorf("%s: got %d", plain, got.status)
			}
		}
	}
}
