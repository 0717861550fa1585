package ipam

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

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

// String returns "10.0.0.1-10.0.0.14", or the address alone when there is just one.
func (r Range) String() string {
	if r.From == r.To {
		return r.From.String()
	}
	return r.From.String() + "-" + r.To.String()
}

// Contains reports whether the address lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.From.BitLen() == a.BitLen() && r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0
}

// Family returns the family of the range's addresses.
func (r Range) Family() lb.Family { return lb.FamilyOf(r.From) }

// Size returns the number of addresses; one too large for a uint64 is given as the largest uint64.
func (r Range) Size() uint64 {
	fromHigh, fromLow := halves(r.From)
	toHigh, toLow := halves(r.To)
	low, borrow := bits.Sub64(toLow, fromLow, 0)
	high, _ := bits.Sub64(toHigh, fromHigh, borrow)
	if high != 0 || low == math.MaxUint64 {
		return math.MaxUint64
	}
	return low + 1
}

// Contains reports whether the address belongs to the pool.
func (p Pool) Contains(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(p.Ranges, a, func(r Range, a netip.Addr) int { return r.From.Compare(a) })
	return found || i > 0 && p.Ranges[i-1].Contains(a)
}

// Has reports whether the pool has addresses of the family.
func (p Pool) Has(f lb.Family) bool {
	return slices.ContainsFunc(p.Ranges, func(r Range) bool { return r.Family() == f })
}

// Size returns the number of the pool's addresses of a family; one too large for a uint64 is given as the largest.
func (p Pool) Size(f lb.Family) uint64 {
	var sum uint64
	for _, r := range p.Ranges {
		if r.Family() != f {
			continue
		}
		s, carry := bits.Add64(sum, r.Size(), 0)
		if carry != 0 {
			return math.MaxUint64
		}
		sum = s
	}
	return sum
}

// String returns the name and up to three ranges, such as `"default" (10.0.0.1-10.0.0.14, fd00::1-fd00::ff)`.
func (p Pool) String() string {
	const shown = 3
	var parts []string
	for _, r := range p.Ranges[:min(shown, len(p.Ranges))] {
		parts = append(parts, r.String())
	}
	if more := len(p.Ranges) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%q (%s)", p.Name, strings.Join(parts, ", "))
}

// Named returns the pool of that name.
func Named(pools []Pool, name string) (Pool, bool) {
	i := slices.IndexFunc(pools, func(p Pool) bool { return p.Name == name })
	if i < 0 {
		return Pool{}, false
	}
	return pools[i], true
}

// Holding returns the pool that the address belongs to.
func Holding(pools []Pool, a netip.Addr) (Pool, bool) {
	i := slices.IndexFunc(pools, func(p Pool) bool { return p.Contains(a) })
	if i < 0 {
		return Pool{}, false
	}
	return pools[i], true
}

// halves returns an address as two 64-bit numbers.
func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	for i := range 8 {
		high = high<<8 | uint64(b[i])
		low = low<<8 | uint64(b[i+8])
	}
	return high, low
}
