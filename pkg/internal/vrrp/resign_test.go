package vrrp_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
)

const (
	// advert is long, so that a takeover by the master-down timer, more than 1.5 s, is told from one after a goodbye on
	// any machine.
	advert   = 500 * time.Millisecond
	deadline = 20 * time.Second
)

var (
	one = map[bool]netip.Addr{false: netip.MustParseAddr("10.9.0.1"), true: netip.MustParseAddr("fd00:9::1")}
	two = map[bool]netip.Addr{false: netip.MustParseAddr("10.9.0.2"), true: netip.MustParseAddr("fd00:9::2")}
)

// anchor is that of a router of a family.
func anchor(vrid int, six bool) netip.Addr {
	if six {
		return netip.MustParseAddr(fmt.Sprintf("fe80::7:%x", vrid))
	}
	return netip.MustParseAddr(fmt.Sprintf("169.254.7.%d", vrid))
}

// conf configures the routers 51 and 52 of both families.
func conf(priority int, from, to map[bool]netip.Addr) string {
	var b strings.Builder
	b.WriteString("global_defs {\n router_id test\n vrrp_version 3\n vrrp_garp_master_refresh 0\n}\n")
	for _, vrid := range []int{51, 52} {
		for _, six := range []bool{false, true} {
			fmt.Fprintf(&b, `vrrp_instance i%d%t {
 state BACKUP
 interface eth0
 virtual_router_id %d
 priority %d
 advert_int %.2f
 unicast_src_ip %s
 unicast_peer {
  %s
 }
 virtual_ipaddress {
  %s
 }
}
`, vrid, six, vrid, priority, advert.Seconds(), from[six], to[six], anchor(vrid, six))
		}
	}
	return b.String()
}

// TestResign kills the master of four instances and resigns for two of them: the peer takes these long before it
// misses the others.
func TestResign(t *testing.T) {
	t.Parallel()
	net := nstest.New(t)
	a := net.Host("a", "10.9.0.1/24", "fd00:9::1/64")
	b := net.Host("b", "10.9.0.2/24", "fd00:9::2/64")
	master := a.Keepalived(conf(254, one, two))
	all := []netip.Addr{anchor(51, false), anchor(51, true), anchor(52, false), anchor(52, true)}
	if !rendertest.Poll(deadline, func() bool { return a.Has(all...) }) {
		t.Fatal("nobody becomes master")
	}
	b.Keepalived(conf(236, two, one))
	settled := time.Now()
	if !rendertest.Poll(deadline, func() bool { return b.Has() && time.Since(settled) > 4*advert }) || b.Has(all[0]) {
		t.Fatal("the peer does not stay a backup")
	}
	master.Kill()
	var resigned []vrrp.Instance
	for _, six := range []bool{false, true} {
		resigned = append(resigned, vrrp.Instance{
			VRID: 51, Source: one[six], Peers: []netip.Addr{two[six]}, Anchor: anchor(51, six), AdvertInterval: advert,
		})
	}
	a.Within(func() {
		if err := vrrp.Resign(resigned); err != nil {
			t.Error(err)
		}
	})
	if !rendertest.Poll(deadline, func() bool { return b.Has(all[:2]...) }) {
		t.Fatal("the peer does not take over what was resigned")
	}
	if b.Has(all[2]) || b.Has(all[3]) {
		t.Error("the peer took over what was not resigned as fast")
	}
	if !rendertest.Poll(deadline, func() bool { return b.Has(all...) }) {
		t.Fatal("the peer does not take over what was not resigned")
	}
}

// TestResignTellsWhom says who could not be told, and tells the others.
func TestResignTellsWhom(t *testing.T) {
	t.Parallel()
	host := nstest.New(t).Host("a", "10.9.0.1/24")
	host.Within(func() {
		err := vrrp.Resign([]vrrp.Instance{
			{VRID: 1, Source: one[false], Peers: []netip.Addr{netip.MustParseAddr("192.0.2.1"), two[false]}, Anchor: anchor(1, false)},
			{VRID: 2, Source: two[false], Peers: []netip.Addr{one[false]}, Anchor: anchor(2, false)},
		})
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{"resign router 1 to 192.0.2.1", "resign as 10.9.0.2"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %q", want, err)
			}
		}
		if lines := strings.Count(err.Error(), "\n"); lines != 1 {
			t.Errorf("more than two errors: %v", err)
		}
	})
}
