package software

import (
	"cmp"
	"slices"
	"strings"
)

// share gives newcomers their fair share of the groups: one after the other from whoever has the most, until nobody
// has two more than a newcomer. The former home of each becomes its second, so the newcomer's loss gives it back.
func (r *roster) share(newcomers []string) {
	counts, taken := r.counts(), map[string]int{}
	total := 0
	for _, s := range r.slots {
		total += s.load
	}
	for len(newcomers) > 0 {
		to := slices.MinFunc(newcomers, func(a, b string) int {
			return cmp.Or(cmp.Compare(counts[a], counts[b]), strings.Compare(a, b))
		})
		from := slices.MinFunc(r.members, func(a, b string) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(taken[a], taken[b]), strings.Compare(a, b))
		})
		if counts[from]-counts[to] < 2 {
			return
		}
		s := r.typical(from, total)
		if s == nil {
			return
		}
		r.rehome(s, to)
		counts[from]--
		counts[to]++
		taken[from]++
	}
}

// typical returns the slot of a node that carries most nearly a group's share of all addresses, so that a newcomer gets
// its share of them too. Slots that are on their way to a new home stay out.
func (r *roster) typical(node string, total int) *slot {
	var best *slot
	distance := func(s *slot) int { return abs(s.load*len(r.slots) - total) }
	for _, s := range r.at(node) {
		if s.Former == "" && (best == nil || distance(s) < distance(best)) {
			best = s
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// spread chooses the second of each slot, so that a lost node's groups go to all others alike: each gets as many of
// them as any other or one more, and those with the fewest groups of their own get the one more. It changes as few as
// it can. The former home of a slot stays its second until every node knows of the new home.
func (r *roster) spread() {
	if len(r.members) < 2 {
		return
	}
	counts := r.counts()
	for _, home := range r.members {
		slots := r.at(home)
		quota := r.quotas(home, slots, counts)
		var open []*slot
		for _, s := range slots {
			if s.Former != "" {
				quota[r.second(s)]--
			}
		}
		for _, s := range slots {
			if second := r.second(s); s.Former == "" && quota[second] > 0 {
				quota[second]--
			} else if s.Former == "" {
				open = append(open, s)
			}
		}
		for _, s := range open {
			r.promote(s, quota)
		}
	}
}

// quotas returns how many of a node's slots each other member shall be the second of.
func (r *roster) quotas(home string, slots []*slot, counts map[string]int) map[string]int {
	others := after(r.members, home)
	each, extra := len(slots)/len(others), len(slots)%len(others)
	now := map[string]int{}
	for _, s := range slots {
		now[r.second(s)]++
	}
	slices.SortStableFunc(others, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), cmp.Compare(min(now[b], each+1), min(now[a], each+1)))
	})
	quota := map[string]int{}
	for i, n := range others {
		quota[n] = each
		if i < extra {
			quota[n]++
		}
	}
	return quota
}

// promote makes the first of a slot's order that has a quota left its second.
func (r *roster) promote(s *slot, quota map[string]int) {
	home, rank := r.home(s)
	for _, n := range s.order[rank+1:] {
		if n != home && quota[n] > 0 {
			quota[n]--
			s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == n })
			s.order = slices.Insert(s.order, rank+1, n)
			return
		}
	}
}
