package octavia_test

import (
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// TestFloating has a floating IP for the address that clients use. One of somebody else's stays, and a backend that knows
// nothing finds the one that there is.
func TestFloating(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *octavia.Options) { o.Defaults.FloatingNetwork = lab.External })
	want := web("web", 1, 80)
	for range 2 {
		s.apply(want)
		s.ready(want)
		s.settled()
		ips := s.gate.FloatingIPs()
		if len(ips) != 1 || ips[0].PortID == "" || ips[0].NetworkID != lab.External {
			t.Fatalf("floating IPs %+v", ips)
		}
		state, err := s.State(t.Context())
		if err != nil || len(state.LoadBalancers) != 1 || state.LoadBalancers[0].VIPs[0].String() != ips[0].Address {
			t.Fatalf("%+v, %v", state.LoadBalancers, err)
		}
		s.restart()
	}
	s.apply()
	s.Release([]lb.Origin{want.Origin})
	s.until("gone", func() bool { return s.Released(want.Origin.Key) })
	if ips := s.gate.FloatingIPs(); len(ips) != 0 {
		t.Errorf("left: %+v", ips)
	}
}
