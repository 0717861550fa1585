package nginx_test

import (
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// shared makes load balancers share.
func shared(lbs ...lb.LoadBalancer) []lb.LoadBalancer {
	for i := range lbs {
		lbs[i].Share = "default/edge"
	}
	return lbs
}

// TestShare has several load balancers at one address and port, each with its hosts and options.
func TestShare(t *testing.T) {
	port := freePort(t)
	vip := []string{"127.0.0.1"}
	serve(t, shared(
		balancer("a", vip, with(http(port, route("a.example.com", "", backend(t, "a"))), everyHTTP())),
		balancer("b", vip, http(port, route("*.example.com", "", backend(t, "b")))),
		balancer("c", vip, http(port, route("", "/c", backend(t, "c")), route("c.example.com", "/own", backend(t, "c")))),
	)...)
	for _, tt := range []struct{ host, path, want string }{
		{"a.example.com", "/", "a"}, {"b.example.com", "/", "b"}, {"x", "/c", "c"}, {"c.example.com", "/own", "c"},
		{"x", "/", "404"}, {"c.example.com", "/c", "c"}, {"b.example.com", "/c", "b"},
	} {
		a := ask(t, port, "GET "+tt.path+" HTTP/1.1\nHost: "+tt.host)
		if got, _, _ := strings.Cut(a.body, " "); got != tt.want && !strings.HasPrefix(a.body, "Host: ") {
			t.Errorf("host %s path %s: got %q, want %q", tt.host, tt.path, a.body, tt.want)
		}
	}
}

// TestShareRefused: whoever does not share, or wants what another one has, is refused, and the others are served.
func TestShareRefused(t *testing.T) {
	vip, up := []string{"10.0.0.1"}, "10.96.0.1:80"
	lbs := shared(
		balancer("a", vip, http(80, route("a", "", up))), balancer("b", vip, http(80, route("a", "", up))),
		balancer("c", vip, tcp(80, up)), balancer("d", vip, tcp(81, up)),
		balancer("e", vip, with(http(80, route("e", "", up)), lb.Options{HTTP: lb.HTTPOptions{GRPC: true}})))
	lbs = append(lbs, balancer("f", vip, http(80, route("f", "", up))))
	res, err := nginx.Render(input(lbs...))
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, r := range res.Refused {
		refused = append(refused, r.Key.Name+" "+string(r.Code))
	}
	if got := strings.Join(refused, ", "); got != "b LB0303, c LB0303, e LB0303, f LB0303" {
		t.Errorf("refused %s", got)
	}
	accepted(t, res)
}
