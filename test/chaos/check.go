package chaos

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Bounds are what a history is judged by. The zero value is for a machine that is not busy.
type Bounds struct {
	// Slack multiplies every bound; 0 is 1. A machine that has two cores for the whole cluster needs more.
	Slack float64
	// Converge is how long after the last fault every address must have one owner and answer; default 5 s.
	Converge time.Duration
	// Home is how long after the last fault everything must be as in the beginning; default 60 s.
	Home time.Duration
}

func (b Bounds) stretch(d time.Duration) time.Duration {
	if b.Slack > 0 {
		return time.Duration(b.Slack * float64(d))
	}
	return d
}

// Violation is a law that was broken.
type Violation struct {
	At   time.Duration
	Text string
}

func (v Violation) String() string { return fmt.Sprintf("%9.3f s  %s", v.At.Seconds(), v.Text) }

// Summary says how close it was.
type Summary struct {
	Faults int
	// Split, Unowned and Silent are the longest times for which an address had two owners that heard each other, had
	// none that a client could reach, and did not answer a client.
	Split, Unowned, Silent time.Duration
	// Converged is the time from the last fault until every address had one owner and answered.
	Converged time.Duration
}

// Check judges a history. No violation means that it is clean.
func Check(h History, b Bounds) (Summary, []Violation) {
	if len(h) == 0 || h[0].What != Began {
		return Summary{}, []Violation{{Text: "the history has no beginning"}}
	}
	j := &judge{bounds: b, world: newWorld(h[0]), runs: map[string]*run{}, given: map[netip.Addr]string{},
		known: map[netip.Addr]bool{}}
	for _, r := range h {
		j.advance(r.At)
		j.world.apply(r)
		j.take(r)
		j.look(r.At)
	}
	j.finish(h)
	slices.SortStableFunc(j.violations, func(a, b Violation) int { return int(a.At - b.At) })
	return j.summary, j.violations
}

// judge goes through a history once; between two of its steps nothing changes.
type judge struct {
	bounds     Bounds
	world      *world
	now        time.Duration
	runs       map[string]*run
	given      map[netip.Addr]string
	known      map[netip.Addr]bool // all that were ever given
	stalls     []Record
	slices     []slice
	silences   []Record
	summary    Summary
	violations []Violation
	lastMended time.Duration
	home       bool
}

// run is a time in which something is as it should not be, and the largest bound that held during it.
type run struct {
	since, bound time.Duration
}

// slice is a time in which the same was possible.
type slice struct {
	from, to      time.Duration
	possible      map[string]bool
	outage, stale time.Duration
}

// advance goes to a time, and stops wherever a recovery ends on the way.
func (j *judge) advance(to time.Duration) {
	for j.now < to {
		next := j.world.nextRecovery(to)
		next = max(next, j.now)
		if next > j.now {
			j.remember(next)
			j.now = next
		}
		j.world.forget(j.now)
		j.look(j.now)
	}
}

// remember notes what was possible from now to then.
func (j *judge) remember(then time.Duration) {
	s := slice{from: j.now, to: then, possible: map[string]bool{}}
	for _, c := range j.world.clients {
		s.possible[c] = j.world.possible(c)
	}
	s.outage, s.stale = j.world.outage()
	j.slices = append(j.slices, s)
}

// take notes what a record says besides the state of the world.
func (j *judge) take(r Record) {
	switch r.What {
	case Broken:
		j.summary.Faults++
	case Mended:
		j.lastMended = r.At
	case Given:
		if other, taken := j.given[r.Address]; taken && other != r.Name {
			j.blame(r.At, "%s was given to %s, and is %s's", r.Address, r.Name, other)
		}
		j.given[r.Address], j.known[r.Address] = r.Name, true
	case Taken:
		if j.given[r.Address] == r.Name {
			delete(j.given, r.Address)
		}
	case Stalled:
		j.stalls = append(j.stalls, r)
	case Silent:
		j.silences = append(j.silences, r)
	case Settled:
		j.summary.Converged = r.At - j.lastMended
	case Home:
		j.home = true
		if limit := orElse(j.bounds.Home, 60*time.Second); r.At-j.lastMended > limit {
			j.blame(r.At, "it took %s after the last fault until everything was as before", round(r.At-j.lastMended))
		}
	case Left:
		j.blame(r.At, "left behind: %s", r.Note)
	}
}

// look begins and ends runs, for everything that is judged all the time.
func (j *judge) look(now time.Duration) {
	outage, _ := j.world.outage()
	for _, a := range j.everything() {
		j.follow(now, "two owners of "+a.String(), j.world.split(a), max(outage, detected), &j.summary.Split)
	}
	for _, a := range j.world.addresses {
		for _, c := range j.world.clients {
			bad := j.world.possible(c) && !j.world.served(c, a)
			j.follow(now, fmt.Sprintf("%s has no owner for %s", a, c), bad, outage, &j.summary.Unowned)
		}
	}
}

// everything are all addresses that load balancers have or had, those of storms too.
func (j *judge) everything() []netip.Addr {
	all := slices.Clone(j.world.addresses)
	for a := range j.known {
		all = append(all, a)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// follow begins, continues or ends the run of that name.
func (j *judge) follow(now time.Duration, name string, bad bool, bound time.Duration, longest *time.Duration) {
	r, running := j.runs[name]
	switch {
	case bad && !running:
		j.runs[name] = &run{since: now, bound: bound}
	case bad:
		r.bound = max(r.bound, bound)
	case running:
		delete(j.runs, name)
		r.bound = max(r.bound, bound)
		length := now - r.since
		*longest = max(*longest, length)
		if limit := j.bounds.stretch(r.bound); length > limit {
			j.blame(r.since, "%s for %s, bound %s", name, round(length), limit)
		}
	}
}

func (j *judge) blame(at time.Duration, format string, args ...any) {
	j.violations = append(j.violations, Violation{At: at, Text: fmt.Sprintf(format, args...)})
}

// finish judges what can only be judged in the end.
func (j *judge) finish(h History) {
	end := h[len(h)-1].At
	for name, r := range j.runs {
		if limit := j.bounds.stretch(r.bound); end-r.since > limit {
			j.blame(r.since, "%s to the end, bound %s", name, limit)
		}
	}
	for _, s := range j.silences {
		j.judgeSilence(s)
	}
	limit := j.bounds.stretch(orElse(j.bounds.Converge, 5*time.Second))
	switch {
	case !slices.ContainsFunc(h, func(r Record) bool { return r.What == Settled }):
		j.blame(end, "the fleet never converged after the last fault")
	case j.summary.Converged > limit:
		j.blame(end, "the fleet converged %s after the last fault, bound %s", round(j.summary.Converged), limit)
	case !j.home:
		j.blame(end, "not everything was as before in the end")
	}
}

// judgeSilence counts the longest part of a client's outage in which it had a right to be served.
func (j *judge) judgeSilence(s Record) {
	var longest, length, bound time.Duration
	for _, p := range j.slices {
		from, to := max(p.from, s.At), min(p.to, s.Until)
		if to <= from {
			continue
		}
		if !p.possible[s.Client] {
			length = 0
			continue
		}
		length += to - from - j.stalled(s.Client, from, to)
		longest, bound = max(longest, length), max(bound, p.outage+p.stale)
	}
	j.summary.Silent = max(j.summary.Silent, longest)
	if limit := j.bounds.stretch(bound) + s.tolerance(); longest > limit {
		j.blame(s.At, "%s did not answer %s (%s) for %s, bound %s", s.Address, s.Client, s.Note,
			round(longest), limit)
	}
}

// stalled returns how much of a time the client's machine was not at work for.
func (j *judge) stalled(client string, from, to time.Duration) (sum time.Duration) {
	for _, s := range j.stalls {
		if s.Client == client {
			sum += max(min(to, s.Until)-max(from, s.At), 0)
		}
	}
	return sum
}

// tolerance is what a probe cannot tell: it asks every so often.
func (r Record) tolerance() time.Duration {
	if r.Note == byRequest {
		return 2 * requestEvery
	}
	return 2 * echoEvery
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// String is the summary in words.
func (s Summary) String() string {
	return fmt.Sprintf("%d faults; at most %s with two owners, %s with none, %s silent at a client; converged after %s",
		s.Faults, round(s.Split), round(s.Unowned), round(s.Silent), round(s.Converged))
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
