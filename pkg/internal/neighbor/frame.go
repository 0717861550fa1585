package neighbor

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Hardware is a MAC address.
type Hardware [6]byte

// String writes the address as "02:42:0a:58:00:0b".
func (h Hardware) String() string { return net.HardwareAddr(h[:]).String() }

// The numbers on the wire.
const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	arpRequest = 1

	nextICMPv6          = 58
	typeSolicitation    = 135
	typeAdvertisement   = 136
	optionSource        = 1
	optionTarget        = 2
	flagOverride        = 0x20
	neighborHopLimit    = 255
	etherSize, ipv6Size = 14, 40
	arpSize             = etherSize + 28
	neighborSize        = etherSize + ipv6Size + 24
)

// claim is who says that an address is its own.
type claim struct {
	address  netip.Addr
	hardware Hardware
}

// arp returns a request from an address, which is zero in a probe, about an address. One about the sender's own
// announces it.
func arp(self Hardware, sender, about netip.Addr) []byte {
	f := ether(self, broadcast(), etherARP)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, arpRequest)
	f = append(f, self[:]...)
	if sender.IsValid() {
		f = append(f, sender.AsSlice()...)
	} else {
		f = append(f, 0, 0, 0, 0)
	}
	f = append(f, make([]byte, 6)...)
	return append(f, about.AsSlice()...)
}

// parseARP reads who sent an ARP packet of whatever kind: each claims its sender's address (RFC 5227, 2.1.1).
func parseARP(f []byte) (claim, bool) {
	if len(f) < arpSize || binary.BigEndian.Uint16(f[12:]) != etherARP || [6]byte(f[14:20]) != [6]byte{0, 1, 8, 0, 6, 4} {
		return claim{}, false
	}
	b := f[etherSize:]
	return claim{netip.AddrFrom4([4]byte(b[14:18])), Hardware(b[8:14])}, true
}

// solicitation asks for an address as a neighbour with an address does, or, without one, as who wants to have it
// (RFC 4862, 5.4.2).
func solicitation(self Hardware, sender, about netip.Addr) []byte {
	a := about.As16()
	group := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
	body := append([]byte{typeSolicitation, 0, 0, 0, 0, 0, 0, 0}, a[:]...)
	if sender.IsValid() {
		body = append(append(body, optionSource, 1), self[:]...)
	} else {
		sender = netip.IPv6Unspecified()
	}
	return icmpv6(self, sender, group, body)
}

// advertisement tells all neighbours that an address is here now.
func advertisement(self Hardware, address netip.Addr) []byte {
	body := append([]byte{typeAdvertisement, 0, 0, 0, flagOverride, 0, 0, 0}, address.AsSlice()...)
	body = append(append(body, optionTarget, 1), self[:]...)
	return icmpv6(self, address, netip.IPv6LinkLocalAllNodes(), body)
}

// parseAdvertisement reads a neighbour advertisement. The hop limit proves that it comes from this segment.
func parseAdvertisement(f []byte) (claim, bool) {
	if len(f) < neighborSize || binary.BigEndian.Uint16(f[12:]) != etherIPv6 {
		return claim{}, false
	}
	ip, icmp := f[etherSize:], f[etherSize+ipv6Size:]
	if ip[6] != nextICMPv6 || ip[7] != neighborHopLimit || icmp[0] != typeAdvertisement || icmp[1] != 0 {
		return claim{}, false
	}
	c := claim{netip.AddrFrom16([16]byte(icmp[8:24])), Hardware(f[6:12])}
	// Whom a proxy speaks for is in the option.
	for o := icmp[24:]; len(o) >= 8 && o[1] > 0 && len(o) >= int(o[1])*8; o = o[int(o[1])*8:] {
		if o[0] == optionTarget {
			c.hardware = Hardware(o[2:8])
		}
	}
	return c, true
}

func broadcast() Hardware { return Hardware{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

func ether(from, to Hardware, kind uint16) []byte {
	f := make([]byte, 0, 96)
	f = append(append(f, to[:]...), from[:]...)
	return binary.BigEndian.AppendUint16(f, kind)
}

// icmpv6 returns a frame for a multicast group.
func icmpv6(self Hardware, from, group netip.Addr, body []byte) []byte {
	g := group.As16()
	pseudo := append(from.AsSlice(), g[:]...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(body)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, nextICMPv6)
	binary.BigEndian.PutUint16(body[2:], checksum(append(pseudo, body...)))
	f := ether(self, Hardware{0x33, 0x33, g[12], g[13], g[14], g[15]}, etherIPv6)
	f = append(f, 0x60, 0, 0, 0)
	f = binary.BigEndian.AppendUint16(f, uint16(len(body)))
	f = append(f, nextICMPv6, neighborHopLimit)
	f = append(append(f, from.AsSlice()...), g[:]...)
	return append(f, body...)
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
