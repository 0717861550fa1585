package software

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
)

// owners returns whom each address belongs to: the load balancer that has it, else the one that has just lost it.
// Where damaged documents give an address to two, the older object has it.
func (s snapshot) owners() map[netip.Addr]lb.Key {
	valid := slices.Clone(s.valid)
	slices.SortStableFunc(valid, func(a, b entry) int {
		return cmp.Or(a.Origin.Created.Compare(b.Origin.Created), a.Origin.Compare(b.Origin.Key))
	})
	owner := map[netip.Addr]lb.Key{}
	for _, e := range valid {
		for _, a := range e.VIPs {
			if _, ok := owner[a]; !ok {
				owner[a] = e.Owner()
			}
		}
	}
	for _, h := range s.holds() {
		if _, ok := owner[h.Address]; !ok {
			owner[h.Address] = h.Key
		}
	}
	return owner
}

// holds returns the addresses that no valid entry has any more but a node may still hold: those of open withdrawals and
// those of copies that a move left behind. Sorted by address.
func (s snapshot) holds() []plan.Hold {
	served := map[netip.Addr]bool{}
	for _, e := range s.valid {
		for _, a := range e.VIPs {
			served[a] = true
		}
	}
	var out []plan.Hold
	add := func(key lb.Key, vips []netip.Addr, nodes []string) {
		for _, a := range vips {
			if !served[a] {
				out = append(out, plan.Hold{Key: key, Address: a, Nodes: nodes})
			}
		}
	}
	for _, e := range s.stale {
		add(e.Origin.Key, e.VIPs, s.pending(e.shard, math.MaxInt64))
	}
	for _, name := range slices.Sorted(maps.Keys(s.shards)) {
		for _, w := range s.shards[name].Withdrawn {
			if nodes := s.pending(name, w.Revision); len(nodes) > 0 {
				add(w.Key, w.VIPs, nodes)
			}
		}
	}
	byAddress := func(a, b plan.Hold) int { return cmp.Or(a.Address.Compare(b.Address), a.Key.Compare(b.Key)) }
	slices.SortStableFunc(out, byAddress)
	return slices.CompactFunc(out, func(a, b plan.Hold) bool { return byAddress(a, b) == 0 })
}

// alone reports whether a load balancer is the only one that has an address: whoever shared it with others before may
// keep it for itself.
func (s snapshot) alone(key lb.Key, a netip.Addr) bool {
	has := false
	// Without shares an address has one owner, and there is nothing to look for.
	if !slices.ContainsFunc(s.valid, func(e entry) bool { return e.Origin.Key == key && e.Share != "" }) {
		return false
	}
	for _, e := range s.valid {
		if slices.Contains(e.VIPs, a) {
			if e.Origin.Key != key {
				return false
			}
			has = true
		}
	}
	return has
}
