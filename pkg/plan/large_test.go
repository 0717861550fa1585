package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// large gives a wish routes until it is of so many bytes at least.
func large(bytes int) option {
	return func(w *lb.Wish) {
		l := &w.LoadBalancer.Listeners[0]
		l.Protocol = lb.HTTP
		for text, _ := json.Marshal(w.LoadBalancer); len(text) < bytes; text, _ = json.Marshal(w.LoadBalancer) {
			l.Routes = append(l.Routes, lb.Route{Host: strings.Repeat("h", 100), Target: l.Routes[0].Target})
		}
	}
}

// What is larger than the backend takes gets a finding and no address: its neighbour, which is younger, gets the last one.
func TestTooLarge(t *testing.T) {
	can := everything()
	can.MaxSize = 4 << 10
	in := Input{
		Wishes: []lb.Wish{wish("large", 2, large(5<<10)), wish("small", 1)}, Pools: []ipam.Pool{pool(t, "p", "10.0.0.1")},
		Capabilities: can,
	}
	const want = "LB0408 it would take 6 KiB, and the backend takes 4 KiB in one piece; "
	out := Make(in)
	if got := findings(out); !strings.HasPrefix(got, "large: "+want) || strings.Contains(got, "\n") {
		t.Errorf("%s", got)
	}
	if len(out.LoadBalancers) != 1 || out.LoadBalancers[0].Origin.Name != "small" {
		t.Errorf("served: %v", out.LoadBalancers)
	}
	// What is served already stays as it was, with its address.
	before := balancer("large", 2, "10.0.0.2")
	in.Current = []lb.LoadBalancer{before}
	out = Make(in)
	if got := findings(out); !strings.HasPrefix(got, "large stale: "+want) {
		t.Errorf("%s", got)
	}
	i := slices.IndexFunc(out.LoadBalancers, func(l lb.LoadBalancer) bool { return l.Origin.Name == "large" })
	if i < 0 || len(out.LoadBalancers[i].Listeners[0].Routes) != 1 || len(out.LoadBalancers) != 2 {
		t.Errorf("served: %v", out.LoadBalancers)
	}
	in.Wishes[0] = wish("large", 2, large(3<<10))
	if got := findings(Make(in)); strings.Contains(got, "LB0408") {
		t.Errorf("%s", got)
	}
}
