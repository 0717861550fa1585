package nodeconfig

import (
	"slices"
	"strings"
	"time"
)

// departed is the age at which the last word of a node that has fallen silent on purpose stands: its daemon has missed
// a heartbeat since, so it is not back.
const departed = HeartbeatInterval + 2*time.Second

// Awaited returns the nodes, sorted, whose reports a node of the fleet waits for before its phase ends; none for a
// full member. Statuses are by node, and their times, like now, of the caller's own clock: a node's may be wrong.
//
// A newcomer must have heard that it joins, and every other node must run a fleet that has it as a peer: silence is no
// consent, for a node whose daemon is dead still announces. Only who can't be announcing anything is passed over: a
// node that joins too, unless it may still run what it was told in a former life, and one that has never reported
// although it was told for [StaleAfter].
//
// A leaver is awaited until it says that it is silent, knowing that it leaves or without saying anything after it, or
// until its status is stale; for that long too if there is none.
func (f Fleet) Awaited(n Node, statuses map[string]Status, now time.Time) []string {
	var out []string
	switch n.Phase {
	case PhaseJoining:
		for _, o := range f.Nodes {
			s, reported := statuses[o.Name]
			if o.Name == n.Name && max(s.Wanted.Fleet, s.Running.Fleet) < n.Since ||
				o.Name != n.Name && !o.knows(n, s, reported, now) {
				out = append(out, o.Name)
			}
		}
	case PhaseLeaving:
		s, reported := statuses[n.Name]
		mute := now.Sub(time.UnixMilli(n.Since)) > StaleAfter
		if reported && !s.Stale(now) && !n.silent(s, now) || !reported && !mute {
			out = append(out, n.Name)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

// knows reports whether a node can't be announcing without knowing a newcomer.
func (n Node) knows(newcomer Node, s Status, reported bool, now time.Time) bool {
	switch {
	case reported && s.Running.Fleet >= newcomer.Since:
		return true
	case n.Phase == PhaseJoining:
		return !reported || s.Wanted.Fleet == 0 && s.Running.Fleet == 0 ||
			s.Share.State == ShareSilent && (s.Wanted.Fleet >= n.Since || s.done())
	case n.Phase == PhaseLeaving:
		return n.silent(s, now)
	default:
		return !reported && now.Sub(time.UnixMilli(newcomer.Since)) > StaleAfter
	}
}

// silent reports whether a leaver has stopped announcing.
func (n Node) silent(s Status, now time.Time) bool {
	return s.Share.State == ShareSilent && (s.Running.Fleet >= n.Since || s.done() && now.Sub(s.Reported) > departed)
}

// done reports whether the node runs what it was told: one that says that it is silent could else be about to speak.
func (s Status) done() bool { return s.Running.Fleet >= s.Wanted.Fleet }

// Known reports whether every node of the fleet that still reports runs this revision of it.
func (f Fleet) Known(statuses map[string]Status, now time.Time) bool {
	return !slices.ContainsFunc(f.Nodes, func(n Node) bool {
		s, reported := statuses[n.Name]
		return reported && !s.Stale(now) && s.Running.Fleet < f.Revision
	})
}

// PhaseChange returns the next time at which [Fleet.Awaited] may change although nobody reports; zero for never.
func (f Fleet) PhaseChange(statuses map[string]Status, now time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, n := range f.Nodes {
		s, reported := statuses[n.Name]
		switch {
		case n.Phase == PhaseJoining, n.Phase == PhaseLeaving && !reported:
			consider(time.UnixMilli(n.Since).Add(StaleAfter + time.Millisecond))
		case n.Phase == PhaseLeaving:
			consider(s.Reported.Add(departed + time.Millisecond))
			consider(s.Reported.Add(StaleAfter + time.Millisecond))
		}
	}
	return next
}
