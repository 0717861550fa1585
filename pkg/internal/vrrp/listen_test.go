package vrrp_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
)

// stranger is a configuration of somebody else: multicast, both versions of VRRP, our router 51 and its own 99.
const stranger = `
vrrp_instance v2 {
 state MASTER
 interface eth0
 version 2
 virtual_router_id 51
 priority 10
 advert_int 1
 virtual_ipaddress { 10.9.0.99/32 }
}
vrrp_instance six {
 state MASTER
 interface eth0
 version 3
 virtual_router_id 51
 priority 20
 advert_int 0.2
 virtual_ipaddress { fe80::99 }
}
vrrp_instance other {
 state MASTER
 interface eth0
 version 3
 virtual_router_id 99
 priority 20
 advert_int 0.2
 virtual_ipaddress { 10.9.0.98/32 }
}
`

// sightings collects what was heard, without repetition.
type sightings struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *sightings) put(v vrrp.Sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[fmt.Sprintf("%s v%d %d %d", v.Sender, v.Version, v.VRID, v.Priority)] = true
}

func (s *sightings) has(all ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all {
		if !s.seen[a] {
			return false
		}
	}
	return true
}

// TestListen hears a stranger's multicast and a unicast, and neither a known peer nor another router.
func TestListen(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24", "fd00:9::1/64")
	b := net.Host("b", "10.9.0.2/24", "fd00:9::2/64")
	c := net.Host("c", "10.9.0.3/24", "fd00:9::3/64", "fe80::3/64")
	heard := sightings{seen: make(map[string]bool)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go a.Within(func() {
		done <- vrrp.Listener{
			Interface: nstest.Interface, VRIDs: []uint8{51, 52}, Report: heard.put,
			Known: []netip.Addr{one[false], one[true], netip.MustParseAddr("192.0.2.1"), two[false], two[true]},
		}.Listen(ctx)
	})
	c.Keepalived(stranger)
	say := func(h *nstest.Host, from, to netip.Addr) {
		h.Within(func() {
			err := vrrp.Resign([]vrrp.Instance{{VRID: 52, Source: from, Peers: []netip.Addr{to}, Anchor: anchor(52, from.Is6())}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	ok := rendertest.Poll(deadline, func() bool {
		for _, six := range []bool{false, true} {
			say(b, two[six], one[six])
		}
		say(c, netip.MustParseAddr("10.9.0.3"), one[false])
		say(c, netip.MustParseAddr("fd00:9::3"), one[true])
		return heard.has("10.9.0.3 v2 51 10", "fe80::3 v3 51 20", "10.9.0.3 v3 52 0", "fd00:9::3 v3 52 0")
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !ok || len(heard.seen) != 4 {
		t.Errorf("heard %v", heard.seen)
	}
}

func TestListenNowhere(t *testing.T) {
	if err := (vrrp.Listener{Interface: "nowhere"}).Listen(t.Context()); err == nil {
		t.Error("listens on an interface that is not there")
	}
}
