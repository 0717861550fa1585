package software

import (
	"cmp"
	"slices"
	"strings"
)

// share gives newcomers their fair share of the groups: one after the other from whoever has the most, until nobody has
// two more than a newcomer. The former home of each becomes its second, so the newcomer's loss gives it back.
func (r *roster) share(newcomers []string) {
	r.resign(newcomers)
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
		s := r.typical(from, to, total)
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
// its share of them too; but first of all those that the newcomer was the home of before it left. Slots that are on their
// way to a new home stay out.
func (r *roster) typical(node, newcomer string, total int) *slot {
	var best *slot
	compare := func(a, b *slot) int {
		return cmp.Or(
			cmp.Compare(boolInt(a.Home != newcomer), boolInt(b.Home != newcomer)),
			cmp.Compare(abs(a.load*len(r.slots)-total), abs(b.load*len(r.slots)-total)))
	}
	for _, s := range r.at(node) {
		if s.Former == "" && (best == nil || compare(s, best) < 0) {
			best = s
		}
	}
	return best
}

// resign puts newcomers that have a place in front, because they were leaving, behind whoever has taken the slot over.
// So they get no more than their fair share back.
func (r *roster) resign(newcomers []string) {
	for _, s := range r.slots {
		_, rank := r.homeBut(s, newcomers)
		if rank <= 0 {
			continue
		}
		for _, n := range slices.Backward(s.order[:rank]) {
			if slices.Contains(newcomers, n) {
				from := slices.Index(s.order, n)
				s.order = slices.Insert(slices.Delete(s.order, from, from+1), rank, n)
				rank--
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }

// spread chooses the second of each slot, so that a lost node's groups go to all others alike: each gets as many of them
// as any other or one more, and those with the fewest groups of their own get the one more. It changes as few as it can.
// The former home of a slot stays its second until every node knows of the new home.
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
