// Package ipam knows address pools and picks free addresses from them. It is pure and keeps no state: what is taken is
// an argument.
package ipam

import "net/netip"

// Pool is a named set of addresses.
type Pool struct {
	Name string
	// Ranges are sorted and do not overlap, within a pool or with other pools.
	Ranges []Range
	// Manual keeps the pool out of automatic allocation: only load balancers that name it, or one of its addresses, get
	// an address from it.
	Manual bool
}

// Range is an inclusive range of addresses of one family.
type Range struct{ From, To netip.Addr }
