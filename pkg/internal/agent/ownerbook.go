package agent

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// askOwnerEvery is how often it is asked who else has an address that is held, and suspectEvery where somebody has.
	askOwnerEvery = 10 * time.Second
	suspectEvery  = 500 * time.Millisecond
	// convictAfter answers in a row make a conflict: at a takeover, two have an address for a moment.
	convictAfter = 2
	// newPerLook bounds how many addresses are asked for at once, beyond those whose turn it is.
	newPerLook = 250
)

// ownerBook remembers who else has answered for the addresses that are held. It looks at no clock and at no network.
type ownerBook struct {
	asked   map[netip.Addr]time.Time
	suspect map[netip.Addr]suspect
}

// suspect are the other owners of an address.
type suspect struct {
	since  time.Time
	others []neighbor.Hardware
	seen   int
}

func newOwnerBook() *ownerBook {
	return &ownerBook{asked: make(map[netip.Addr]time.Time), suspect: make(map[netip.Addr]suspect)}
}

// forget drops every suspicion: nobody can be asked any more. What is held is asked for anew when somebody can.
func (b *ownerBook) forget() {
	clear(b.asked)
	clear(b.suspect)
}

// due returns which of the held addresses to ask for now: new ones, those under suspicion, and so many of the others
// that each has its turn in time, those first that have waited longest.
func (b *ownerBook) due(now time.Time, held []netip.Addr) []netip.Addr {
	for a := range b.asked {
		if !slices.Contains(held, a) {
			delete(b.asked, a)
			delete(b.suspect, a)
		}
	}
	var due, others []netip.Addr
	for _, a := range held {
		at, known := b.asked[a]
		_, suspected := b.suspect[a]
		switch {
		case !known && len(due) < newPerLook, suspected && now.Sub(at) >= suspectEvery:
			due = append(due, a)
		case known && !suspected:
			others = append(others, a)
		}
	}
	slices.SortStableFunc(others, func(x, y netip.Addr) int { return b.asked[x].Compare(b.asked[y]) })
	turn := int((time.Duration(len(held))*lookEvery + askOwnerEvery - 1) / askOwnerEvery)
	for i, a := range others {
		if i >= turn && now.Sub(b.asked[a]) < askOwnerEvery {
			break
		}
		if now.Sub(b.asked[a]) >= askOwnerEvery/2 {
			due = append(due, a)
		}
	}
	return due
}

// heard notes who answered, and reports whether another owner has gone.
func (b *ownerBook) heard(now time.Time, asked []netip.Addr, found map[netip.Addr][]neighbor.Hardware) (healed bool) {
	for _, a := range asked {
		b.asked[a] = now
		s, suspected := b.suspect[a]
		if len(found[a]) == 0 {
			healed = healed || s.seen >= convictAfter
			delete(b.suspect, a)
			continue
		}
		if !suspected {
			s.since = now
		}
		s.others, s.seen = found[a], s.seen+1
		b.suspect[a] = s
	}
	return healed
}

// conflicts returns those that have another owner, sorted.
func (b *ownerBook) conflicts(instances []nodeconfig.Instance) []nodeconfig.Conflict {
	var cs []nodeconfig.Conflict
	for a, s := range b.suspect {
		if s.seen < convictAfter {
			continue
		}
		c := nodeconfig.Conflict{Kind: nodeconfig.ConflictOwner, Address: a, Family: lb.FamilyOf(a), Since: s.since}
		for _, i := range instances {
			if has(i.VIPs, a) {
				c.Group = i.Group
			}
		}
		for _, h := range s.others {
			c.Other = h.String()
			cs = append(cs, c)
		}
	}
	slices.SortFunc(cs, func(x, y nodeconfig.Conflict) int {
		return cmp.Or(x.Address.Compare(y.Address), cmp.Compare(x.Other, y.Other))
	})
	return cs
}

// peerBook remembers which peers answer.
type peerBook map[netip.Addr]time.Time

// missedFor is how long a peer that comes back must have been silent.
const missedFor = time.Second

// heard notes who answered, and reports whether a peer has come back.
func (b peerBook) heard(now time.Time, peers []netip.Addr, found map[netip.Addr][]neighbor.Hardware) (back bool) {
	for _, p := range peers {
		if len(found[p]) == 0 {
			continue
		}
		if at, known := b[p]; known && now.Sub(at) >= missedFor {
			back = true
		}
		b[p] = now
	}
	return back
}
