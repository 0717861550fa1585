package fabric

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Pods see their node behind these link-local addresses (as Calico's pods do), so that no pod range needs a gateway
// address on the node.
var (
	podGateway  = netip.MustParseAddr("169.254.1.1")
	podGateway6 = netip.MustParseAddr("fe80::1")
)

// PodSpace is a pod's own network namespace, joined to its node by a veth. It has no name: it is gone when it was
// closed and the pod's last process has ended.
type PodSpace struct {
	*os.File
	node Node
	link string
}

// NewPodSpace makes the namespace of the pod with that id on the node and gives it its addresses.
func NewPodSpace(n Node, id string, address, address6 netip.Addr) (*PodSpace, error) {
	f, err := netspace.New()
	if err != nil {
		return nil, err
	}
	sum := fnv.New64a()
	sum.Write([]byte(id))
	s := &PodSpace{File: f, node: n, link: fmt.Sprintf("pod%011x", sum.Sum64()&0xfffffffffff)}
	if err := s.connect(address, address6); err != nil {
		_ = s.Remove()
		return nil, fmt.Errorf("network of pod %s on %s: %w", address, n.Name, err)
	}
	return s, nil
}

// Remove takes the pod off the network at once, whoever still lives in it.
func (s *PodSpace) Remove() error {
	defer s.Close()
	return withHandle(s.node.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(s.link)
		if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing { // it was never made
			return nil
		}
		if err != nil {
			return err
		}
		return h.LinkDel(link)
	})
}

func (s *PodSpace) connect(address, address6 netip.Addr) error {
	var nodeMAC net.HardwareAddr
	err := withHandle(s.node.Namespace, func(h *netlink.Handle) error {
		veth := &netlink.Veth{
			LinkAttrs: netlink.NewLinkAttrs(), PeerName: linkName, PeerNamespace: netlink.NsFd(s.Fd()),
		}
		veth.Name = s.link
		if err := h.LinkAdd(veth); err != nil {
			return fmt.Errorf("add veth: %w", err)
		}
		link, err := h.LinkByName(s.link)
		if err != nil {
			return err
		}
		nodeMAC = link.Attrs().HardwareAddr
		return h.LinkSetUp(link)
	})
	if err != nil {
		return err
	}
	podMAC, err := s.inside(address, address6, nodeMAC)
	if err != nil {
		return err
	}
	return withHandle(s.node.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(s.link)
		if err != nil {
			return err
		}
		for _, a := range []netip.Addr{address, address6} {
			if err := reach(h, link, a, podMAC); err != nil {
				return err
			}
		}
		return nil
	})
}

// inside sets up the pod's end and returns its hardware address.
func (s *PodSpace) inside(address, address6 netip.Addr, nodeMAC net.HardwareAddr) (net.HardwareAddr, error) {
	err := netspace.DoFile(s.File, func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644)
	})
	if err != nil {
		return nil, err
	}
	h, err := netlink.NewHandleAt(netns.NsHandle(s.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	link, err := h.LinkByName(linkName)
	if err != nil {
		return nil, err
	}
	for _, l := range []netlink.Link{lo, link} {
		if err := h.LinkSetUp(l); err != nil {
			return nil, err
		}
	}
	if err := addAddresses(h, link, host(address), host(address6)); err != nil {
		return nil, err
	}
	for _, gateway := range []netip.Addr{podGateway, podGateway6} {
		if err := reach(h, link, gateway, nodeMAC); err != nil {
			return nil, err
		}
		if err := h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: ip(gateway)}); err != nil {
			return nil, fmt.Errorf("default route: %w", err)
		}
	}
	return link.Attrs().HardwareAddr, nil
}

// reach makes one address known on the link, with a fixed neighbour entry so that nothing has to be resolved first.
func reach(h *netlink.Handle, link netlink.Link, a netip.Addr, mac net.HardwareAddr) error {
	index := link.Attrs().Index
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	if !a.IsLinkLocalUnicast() || a.Is4() {
		route := &netlink.Route{LinkIndex: index, Dst: ipNet(host(a)), Scope: netlink.SCOPE_LINK}
		if err := h.RouteReplace(route); err != nil {
			return fmt.Errorf("route to %s: %w", a, err)
		}
	}
	neighbour := &netlink.Neigh{
		LinkIndex: index, Family: family, State: netlink.NUD_PERMANENT, IP: ip(a), HardwareAddr: mac,
	}
	if err := h.NeighSet(neighbour); err != nil {
		return fmt.Errorf("neighbour %s: %w", a, err)
	}
	return nil
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
