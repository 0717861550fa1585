package software

import (
	"cmp"
	"slices"
	"strings"
)

// rebalance moves groups between members until all carry equally many addresses, or as nearly so as whole groups
// allow, with few moves: each step is the one that evens out most. The numbers of groups stay equal too, so two groups
// are exchanged where moving one would upset that; an empty one costs nothing. A group moves once at most.
func (r *roster) rebalance() {
	if len(r.members) < 2 {
		return
	}
	r.even()
	for range r.slots {
		m := r.bestMove()
		if m.gain <= 0 {
			return
		}
		r.rehome(m.give, m.to)
		if m.back != nil {
			r.rehome(m.back, m.from)
		}
	}
}

// even evens out the numbers of groups.
func (r *roster) even() {
	for range r.slots {
		counts, loads := r.counts(), r.loads()
		byCount := func(a, b string) int { return cmp.Or(cmp.Compare(counts[a], counts[b]), strings.Compare(a, b)) }
		few, many := slices.MinFunc(r.members, byCount), slices.MaxFunc(r.members, byCount)
		if counts[many]-counts[few] < 2 {
			return
		}
		var best *slot
		distance := func(s *slot) int { return abs(2*s.load - (loads[many] - loads[few])) }
		for _, s := range r.at(many) {
			if s.Former == "" && (best == nil || distance(s) < distance(best)) {
				best = s
			}
		}
		if best == nil {
			return
		}
		r.rehome(best, few)
	}
}

// loads returns how many addresses each member is the home of.
func (r *roster) loads() map[string]int {
	out := map[string]int{}
	for _, s := range r.slots {
		if h, _ := r.home(s); h != "" {
			out[h] += s.load
		}
	}
	return out
}

// move is a step of a rebalancing: give goes from one node to another, and back, if there is one, the other way.
type move struct {
	give, back *slot
	from, to   string
	// gain is by how much the sum of the squares of all loads falls.
	gain int
}

// bestMove returns the move of the highest gain, of several the one that moves the fewest addresses.
func (r *roster) bestMove() move {
	counts, loads := r.counts(), r.loads()
	var best move
	consider := func(m move) {
		d := m.give.load
		if m.back != nil {
			d -= m.back.load
		}
		m.gain = 2 * d * (loads[m.from] - loads[m.to] - d)
		if m.gain > best.gain || m.gain == best.gain && m.gain > 0 && m.cost() < best.cost() {
			best = m
		}
	}
	for _, from := range r.members {
		for _, to := range r.members {
			if loads[from] <= loads[to]+1 {
				continue
			}
			for _, give := range r.free(from) {
				if counts[from] > counts[to] {
					consider(move{give: give, from: from, to: to})
				}
				for _, back := range r.free(to) {
					consider(move{give: give, back: back, from: from, to: to})
				}
			}
		}
	}
	return best
}

func (m move) cost() int {
	if m.back == nil {
		return m.give.load
	}
	return m.give.load + m.back.load
}

// free returns the slots of a node that are not on their way to a new home.
func (r *roster) free(node string) []*slot {
	return slices.DeleteFunc(r.at(node), func(s *slot) bool { return s.Former != "" })
}
