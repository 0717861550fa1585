package software

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// minGroups and groupsPerNode say how many groups there are: enough that a lost node's share is split over all others,
// and a multiple of every number of nodes up to 4.
const (
	minGroups     = 12
	groupsPerNode = 2
)

// maxGroups is how many groups there can be: VRIDs end at 255 (RFC 5798, 5.2.3).
func maxGroups(vridBase uint8) int { return 256 - int(vridBase) }

// slot is a group on its way to the next fleet.
type slot struct {
	nodeconfig.Group
	// order is the order of the nodes, the highest priority first. It holds every node of the fleet once.
	order []string
	// load is how many virtual IPs the group carries.
	load int
}

// roster is the groups and the nodes that can be their homes: the full members. The home of a slot is the first member
// of its order; a node that leaves keeps its place in front until it is gone, for it is withheld, and a change of the
// others' numbers at the same time could have two of them take over.
type roster struct {
	slots []*slot // by ID
	// members, joining and all are names of nodes, sorted.
	members, joining, all []string
}

// newRoster returns the groups of the current fleet and those that are missing, for the nodes of the next.
func newRoster(current []nodeconfig.Group, nodes []nodeconfig.Node, load map[int]int, limit int) *roster {
	r := &roster{}
	for _, n := range nodes {
		r.all = append(r.all, n.Name)
		switch n.Phase {
		case "":
			r.members = append(r.members, n.Name)
		case nodeconfig.PhaseJoining:
			r.joining = append(r.joining, n.Name)
		}
	}
	slots := map[int]*slot{}
	for _, g := range current {
		slots[g.ID] = &slot{Group: g, order: r.carry(orderOf(g))}
	}
	for id := range min(limit, max(minGroups, groupsPerNode*(len(r.members)+len(r.joining)))) {
		if slots[id] == nil {
			slots[id] = &slot{Group: nodeconfig.Group{ID: id}}
		}
	}
	for id := range load {
		if slots[id] == nil {
			slots[id] = &slot{Group: nodeconfig.Group{ID: id}}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(slots)) {
		if id >= 0 && id < limit {
			slots[id].load = load[id]
			r.slots = append(r.slots, slots[id])
		}
	}
	return r
}

// carry returns an order without the nodes that are gone, and with those that join at its end; empty where none is left
// of it.
func (r *roster) carry(order []string) []string {
	order = slices.DeleteFunc(order, func(n string) bool { return !slices.Contains(r.all, n) })
	if len(order) == 0 {
		return nil
	}
	for _, n := range r.all {
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	joins := func(n string) int { return boolInt(slices.Contains(r.joining, n)) }
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(joins(a), joins(b)) })
	return order
}

// home returns the member that a slot is at home on and its rank; -1 where there is none.
func (r *roster) home(s *slot) (string, int) {
	for i, n := range s.order {
		if _, ok := slices.BinarySearch(r.members, n); ok {
			return n, i
		}
	}
	return "", -1
}

// second returns the member that takes over from the home.
func (r *roster) second(s *slot) string {
	_, i := r.home(s)
	for _, n := range s.order[i+1:] {
		if _, ok := slices.BinarySearch(r.members, n); ok {
			return n
		}
	}
	return ""
}

// at returns the slots at home on a node.
func (r *roster) at(node string) []*slot {
	var out []*slot
	for _, s := range r.slots {
		if h, _ := r.home(s); h == node {
			out = append(out, s)
		}
	}
	return out
}

// counts returns how many groups each member is the home of.
func (r *roster) counts() map[string]int {
	c := map[string]int{}
	for _, s := range r.slots {
		if h, _ := r.home(s); h != "" {
			c[h]++
		}
	}
	return c
}

// rehome puts a member in front of a slot's home, which becomes its second.
func (r *roster) rehome(s *slot, to string) {
	from, _ := r.home(s)
	s.order = slices.DeleteFunc(s.order, func(n string) bool { return n == to })
	_, i := r.home(s)
	s.order = slices.Insert(s.order, max(0, i), to)
	s.Former = from
}

// found orders the slots that have none: each goes to the member with the fewest, and the others follow it round the
// circle, from another one each time.
func (r *roster) found() {
	circle := r.members
	if len(circle) == 0 {
		circle = r.all
	}
	if len(circle) == 0 {
		return
	}
	counts := r.counts()
	for _, s := range r.slots {
		if len(s.order) > 0 {
			continue
		}
		home := slices.MinFunc(circle, func(a, b string) int { return cmp.Compare(counts[a], counts[b]) })
		others := after(circle, home)
		s.order = []string{home}
		for i := range others {
			s.order = append(s.order, others[(counts[home]+i)%len(others)])
		}
		s.order = r.carry(s.order)
		counts[home]++
	}
}

// after returns the others of a circle, from the one after a node on.
func after(circle []string, node string) []string {
	i := slices.Index(circle, node)
	return slices.Concat(circle[i+1:], circle[:i])
}
