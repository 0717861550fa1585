package ipam

import (
	"net/netip"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Picker picks one free address after the other. Each range remembers how far it is used up, so that many picks
// together cost one walk over the taken addresses and not one walk each. Therefore an address that was taken once must
// stay taken for the picker's life.
type Picker struct {
	pools []Pool
	taken func(netip.Addr) bool
	// next is, for each pool and range, the lowest address that may be free; the zero address when there is none.
	next [][]netip.Addr
}

// NewPicker returns a picker for one round of allocation.
func NewPicker(pools []Pool, taken func(netip.Addr) bool) *Picker {
	p := &Picker{pools: pools, taken: taken, next: make([][]netip.Addr, len(pools))}
	for i, pool := range pools {
		for _, r := range pool.Ranges {
			p.next[i] = append(p.next[i], r.From)
		}
	}
	return p
}

// Pick returns a free address of the family from the named pool, or, without a name, from the first pool that is not
// manual and has one. It does not take the address: the next call returns the same one until it is taken.
func (p *Picker) Pick(f lb.Family, pool string) (netip.Addr, bool) {
	for i, candidate := range p.pools {
		if pool == "" && candidate.Manual || pool != "" && candidate.Name != pool {
			continue
		}
		for j, r := range candidate.Ranges {
			if r.Family() != f {
				continue
			}
			p.next[i][j] = p.advance(r, p.next[i][j])
			if a := p.next[i][j]; a.IsValid() {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// advance returns the first free address of the range from a on.
func (p *Picker) advance(r Range, a netip.Addr) netip.Addr {
	for ; a.IsValid() && r.Contains(a); a = a.Next() {
		if !p.taken(a) {
			return a
		}
	}
	return netip.Addr{}
}
