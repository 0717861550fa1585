package endpoints

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// MaxOfTarget and MaxOfAll are how many addresses a target, and all targets of a load balancer together, can have. They
// keep a load balancer well below the size of a shard and nginx's memory for it within a few MiB.
const (
	MaxOfTarget = 1000
	MaxOfAll    = 5000
)

// Port is a port of a Service.
type Port struct {
	lb.Service
	Transport lb.Transport
}

// Ports returns the ports whose endpoints a load balancer goes by, sorted, each once.
func Ports(l *lb.LoadBalancer) []Port {
	var out []Port
	l.EachEndpointTarget(func(t *lb.Target, transport lb.Transport) {
		if p := (Port{t.Service, transport}); !slices.Contains(out, p) {
			out = append(out, p)
		}
	})
	slices.SortFunc(out, Port.compare)
	return out
}

func (p Port) compare(o Port) int {
	return cmp.Or(p.Service.Compare(o.Service), cmp.Compare(p.Transport, o.Transport))
}

// Fill gives the targets that go by endpoints their addresses, and returns warnings about those that have none or too
// many, each pointing at a place of the object.
func Fill(l *lb.LoadBalancer, place string, of func(Port) []netip.AddrPort) []lb.Finding {
	targets := 0
	l.EachEndpointTarget(func(*lb.Target, lb.Transport) { targets++ })
	if targets == 0 {
		return nil
	}
	limit := min(MaxOfTarget, max(1, MaxOfAll/targets))
	var found []lb.Finding
	add := func(code lb.Code, format string, args ...any) {
		f := lb.Finding{Code: code, Field: place, Message: fmt.Sprintf(format, args...)}
		if !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	l.EachEndpointTarget(func(t *lb.Target, transport lb.Transport) {
		all := of(Port{t.Service, transport})
		t.Endpoints = slices.Clone(all[:min(len(all), limit)])
		switch {
		case len(all) == 0:
			add(lb.CodeNoEndpoints, "no pod behind port %d of Service %s is ready; see that its selector finds pods and that "+
				"they are ready", t.Service.Port, t.Service.Key)
		case len(all) > limit:
			// Without their number, which changes all the time.
			add(lb.CodeManyEndpoints, "port %d of Service %s has more endpoints than the first %d, which get traffic; use "+
				"upstream: service", t.Service.Port, t.Service.Key, limit)
		}
	})
	return found
}
