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

// adverts is the name of the chain for them.
const adverts = "adverts"

// sets are the addresses of each family.
type sets struct{ four, six *nftables.Set }

func addSets(conn *nftables.Conn, table *nftables.Table, addrs []netip.Addr) (sets, error) {
	s := sets{
		four: &nftables.Set{Table: table, Name: "four", KeyType: nftables.TypeIPAddr},
		six:  &nftables.Set{Table: table, Name: "six", KeyType: nftables.TypeIP6Addr},
	}
	var four, six []nftables.SetElement
	seen := make(map[netip.Addr]bool)
	for _, a := range addrs {
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
	return s, nil
}

// Where things are, from the start of the network header.
const (
	ipv4Source, ipv4Destination           = 12, 16
	ipv6Next, ipv6Source, ipv6Destination = 6, 8, 24
	arpSender, arpTarget                  = 14, 24
	icmpv6Type, neighborTarget            = 40, 48
	// vrrpRouter is from the start of VRRP's own header, the same in versions 2 and 3 (RFC 3768, 5.1; RFC 5798, 5.2).
	vrrpRouter = 1

	protocolVRRP   = 112
	protocolICMPv6 = 58
	solicitation   = 135
	advertisement  = 136
)

// rules say what is dropped, whichever way it goes.
func rules(s sets) [][]expr.Any {
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

// addAdverts adds a chain that drops the adverts of virtual routers, a rule for each run of numbers: nft 1.0.6 aborts
// when it has to show a set of them, for everybody on the node.
func addAdverts(conn *nftables.Conn, table *nftables.Table, vrids []uint8) {
	chain := conn.AddChain(&nftables.Chain{Name: adverts, Table: table})
	for _, r := range runs(vrids) {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: vrrpRouter, Len: 1},
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: r[:1], ToData: r[1:]},
			&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
}

// runs returns the first and the last of each run of successive numbers.
func runs(ids []uint8) [][]byte {
	var out [][]byte
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		if n := len(out); n > 0 && int(out[n-1][1])+1 == int(id) {
			out[n-1][1] = id
		} else {
			out = append(out, []byte{id, id})
		}
	}
	return out
}

// toAdverts are the rules that send adverts there.
func toAdverts() [][]expr.Any {
	var out [][]expr.Any
	for _, network := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
		out = append(out, append(slices.Concat(protocol(network), transport(protocolVRRP)),
			&expr.Verdict{Kind: expr.VerdictJump, Chain: adverts}))
	}
	return out
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
