package octavia_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// TestAdopt takes over a load balancer that somebody has made: with its address, and with the ports of it that the object
// does not name. One that is another object's is not taken.
func TestAdopt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := login(t, s.gate, "demo")
	id := u.create(`{"name":"old","vip_subnet_id":"` + lab.Subnet + `","vip_address":"198.51.100.77",` +
		`"listeners":[{"name":"ours","protocol":"TCP","protocol_port":9000}]}`)
	s.until("made", func() bool {
		return slices.Equal(s.query("select provisioning_status from load_balancer where id='"+id+"'"), []string{"ACTIVE"})
	})
	want := web("web", 1, 80)
	want.Cloud.Adopt = id
	s.apply(want)
	s.ready(want)
	s.settled()
	if s.named(id) != 1 || s.count("") != 1 {
		t.Errorf("%d load balancers are ours", s.count(""))
	}
	ports := s.query("select protocol_port from listener where load_balancer_id='" + id + "' order by protocol_port")
	name := s.query("select name from load_balancer where id='" + id + "'")
	if !slices.Equal(ports, []string{"80", "9000"}) || !slices.Equal(name, []string{"default-web-loadbalancer"}) {
		t.Errorf("ports %v of %v", ports, name)
	}
	state, err := s.State(t.Context())
	if err != nil || len(state.LoadBalancers) != 1 || state.LoadBalancers[0].VIPs[0].String() != "198.51.100.77" {
		t.Errorf("%+v, %v", state.LoadBalancers, err)
	}
	thief := web("thief", 1, 80)
	thief.Cloud.Adopt = id
	s.apply(want, thief)
	s.until("refused", func() bool {
		fs := s.healths()[thief.Origin.Key].Findings
		return len(fs) == 1 && fs[0].Code == lb.CodeCloudRefused
	})
	s.restart() // what was adopted is known by its tags
	s.apply(want)
	s.ready(want)
	s.apply()
	s.until("gone", func() bool { return s.Released(want.Origin.Key) && s.count("") == 0 })
}

// TestBothFamilies has an address of each family, and tells both. It asks for them: the lab's network driver has none of
// its own for a second one.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	want.Cloud.SubnetIPv6, want.Cloud.IPv4, want.Cloud.IPv6 = lab.SubnetIPv6, true, true
	want.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.8"), netip.MustParseAddr("fd00:99::8")}
	s.apply(want)
	s.ready(want)
	state, err := s.State(t.Context())
	if err != nil || len(state.LoadBalancers) != 1 || !slices.Equal(state.LoadBalancers[0].VIPs, want.VIPs) {
		t.Errorf("%+v, %v", state.LoadBalancers, err)
	}
}
