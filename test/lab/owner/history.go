package owner

import (
	"net/netip"
	"slices"
	"time"
)

// Kind is what an event says.
type Kind string

// The kinds of events.
const (
	Added   Kind = "added"   // an address is on the node's link
	Removed Kind = "removed" // it is not any more
	Up      Kind = "up"      // the link is up
	Down    Kind = "down"    // it is not any more
)

// Event is a change in a node's kernel.
type Event struct {
	Time time.Time `json:"time"`
	Node string    `json:"node"`
	Kind Kind      `json:"kind"`
	// Address is zero where the whole link is meant.
	Address netip.Addr `json:"address,omitzero"`
}

// History is a series of events, sorted by time. Links are down, and addresses absent, until an event says otherwise.
type History []Event

// Span is a time in which the owners of an address stayed the same.
type Span struct {
	From, To time.Time
	// Owners are sorted by name.
	Owners []string
}

// Length is how long the span lasted.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Spans returns who owned the address from its first event to the given time, without gaps.
func (h History) Spans(address netip.Addr, until time.Time) []Span {
	has, up := map[string]bool{}, map[string]bool{}
	var spans []Span
	for _, e := range h {
		if e.Time.After(until) {
			break
		}
		switch e.Kind {
		case Up, Down:
			up[e.Node] = e.Kind == Up
		case Added, Removed:
			if e.Address != address {
				continue
			}
			has[e.Node] = e.Kind == Added
		}
		spans = appendSpan(spans, e.Time, owners(has, up))
	}
	if len(spans) > 0 {
		spans[len(spans)-1].To = until
	}
	return spans
}

func owners(has, up map[string]bool) []string {
	var names []string
	for node, holds := range has {
		if holds && up[node] {
			names = append(names, node)
		}
	}
	slices.Sort(names)
	return names
}

// appendSpan ends the last span and begins a new one, unless nothing changed.
func appendSpan(spans []Span, now time.Time, names []string) []Span {
	if n := len(spans); n > 0 {
		if slices.Equal(spans[n-1].Owners, names) {
			return spans
		}
		spans[n-1].To = now
	}
	return append(spans, Span{From: now, To: now, Owners: names})
}

// Clip returns the parts of the spans between two times.
func Clip(spans []Span, from, to time.Time) []Span {
	var parts []Span
	for _, s := range spans {
		if s.From.Before(from) {
			s.From = from
		}
		if s.To.After(to) {
			s.To = to
		}
		if s.To.After(s.From) {
			parts = append(parts, s)
		}
	}
	return parts
}

// Longest returns the longest uninterrupted time for which the owners satisfied the condition.
func Longest(spans []Span, condition func(owners []string) bool) time.Duration {
	var longest, run time.Duration
	for _, s := range spans {
		if !condition(s.Owners) {
			run = 0
			continue
		}
		run += s.Length()
		longest = max(longest, run)
	}
	return longest
}

// Nobody is the condition that an address has no owner.
func Nobody(names []string) bool { return len(names) == 0 }

// Several is the condition that an address has more than one owner.
func Several(names []string) bool { return len(names) > 1 }

// Moves counts how often a node that had not been an owner became one.
func Moves(spans []Span) int {
	n := 0
	for i := 1; i < len(spans); i++ {
		for _, name := range spans[i].Owners {
			if !slices.Contains(spans[i-1].Owners, name) {
				n++
			}
		}
	}
	return n
}
