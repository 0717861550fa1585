package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// match is ours beside the one by hand, under the same load.
type match struct {
	ours, byHand *server
	run          loader
}

// outcome is what came of a match.
type outcome struct {
	ours, byHand load
	// ratio is that of our rate to the other one: of the medians, and of the rounds from the lowest to the highest.
	ratio  float64
	rounds []float64
}

// String is for the table.
func (o outcome) String() string {
	side := func(l load) string {
		return fmt.Sprintf("%.0f/s, p99 %s, CPU %s", l.rate, l.p99.Round(10*time.Microsecond),
			l.cpu.Round(100*time.Nanosecond))
	}
	return fmt.Sprintf("%s; by hand %s; ratio %.3f (%.3f to %.3f), of CPU %.2f", side(o.ours), side(o.byHand), o.ratio,
		o.rounds[0], o.rounds[len(o.rounds)-1], float64(o.ours.cpu)/float64(max(1, o.byHand.cpu)))
}

// compare measures both in turns. Each is first every other time, so that a machine that drifts favours neither.
func (b *bench) compare(ctx context.Context, m match) (outcome, error) {
	sides := [2]*server{m.ours, m.byHand}
	var loads [2][]load
	for round := range b.rounds {
		for turn := range sides {
			side := (round + turn) % len(sides)
			l, err := under(ctx, sides[side], m.run, b.wrk)
			if err != nil {
				return outcome{}, err
			}
			loads[side] = append(loads[side], l)
		}
	}
	o := outcome{ours: middle(loads[0]), byHand: middle(loads[1])}
	o.ratio = o.ours.rate / o.byHand.rate
	for i := range b.rounds {
		o.rounds = append(o.rounds, loads[0][i].rate/loads[1][i].rate)
	}
	slices.Sort(o.rounds)
	return o, nil
}

// under loads a server, and counts what it takes.
func under(ctx context.Context, s *server, run loader, d time.Duration) (load, error) {
	before, err := s.cpu()
	if err != nil {
		return load{}, err
	}
	l, err := run(ctx, s.at, d)
	if err != nil {
		return load{}, err
	}
	after, err := s.cpu()
	l.cpu = (after - before) / time.Duration(max(1, l.requests))
	return l, err
}

// middle returns the median of each figure.
func middle(loads []load) load {
	return load{
		requests: median(loads, func(l load) int { return l.requests }),
		rate:     median(loads, func(l load) float64 { return l.rate }),
		p99:      median(loads, func(l load) time.Duration { return l.p99 }),
		cpu:      median(loads, func(l load) time.Duration { return l.cpu }),
	}
}

// median returns the middle one of a figure.
func median[S any, T int | float64 | time.Duration](all []S, of func(S) T) T {
	var values []T
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return at(values, 0.5)
}
