package ifaddr

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
)

// apart runs a function in a network namespace of its own, whose interface veth0 has some addresses.
func apart(t *testing.T, f func()) {
	t.Helper()
	nstest.Apart(t, func() {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0"}, PeerName: "veth1"}
		if err := netlink.LinkAdd(veth); err != nil {
			t.Errorf("make an interface: %v", err)
			return
		}
		for _, text := range []string{"10.1.0.1/24", "10.1.9.1/32", "fd00::1/128"} {
			add(t, text)
		}
		f()
	})
}

func add(t *testing.T, text string) {
	t.Helper()
	link, err := netlink.LinkByName("veth0")
	if err == nil {
		var a *netlink.Addr
		if a, err = netlink.ParseAddr(text); err == nil {
			err = netlink.AddrAdd(link, a)
		}
	}
	if err != nil {
		t.Errorf("add %s: %v", text, err)
	}
}

func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, t := range texts {
		as = append(as, netip.MustParseAddr(t))
	}
	return as
}

func TestFindListRemove(t *testing.T) {
	apart(t, func() {
		if name, err := Find(netip.MustParseAddr("10.1.9.1")); err != nil || name != "veth0" {
			t.Errorf("find: %q, %v", name, err)
		}
		if name, err := Find(netip.MustParseAddr("10.1.9.2")); err == nil {
			t.Errorf("found an address that is nowhere on %q", name)
		}
		removed, err := Remove("veth0", addrs("10.1.9.1", "fd00::1", "10.7.7.7"))
		if err != nil || len(removed) != 2 {
			t.Errorf("removed %v, %v", removed, err)
		}
		if have, err := List("veth0"); err != nil || !slices.Equal(have, addrs("10.1.0.1")) {
			t.Errorf("left %v, %v", have, err)
		}
		if _, err := List("nope"); err == nil {
			t.Error("listed an interface that is not there")
		}
		if _, err := Remove("nope", nil); err == nil {
			t.Error("removed from an interface that is not there")
		}
	})
}

func TestAddHost(t *testing.T) {
	apart(t, func() {
		want := addrs("10.1.9.1", "10.7.7.7", "fd00::1", "fd00::7")
		added, err := AddHost("veth0", want)
		if err != nil || !slices.Equal(added, addrs("10.7.7.7", "fd00::7")) {
			t.Errorf("added %v, %v", added, err)
		}
		if added, err := AddHost("veth0", want); err != nil || len(added) > 0 {
			t.Errorf("added again %v, %v", added, err)
		}
		link, err := netlink.LinkByName("veth0")
		if err != nil {
			t.Error(err)
			return
		}
		have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			t.Error(err)
		}
		found := 0
		for _, a := range have {
			p, _ := prefix(a)
			switch p.String() {
			case "10.7.7.7/32":
				found++
				if a.Scope != unix.RT_SCOPE_HOST {
					t.Errorf("%s has scope %d", p, a.Scope)
				}
			case "fd00::7/128":
				found++
				if a.Flags&unix.IFA_F_DEPRECATED == 0 || a.Flags&unix.IFA_F_TENTATIVE != 0 || a.Flags&unix.IFA_F_PERMANENT == 0 {
					t.Errorf("%s has flags %#x", p, a.Flags)
				}
			}
		}
		if found != 2 {
			t.Errorf("the interface has %v", have)
		}
		if _, err := AddHost("nope", want); err == nil {
			t.Error("added to an interface that is not there")
		}
	})
}

func TestHardware(t *testing.T) {
	apart(t, func() {
		if got, err := Hardware("veth0"); err != nil || len(got) != len("02:42:0a:58:00:0b") {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := Hardware("nope"); err == nil {
			t.Error("an interface that is not there has one")
		}
	})
}

func TestTaken(t *testing.T) {
	apart(t, func() {
		other, err := net.Listen("tcp4", "0.0.0.0:8081")
		if err != nil {
			t.Error(err)
			return
		}
		defer other.Close()
		listen := []netip.AddrPort{
			netip.MustParseAddrPort("10.1.0.1:8080"), netip.MustParseAddrPort("10.1.0.1:8081"),
			netip.MustParseAddrPort("10.1.9.1:8081"),
		}
		if taken := Taken(listen); !slices.Equal(taken, listen[1:]) {
			t.Errorf("taken %v, want %v", taken, listen[1:])
		}
	})
}

// TestWatch runs in the namespace that the test is in, where nothing is changed: a watch ends with its context, and
// says nothing before that. What it says is tested with the agent.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Watch(ctx, func() {}) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRemoveWhileAddressesMove: a list that changes while it is read must not keep an address where it is, as when a
// thousand of them move at once.
func TestRemoveWhileAddressesMove(t *testing.T) {
	apart(t, func() {
		here, err := netlink.NewHandle()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		link, err := netlink.LinkByName("veth0")
		if err != nil {
			t.Error(err)
			return
		}
		for i := range 400 {
			add(t, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 32).String())
		}
		stop := make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a := hostAddr(netip.AddrFrom4([4]byte{10, 3, 0, byte(i)}))
				_ = here.AddrAdd(link, a)
				_ = here.AddrDel(link, a)
			}
		})
		for range 200 {
			add(t, "10.9.9.9/32")
			if gone, err := Remove("veth0", addrs("10.9.9.9")); err != nil || len(gone) != 1 {
				t.Errorf("removed %v, %v", gone, err)
				break
			}
		}
		close(stop)
		wait.Wait()
	})
}
