package drill

import (
	"maps"
	"slices"
	"time"
)

// maxKept bounds what is kept of one target: the longest silences, the first losses, the first latencies (ten times as
// many). Counts are exact all the same, and so are the longest silences.
const maxKept = 400

// hiccup is the longest silence that does not make a target unsteady.
const hiccup = 100 * time.Millisecond

// Track is what the probes of one target have seen so far. Probes overlap: one is sent at every interval, however many
// still wait.
//
// The figure that counts is silence: the time from one answer to the next, whichever probes they answer, because that
// is how long nobody was served. Time in which the prober itself did not send (it was starved, or the machine asleep)
// is not counted.
type Track struct {
	// Interval is the time between two probes.
	Interval time.Duration
	Sent     int
	Answered int
	Lost     int
	// Reasons count the losses by kind.
	Reasons map[string]int
	// Silences are the longest of those that are longer than three intervals, and LostAt the starts of lost probes, by
	// when they were known.
	Silences []Span
	LostAt   []time.Time
	// Latencies are those of some of the answers.
	Latencies []time.Duration

	lastAnswer, unanswered time.Time
	lastTrouble            time.Time
}

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// Length is how long a span is.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Send notes that a probe is sent.
func (t *Track) Send(at time.Time) {
	t.Sent++
	if t.unanswered.IsZero() {
		t.unanswered = at
	}
	if t.Sent == 1 {
		// Nothing is known about the time before.
		t.lastAnswer, t.lastTrouble = at, at
	}
}

// Answer notes that the probe sent at start has been answered.
func (t *Track) Answer(start, at time.Time) {
	t.Answered++
	if silence := t.silence(at); silence.Length() > t.worthNoting() {
		if silence.Length() > t.tolerable() {
			t.lastTrouble = at
		}
		t.keep(silence)
	}
	if len(t.Latencies) < 10*maxKept {
		t.Latencies = append(t.Latencies, at.Sub(start))
	}
	t.lastAnswer, t.unanswered = at, time.Time{}
}

// keep keeps a silence, in place of the shortest one where there are too many.
func (t *Track) keep(s Span) {
	if len(t.Silences) >= maxKept {
		shortest := 0
		for i, old := range t.Silences {
			if old.Length() < t.Silences[shortest].Length() {
				shortest = i
			}
		}
		if s.Length() <= t.Silences[shortest].Length() {
			return
		}
		t.Silences = slices.Delete(t.Silences, shortest, shortest+1)
	}
	t.Silences = append(t.Silences, s)
}

// Lose notes that the probe sent at start has failed.
func (t *Track) Lose(start time.Time, reason string) {
	t.Lost++
	if t.Reasons == nil {
		t.Reasons = map[string]int{}
	}
	t.Reasons[reason]++
	if len(t.LostAt) < maxKept {
		t.LostAt = append(t.LostAt, start)
	}
	if start.After(t.lastTrouble) {
		t.lastTrouble = start
	}
}

// Silent is how long there has been no answer, at that time.
func (t *Track) Silent(now time.Time) time.Duration { return max(0, t.silence(now).Length()) }

// silence begins at the last answer, or two intervals before the first probe since then if that is later: before, the
// prober was not asking.
func (t *Track) silence(now time.Time) Span {
	if t.unanswered.IsZero() {
		return Span{now, now}
	}
	from := t.lastAnswer
	if asked := t.unanswered.Add(-2 * t.Interval); asked.After(from) {
		from = asked
	}
	return Span{from, now}
}

func (t *Track) worthNoting() time.Duration { return notable * t.Interval }

// tolerable silences may be mere delays, of the network or of this machine.
func (t *Track) tolerable() time.Duration { return max(t.worthNoting(), hiccup) }

// Steady reports whether, at that time, everything sent in the last d was answered, without a silence longer than a
// mere delay.
func (t *Track) Steady(now time.Time, d time.Duration) bool {
	return t.Answered > 0 && t.Silent(now) <= t.tolerable() && now.Sub(t.lastTrouble) >= d
}

// Longest is the longest silence that began in [from, to), the one that has not ended by now included. It is never less
// than zero nor more precise than the interval.
func (t *Track) Longest(from, to, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, s := range slices.Concat(t.Silences, []Span{t.silence(now)}) {
		if s.Length() > t.worthNoting() && !s.From.Before(from) && s.From.Before(to) {
			longest = max(longest, s.Length())
		}
	}
	return longest
}

// Glance is Clone without what only a report needs.
func (t *Track) Glance() Track {
	c := *t
	c.Reasons, c.LostAt, c.Latencies = nil, nil, nil
	c.Silences = slices.Clone(t.Silences)
	return c
}

// late reports whether no probe that began in the span was lost. Where not all losses are kept, it is never so.
func (t *Track) late(s Span) bool {
	return len(t.LostAt) < maxKept && !slices.ContainsFunc(t.LostAt, func(at time.Time) bool {
		return !at.Before(s.From) && !at.After(s.To)
	})
}

// Clone returns a copy that does not change any more.
func (t *Track) Clone() Track {
	c := *t
	c.Reasons = maps.Clone(t.Reasons)
	c.Silences, c.LostAt, c.Latencies = slices.Clone(t.Silences), slices.Clone(t.LostAt), slices.Clone(t.Latencies)
	return c
}
