package share

import (
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// ReleasePause is the time between two groups that are released.
const ReleasePause = 100 * time.Millisecond

// Input is what the machine looks at.
type Input struct {
	// Groups are the groups that the node takes part in; none make it silent.
	Groups []int
	// Silence says in words why there are no groups.
	Silence string
	// Alone nodes have no peer in any group.
	Alone bool
	// Announcing says that keepalived runs.
	Announcing bool
	// Holding says that the node has an address of a group, be it only the anchor.
	Holding bool
	// HoldTime is how long the node must have been well before it takes its share back.
	HoldTime time.Duration
	// Shut are the reasons to shut the gate, and Withhold those to withhold all groups, by name, with words for people.
	Shut, Withhold map[string]string
}

// Output is what is to be.
type Output struct {
	// Open says that the gate is open.
	Open bool
	// Withheld are the groups to withhold, sorted.
	Withheld []int
	Share    nodeconfig.Share
	// Next is when to ask again though nothing has changed; zero for never.
	Next time.Time
}

// Machine is the state. The zero Machine withholds everything.
type Machine struct {
	// released are the groups that are not withheld, sorted.
	released []int
	// well is since when nothing is broken; zero while something is.
	well time.Time
	// last is when the last group was released one by one.
	last  time.Time
	share nodeconfig.Share
}

// Adopt makes the machine start from what a former daemon has left in force.
func (m *Machine) Adopt(released []int) {
	m.released = slices.Sorted(slices.Values(released))
}

// Step takes the input of that time. The machine never looks at a clock.
func (m *Machine) Step(now time.Time, in Input) Output {
	before := m.share.State
	m.released = slices.DeleteFunc(m.released, func(g int) bool { return !slices.Contains(in.Groups, g) })
	next := nodeconfig.Share{}
	var again time.Time
	switch {
	case len(in.Groups) == 0:
		m.well = time.Time{}
		next.State, next.Reason = nodeconfig.ShareSilent, in.Silence
	case len(in.Shut) > 0 || !in.Announcing:
		m.well, m.released = time.Time{}, nil
		next.State, next.Reason = nodeconfig.ShareUnfit, broken(in)
	case len(in.Withhold) > 0:
		m.getWell(now)
		m.released = nil
		next.State, next.Reason = nodeconfig.ShareDrained, words(in.Withhold)
		if in.Holding {
			next.State = nodeconfig.ShareDraining
		}
	default:
		m.getWell(now)
		again = m.release(now, in, before == nodeconfig.ShareServing)
		next.State = nodeconfig.ShareServing
		if !again.IsZero() {
			next.State = nodeconfig.ShareHolding
			next.Reason = "well since " + m.well.UTC().Format(time.TimeOnly) + ", waits for the hold time to pass"
		}
	}
	m.date(now, next)
	return Output{Open: len(in.Shut) == 0, Withheld: m.withheld(in.Groups), Share: m.share, Next: again}
}

func (m *Machine) getWell(now time.Time) {
	if m.well.IsZero() {
		m.well = now
	}
}

// date keeps the time at which the state was entered.
func (m *Machine) date(now time.Time, next nodeconfig.Share) {
	next.Since = m.share.Since
	if next.State != m.share.State {
		next.Since = now
	}
	m.share = next
}

// release takes back what may be taken back now, and returns when to go on; zero when all is done. A node that serves
// takes a new group at once: nobody has waited for it.
func (m *Machine) release(now time.Time, in Input, serving bool) time.Time {
	kept := m.withheld(in.Groups)
	if len(kept) == 0 {
		return time.Time{}
	}
	if serving || in.Alone {
		m.released = slices.Sorted(slices.Values(in.Groups))
		return time.Time{}
	}
	if due := m.well.Add(in.HoldTime); now.Before(due) {
		return due
	}
	if due := m.last.Add(ReleasePause); now.Before(due) {
		return due
	}
	m.last = now
	m.released = append(m.released, kept[0])
	slices.Sort(m.released)
	if len(kept) == 1 {
		return time.Time{}
	}
	return now.Add(ReleasePause)
}

// withheld returns the groups that are not released, sorted.
func (m *Machine) withheld(groups []int) []int {
	kept := slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return slices.Contains(m.released, g) })
	slices.Sort(kept)
	return slices.Compact(kept)
}
