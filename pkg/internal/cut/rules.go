package cut

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// sets are the addresses of each family, and the virtual routers.
type sets struct{ four, six, routers *nftables.Set }

func addSets(conn *nftables.Conn, table *nftables.Table, c Cut) (sets, error) {
	router := nftables.TypeInteger
	router.Bytes = 1
	s := sets{
		four:    &nftables.Set{Table: table, Name: "four", KeyType: nftables.TypeIPAddr},
		six:     &nftables.Set{Table: table, Name: "six", KeyType: nftables.TypeIP6Addr},
		routers: &nftables.Set{Table: table, Name: "routers", KeyType: router},
	}
	var four, six, routers []nftables.SetElement
	for _, id := range slices.Compact(slices.Sorted(slices.Values(c.VRIDs))) {
		routers = append(routers, nftables.SetElement{Key: []byte{id}})
	}
	seen := make(map[netip.Addr]bool)
	for _, a := range c.Addresses {
		e := nftables.SetElement{Key: a.AsSlice()}
		switch {
		case seen[a]:
		case a.Is4():
			four = append(four, e)
		default:
			six = append(six, e)
		}
		seen[a] = true
	}
	if err := conn.AddSet(s.four, four); err != nil {
		return sets{}, fmt.Errorf("addresses: %w", err)
	}
	if err := conn.AddSet(s.six, six); err != nil {
		return sets{}, fmt.Errorf("addresses: %w", err)
	}
	if err := conn.AddSet(s.routers, routers); err != nil {
		return sets{}, fmt.Errorf("virtual routers: %w", err)
	}
	return s, nil
}

// Where things are, from the start of the network header.
const (
	ipv4Source, ipv4Destination           = 12, 16
	ipv6Next, ipv6Source, ipv6Destination = 6, 8, 24
	arpSender, arpTarget                  = 14, 24
	icmpv6Type, neighborTarget            = 40, 48
	// vrrpRouter is from the start of VRRP's own header, the same in versions 2 and 3 (RFC 3768 and RFC 5798, 5.1 and 5.2).
	vrrpRouter = 1

	protocolVRRP   = 112
	protocolICMPv6 = 58
	solicitation   = 135
	advertisement  = 136
)

// rules say what is dropped, whichever way it goes.
func rules(s sets, adverts bool) [][]expr.Any {
	type match = []expr.Any
	all := [][]match{
		{protocol(unix.ETH_P_IP), in(ipv4Source, s.four)},
		{protocol(unix.ETH_P_IP), in(ipv4Destination, s.four)},
		{protocol(unix.ETH_P_IPV6), in(ipv6Source, s.six)},
		{protocol(unix.ETH_P_IPV6), in(ipv6Destination, s.six)},
		{protocol(unix.ETH_P_ARP), in(arpSender, s.four)},
		{protocol(unix.ETH_P_ARP), in(arpTarget, s.four)},
	}
	for _, kind := range []byte{solicitation, advertisement} {
		all = append(all, []match{
			protocol(unix.ETH_P_IPV6), is(ipv6Next, protocolICMPv6), is(icmpv6Type, kind), in(neighborTarget, s.six),
		})
	}
	if adverts {
		all = append(all,
			[]match{protocol(unix.ETH_P_IP), transport(protocolVRRP), router(s.routers)},
			[]match{protocol(unix.ETH_P_IPV6), transport(protocolVRRP), router(s.routers)})
	}
	out := make([][]expr.Any, 0, len(all))
	for _, matches := range all {
		var exprs []expr.Any
		for _, m := range matches {
			exprs = append(exprs, m...)
		}
		out = append(out, append(exprs, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}))
	}
	return out
}

// protocol matches the network protocol.
func protocol(kind uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(kind)},
	}
}

// transport matches the protocol above IP, behind whatever options there are.
func transport(kind byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
	}
}

// router matches a virtual router of the set in an advert.
func router(set *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: vrrpRouter, Len: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	}
}

// is matches a byte.
func is(offset uint32, value byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{value}},
	}
}

// in matches an address of the set.
func in(offset uint32, set *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Payload{
			DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: set.KeyType.Bytes,
		},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	}
}
