package witness

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// Gateways returns the next hops of the default routes through an interface, sorted.
func Gateways(name string) ([]netip.Addr, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	var routes []netlink.Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		// Without a destination the filter keeps the default routes.
		some, err := netlink.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_DST)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list the default routes: %w", err)
		}
		routes = append(routes, some...)
	}
	var gateways []netip.Addr
	add := func(index int, raw []byte, via netlink.Destination) {
		if v, ok := via.(*netlink.Via); ok && v != nil && len(raw) == 0 {
			raw = v.Addr
		}
		if a, ok := netip.AddrFromSlice(raw); ok && index == link.Attrs().Index {
			gateways = append(gateways, a.Unmap())
		}
	}
	for _, r := range routes {
		add(r.LinkIndex, r.Gw, r.Via)
		for _, hop := range r.MultiPath {
			add(hop.LinkIndex, hop.Gw, hop.Via)
		}
	}
	slices.SortFunc(gateways, netip.Addr.Compare)
	return slices.Compact(gateways), nil
}
