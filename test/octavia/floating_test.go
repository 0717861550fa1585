package octavia_test

import (
	"net/netip"
	"testing"
	"time"

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

// TestFloatingDouble has two load balancers with the tags of one object, both with floating IPs: a backend that knows
// nothing keeps the one to which the object's address leads, though it is the younger one.
func TestFloatingDouble(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *octavia.Options) { o.Defaults.FloatingNetwork = lab.External })
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	u := login(t, s.gate, "demo")
	second := u.create(`{"vip_subnet_id":"` + lab.Subnet + `","tags":["kubectl-lb-cluster=` + s.options.Cluster +
		`","kubectl-lb-configmap=default/web","kubectl-lb-floating=delete"]}`)
	if err := u.AwaitStatus(t.Context(), second, "ACTIVE", 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	s.gate.Lead("203.0.113.90", s.query("select port_id from vip where load_balancer_id='" + second + "'")[0])
	want.Cloud.Recorded = []netip.Addr{netip.MustParseAddr("203.0.113.90")}
	s.restart()
	s.apply(want)
	s.until("one", func() bool { return s.count("") == 1 })
	s.ready(want)
	s.settled()
	state, err := s.State(t.Context())
	if err != nil || s.named(second) != 1 || state.LoadBalancers[0].VIPs[0].String() != "203.0.113.90" {
		t.Errorf("the other one was kept: %+v, %v", state.LoadBalancers, err)
	}
}

// TestFloatingChange asks for another one, of which the port takes one only: it leads there, and the old one goes.
func TestFloatingChange(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *octavia.Options) { o.Defaults.FloatingNetwork = lab.External })
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	want.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.77")}
	s.apply(want)
	s.until("another one", func() bool {
		ips := s.gate.FloatingIPs()
		return len(ips) == 1 && ips[0].Address == "203.0.113.77" && ips[0].PortID != ""
	})
	s.ready(want)
	s.settled()
}
