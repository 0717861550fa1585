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
	eldest := make(map[netip.Addr]entry, len(s.valid))
	for _, e := range s.valid {
		for _, a := range e.VIPs {
			if o, ok := eldest[a]; !ok || e.Origin.Created.Before(o.Origin.Created) { // the keys are in order
				eldest[a] = e
			}
		}
	}
	owner := make(map[netip.Addr]lb.Key, len(eldest))
	for a, e := range eldest {
		owner[a] = e.Owner()
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

// alone returns the addresses that one load balancer has of those that share, and which: whoever shared one with others
// before may keep it for itself. Without shares an address has one owner, and there is nothing to look for.
func (s snapshot) alone() map[netip.Addr]lb.Key {
	sole := make(map[netip.Addr]lb.Key)
	for _, e := range s.valid {
		if e.Share != "" {
			for _, a := range e.VIPs {
				sole[a] = e.Origin.Key
			}
		}
	}
	if len(sole) == 0 {
		return nil
	}
	for _, e := range s.valid {
		for _, a := range e.VIPs {
			if key, ok := sole[a]; ok && key != e.Origin.Key {
				delete(sole, a)
			}
		}
	}
	return sole
}
