package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Step is a fault of a plan.
type Step struct {
	ID   int
	Kind Kind
	// Node is empty where the fault concerns none.
	Node string
	// At is when it begins, since the run began; For is how long it lasts.
	At, For time.Duration
}

// End is when the step's fault ends, Recovered when its node is surely well again.
func (s Step) End() time.Duration { return s.At + s.For }

// Recovered is when its node is surely well again.
func (s Step) Recovered() time.Duration { return s.End() + s.Kind.trait().recovery }

// String says it without the time at which it begins.
func (s Step) String() string {
	return strings.TrimSpace(fmt.Sprintf("#%d %s for %s, %s", s.ID, s.Kind, s.For.Round(time.Millisecond), s.Node))
}

// lanes is how many faults overlap at most.
const lanes = 2

// NewPlan draws the faults of a run, sorted by their beginning: in each of two lanes one after the other, each after
// the one before it has healed, so that of three nodes one is always well. The same arguments make the same plan.
func NewPlan(seed uint64, length time.Duration, nodes []string) []Step {
	draw := rand.New(rand.NewPCG(seed, 0x6b6c62)) // #nosec G404: a plan that can be repeated
	free := make([]time.Duration, lanes)
	var steps []Step
	for misses := 0; misses < 1000; {
		lane := 0
		if free[1] < free[0] {
			lane = 1
		}
		s := Step{ID: len(steps) + 1, Kind: pick(draw)}
		t := s.Kind.trait()
		s.At = free[lane] + between(draw, 300*time.Millisecond, 2*time.Second)
		s.For = between(draw, t.least, t.most)
		if t.node {
			s.Node = nodes[draw.IntN(len(nodes))]
		}
		if s.End() > length {
			misses++
			free[lane] += 100 * time.Millisecond
			if free[0] > length && free[1] > length {
				break
			}
			continue
		}
		if slices.ContainsFunc(steps, s.clashes) {
			misses++
			continue
		}
		misses = 0
		free[lane] = s.Recovered()
		steps = append(steps, s)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	for i := range steps {
		steps[i].ID = i + 1
	}
	return steps
}

// clashes says whether two steps must not overlap: on one node, of one kind, or where one takes away what the other
// needs.
func (s Step) clashes(o Step) bool {
	if s.Recovered() < o.At || o.Recovered() < s.At {
		return false
	}
	return s.Kind == o.Kind || s.Node != "" && s.Node == o.Node ||
		s.Kind == APIOutage && o.Kind.trait().api || o.Kind == APIOutage && s.Kind.trait().api
}

func pick(draw *rand.Rand) Kind {
	total := 0
	for _, k := range kinds() {
		total += k.trait().weight
	}
	n := draw.IntN(total)
	for _, k := range kinds() {
		if n -= k.trait().weight; n < 0 {
			return k
		}
	}
	return Storm
}

func between(draw *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(draw.Int64N(int64(most-least)+1))
}
