package fabric

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

const (
	bridgeName = "br0"
	linkName   = "eth0"
)

// Build makes the network of the plan. After an error the caller removes what was made with [Remove].
func Build(p Plan) error {
	if err := createSpace(p.Namespace, false); err != nil {
		return err
	}
	if err := buildBridge(p); err != nil {
		return fmt.Errorf("bridge in %s: %w", p.Namespace, err)
	}
	for _, n := range p.Nodes {
		if err := createSpace(n.Namespace, n.Role != RoleClient); err != nil {
			return err
		}
		if err := buildNode(p, n); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return prepareCuts(p)
}

// Remove removes the namespaces of the lab of that name, found by their names. The kernel removes links, addresses
// and rules with them once no process is left inside.
func Remove(lab string) error {
	names, err := netspace.List(Prefix(lab))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := netspace.Delete(name); err != nil {
			return err
		}
	}
	return nil
}

// createSpace makes a namespace with the settings that a real host of its kind has, except that IPv6 addresses are
// usable at once (no duplicate address detection): the lab measures failover, not DAD's second.
func createSpace(name string, forwards bool) error {
	if err := netspace.Create(name); err != nil {
		return err
	}
	settings := map[string]string{
		"ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/default/disable_ipv6": "0",
		"ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0",
		"ipv6/conf/all/dad_transmits": "0", "ipv6/conf/default/dad_transmits": "0",
		"ipv6/conf/all/accept_ra": "0", "ipv6/conf/default/accept_ra": "0",
		"ipv4/conf/all/rp_filter": "2", "ipv4/conf/default/rp_filter": "2",
		"ipv4/ping_group_range": "0 2147483647",
	}
	if forwards {
		settings["ipv4/ip_forward"] = "1"
		settings["ipv6/conf/all/forwarding"] = "1"
		settings["ipv6/conf/default/forwarding"] = "1"
	}
	err := netspace.Do(netspace.Path(name), func() error {
		for key, value := range settings { // no order matters: the keys are independent
			if err := os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0o644); err != nil {
				return fmt.Errorf("sysctl net.%s: %w", strings.ReplaceAll(key, "/", "."), err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return withHandle(name, func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
}

// withHandle runs fn with a netlink handle that speaks to the named namespace from wherever the caller is.
func withHandle(space string, fn func(*netlink.Handle) error) error {
	ns, err := netns.GetFromName(space)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", space, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink in %s: %w", space, err)
	}
	defer h.Close()
	return fn(h)
}

func buildBridge(p Plan) error {
	return withHandle(p.Namespace, func(h *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
		bridge.Name = bridgeName
		// A snooping querier would only add noise and a delay before multicast VRRP flows.
		off := false
		bridge.MulticastSnooping = &off
		if err := h.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add link: %w", err)
		}
		if err := addAddresses(h, bridge, onLink(p.Address, Link), onLink(p.Address6, Link6)); err != nil {
			return err
		}
		return h.LinkSetUp(bridge)
	})
}

func buildNode(p Plan, n Node) error {
	ns, err := netns.GetFromName(n.Namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	err = withHandle(p.Namespace, func(h *netlink.Handle) error {
		bridge, err := h.LinkByName(bridgeName)
		if err != nil {
			return err
		}
		port := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: linkName, PeerNamespace: netlink.NsFd(ns)}
		port.Name = n.Name
		port.MasterIndex = bridge.Attrs().Index
		if err := h.LinkAdd(port); err != nil {
			return fmt.Errorf("add veth: %w", err)
		}
		if err := h.LinkSetUp(port); err != nil {
			return fmt.Errorf("port up: %w", err)
		}
		return addPodRoutes(h, n, bridge)
	})
	if err != nil {
		return err
	}
	return withHandle(n.Namespace, func(h *netlink.Handle) error {
		link, err := h.LinkByName(linkName)
		if err != nil {
			return err
		}
		if err := addAddresses(h, link, onLink(n.Address, Link), onLink(n.Address6, Link6)); err != nil {
			return err
		}
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
		return addRoutes(h, p, n, link)
	})
}

// addRoutes gives the node its way to everybody else's pods. They must be there again after the link went down and up,
// so [LinkUp] calls it, too.
func addRoutes(h *netlink.Handle, p Plan, n Node, link netlink.Link) error {
	for _, gateway := range []netip.Addr{p.Address, p.Address6} {
		if err := h.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: ip(gateway)}); err != nil {
			return fmt.Errorf("default route by %s: %w", gateway, err)
		}
	}
	for _, other := range p.Members() {
		if other.Name == n.Name {
			continue
		}
		if err := addPodRoutes(h, other, link); err != nil {
			return err
		}
	}
	if !n.Pods.IsValid() {
		return nil
	}
	// An address of a pod that is gone must be refused here and not sent round in a circle by the default route.
	for _, own := range []netip.Prefix{n.Pods, n.Pods6} {
		if err := h.RouteReplace(&netlink.Route{Dst: ipNet(own), Type: unix.RTN_UNREACHABLE}); err != nil {
			return fmt.Errorf("unreachable route %s: %w", own, err)
		}
	}
	return nil
}

// addPodRoutes leads to the pods of a node by that node's own address.
func addPodRoutes(h *netlink.Handle, to Node, link netlink.Link) error {
	if !to.Pods.IsValid() {
		return nil
	}
	for _, r := range []struct {
		dst netip.Prefix
		via netip.Addr
	}{{to.Pods, to.Address}, {to.Pods6, to.Address6}} {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.dst), Gw: ip(r.via)}
		if err := h.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s by %s: %w", r.dst, r.via, err)
		}
	}
	return nil
}

func addAddresses(h *netlink.Handle, link netlink.Link, addresses ...netip.Prefix) error {
	for _, a := range addresses {
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	return nil
}

func onLink(a netip.Addr, link string) netip.Prefix {
	return netip.PrefixFrom(a, netip.MustParsePrefix(link).Bits())
}

func ip(a netip.Addr) net.IP { return net.IP(a.AsSlice()) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: ip(p.Addr()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
