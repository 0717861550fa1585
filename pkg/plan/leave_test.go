package plan

import (
	"net/netip"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// TestLeaveRevoked: a last good version sends nothing to a Service of another namespace that has taken its leave back,
// whatever is wrong with the object, and goes on with all others.
func TestLeaveRevoked(t *testing.T) {
	target := func(namespace, name string) lb.Target {
		return lb.Target{Service: lb.Service{Key: lb.Key{Namespace: namespace, Name: name}, Port: 80},
			Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.9:80")}}
	}
	current := balancer("a", 1, "10.0.0.1")
	current.Listeners[0].Protocol = lb.HTTP
	current.Listeners[0].Routes = []lb.Route{
		{Path: "/", Target: target("default", "own"), Others: []lb.Target{target("x", "left"), target("x", "kept")}},
		{Path: "/b", Target: target("x", "left")},
	}
	in := Input{Wishes: []lb.Wish{wish("a", 1, broken)}, Current: []lb.LoadBalancer{current},
		Pools: []ipam.Pool{pool(t, "p", "10.0.0.0/24")}, Capabilities: everything()}
	in.Wishes[0].Leaves = []lb.Key{{Namespace: "x", Name: "kept"}, {Namespace: "y", Name: "left"}}
	out := Make(in)
	if got := served(out); got != "a=10.0.0.1" || !out.Outcomes[0].Stale {
		t.Fatalf("served %s", got)
	}
	for _, r := range out.LoadBalancers[0].Listeners[0].Routes {
		for _, x := range r.Targets() {
			if has, want := len(x.Endpoints) > 0, x.Service.Name != "left"; has != want {
				t.Errorf("%s has endpoints %v", x.Service, x.Endpoints)
			}
		}
	}
	if n := len(current.Listeners[0].Routes[1].Target.Endpoints); n != 1 {
		t.Error("the input has changed")
	}
	in.Current = out.LoadBalancers
	in.Wishes[0].Leaves = nil
	if got := Make(in).LoadBalancers[0].Listeners[0].Routes[0].Others[0].Endpoints; len(got) > 0 {
		t.Errorf("the last leave is gone, too, but %v", got)
	}
}
