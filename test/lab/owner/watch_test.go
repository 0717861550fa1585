package owner

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// TestWatch follows a real kernel: what was there, what comes and goes, and the link.
func TestWatch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	node := fabric.Node{Name: "lb1", Namespace: fmt.Sprintf("klb-owner%d", os.Getpid())}
	if err := netspace.Create(node.Namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netspace.Delete(node.Namespace); err != nil {
			t.Error(err)
		}
	})
	h, link := veth(t, node.Namespace)
	addr := func(a netip.Addr) *netlink.Addr {
		return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
	}
	must(t, h.AddrAdd(link, addr(vip)))
	w, err := Start([]fabric.Node{node})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect := func(a netip.Addr, n int) {
		t.Helper()
		deadline := time.Now().Add(5 * time.Second)
		for len(w.Owners(a)) != n {
			if time.Now().After(deadline) {
				t.Fatalf("%s is owned by %v, want %d owners", a, w.Owners(a), n)
			}
			time.Sleep(time.Millisecond) // polling
		}
	}
	expect(vip, 1)
	must(t, h.AddrAdd(link, addr(other)))
	expect(other, 1)
	must(t, h.LinkSetDown(link))
	expect(other, 0)
	must(t, h.LinkSetUp(link))
	expect(other, 1)
	must(t, h.AddrDel(link, addr(other)))
	expect(other, 0)
	expect(vip, 1)
	if _, err := w.History(); err != nil {
		t.Error(err)
	}
}

// veth makes the node's link, up.
func veth(t *testing.T, space string) (*netlink.Handle, netlink.Link) {
	t.Helper()
	ns, err := netns.GetFromName(space)
	must(t, err)
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	must(t, err)
	t.Cleanup(h.Close)
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: linkName}, PeerName: "peer"}))
	for _, name := range []string{"peer", linkName} {
		link, err := h.LinkByName(name)
		must(t, err)
		must(t, h.LinkSetUp(link))
	}
	link, err := h.LinkByName(linkName)
	must(t, err)
	return h, link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
