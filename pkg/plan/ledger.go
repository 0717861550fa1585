package plan

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// A ledger knows who has which address, or wants it. Claims are never undone.
type ledger struct {
	owners map[netip.Addr]lb.Key
	// owned are the addresses of an owner, and some that it has had.
	owned map[lb.Key][]netip.Addr
	// holds are sorted by key.
	holds map[netip.Addr][]Hold
	// held are the addresses on hold, by who had them, sorted.
	held map[lb.Key][]netip.Addr
	// recorded and requested are claimed by wishes that may be served.
	recorded, requested map[netip.Addr]bool
}

// newLedger returns a ledger in which the withdrawn addresses are on hold.
func newLedger(withdrawn []Hold) *ledger {
	l := &ledger{
		owners: map[netip.Addr]lb.Key{}, owned: map[lb.Key][]netip.Addr{}, holds: map[netip.Addr][]Hold{},
		held:     map[lb.Key][]netip.Addr{},
		recorded: map[netip.Addr]bool{}, requested: map[netip.Addr]bool{},
	}
	for _, h := range withdrawn {
		l.holds[h.Address] = append(l.holds[h.Address], h)
		l.held[h.Key] = append(l.held[h.Key], h.Address)
	}
	for _, hs := range l.holds {
		slices.SortFunc(hs, func(a, b Hold) int { return a.Key.Compare(b.Key) })
	}
	for _, as := range l.held {
		slices.SortFunc(as, netip.Addr.Compare)
	}
	return l
}

// want notes the addresses that a wish claims.
func (l *ledger) want(a lb.AddressWish) {
	for _, addr := range a.Recorded {
		l.recorded[addr] = true
	}
	for _, addr := range a.Requested {
		l.requested[addr] = true
	}
}

// free reports whether the load balancer may have the address: its owner has it, or nobody has it and no node may still
// hold it for anybody else.
func (l *ledger) free(a netip.Addr, key, owner lb.Key) bool {
	if has, ok := l.owners[a]; ok {
		return has == owner
	}
	return !slices.ContainsFunc(l.holds[a], func(h Hold) bool { return h.Key != key })
}

// claim gives the address to an owner (see lb.LoadBalancer.Owner), unless another one has it.
func (l *ledger) claim(a netip.Addr, key lb.Key) bool {
	if owner, ok := l.owners[a]; ok {
		return owner == key
	}
	l.give(a, key)
	return true
}

// give makes somebody the owner of an address, whoever has it.
func (l *ledger) give(a netip.Addr, key lb.Key) {
	l.owners[a] = key
	l.owned[key] = append(l.owned[key], a)
}

// of returns the address of a family that an owner has, the smallest if there are several.
func (l *ledger) of(owner lb.Key, f lb.Family) (least netip.Addr, found bool) {
	for _, a := range l.owned[owner] {
		if l.owners[a] == owner && lb.FamilyOf(a) == f && (!found || a.Less(least)) {
			least, found = a, true
		}
	}
	return least, found
}

// taken reports whether the address is out of reach for allocation.
func (l *ledger) taken(a netip.Addr) bool {
	_, owned := l.owners[a]
	return owned || len(l.holds[a]) > 0
}

// takenOrWanted reports whether the address is out of reach as long as a wish that claims it has not had its turn.
func (l *ledger) takenOrWanted(a netip.Addr) bool {
	return l.taken(a) || l.recorded[a] || l.requested[a]
}
