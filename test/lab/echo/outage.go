package echo

import (
	"net/netip"
	"slices"
	"sort"
	"time"
)

// Outage is a time in which a target did not answer.
type Outage struct {
	// From is when the last request before it was sent that was answered, To the first one after it.
	From, To time.Time
	// Lost counts the requests in between.
	Lost int
	// Open says that it had begun before what was looked at, or had not ended after it.
	Open bool
}

// Length is how long it lasted.
func (o Outage) Length() time.Duration { return o.To.Sub(o.From) }

// Outages returns those of the target among the requests that were sent between the two times. Requests of the last
// moment may still be answered: look a timeout later.
func (p *Prober) Outages(target netip.Addr, from, to time.Time) []Outage {
	i, ok := p.index[target]
	if !ok {
		return nil
	}
	ticks := p.between(from, to)
	return outages(p.begun, ticks, i)
}

// Longest returns the longest outage of the target among the requests that were sent between the two times.
func (p *Prober) Longest(target netip.Addr, from, to time.Time) (longest Outage) {
	for _, o := range p.Outages(target, from, to) {
		if o.Length() > longest.Length() {
			longest = o
		}
	}
	return longest
}

// Answering says whether the target answered the last request that was sent before the given time.
func (p *Prober) Answering(target netip.Addr, at time.Time) bool {
	i, ok := p.index[target]
	ticks := p.between(time.Time{}, at)
	return ok && len(ticks) > 0 && bit(ticks[len(ticks)-1], i)
}

// Stalls returns the times, longer than the given one, in which the prober should have asked and did not.
func (p *Prober) Stalls(longer time.Duration, from, to time.Time) []Outage {
	ticks := p.between(from, to)
	var found []Outage
	for i := 1; i < len(ticks); i++ {
		if ticks[i].at-ticks[i-1].at-p.opts.Interval > longer {
			found = append(found, Outage{From: p.begun.Add(ticks[i-1].at), To: p.begun.Add(ticks[i].at)})
		}
	}
	return found
}

// Stall returns by how much the latest round between the two times came too late: what the prober could not see.
func (p *Prober) Stall(from, to time.Time) (longest time.Duration) {
	ticks := p.between(from, to)
	for i := 1; i < len(ticks); i++ {
		longest = max(longest, ticks[i].at-ticks[i-1].at-p.opts.Interval)
	}
	return longest
}

// between copies the rounds of a time.
func (p *Prober) between(from, to time.Time) []tick {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := sort.Search(len(p.ticks), func(i int) bool { return p.ticks[i].at >= from.Sub(p.begun) })
	last := sort.Search(len(p.ticks), func(i int) bool { return p.ticks[i].at > to.Sub(p.begun) })
	ticks := slices.Clone(p.ticks[first:max(first, last)])
	for i := range ticks {
		ticks[i].answered = slices.Clone(ticks[i].answered)
	}
	return ticks
}

func bit(t tick, i int) bool { return t.answered[i/64]&(1<<(i%64)) != 0 }

// outages finds the runs of unanswered requests to target i.
func outages(begun time.Time, ticks []tick, i int) []Outage {
	var found []Outage
	var run *Outage
	for n, t := range ticks {
		at := begun.Add(t.at)
		switch {
		case bit(t, i) && run != nil:
			run.To = at
			found, run = append(found, *run), nil
		case !bit(t, i) && run == nil:
			run = &Outage{From: at, To: at, Lost: 1, Open: n == 0}
			if n > 0 {
				run.From = begun.Add(ticks[n-1].at)
			}
		case !bit(t, i):
			run.Lost++
			run.To = at
		}
	}
	if run != nil {
		run.Open = true
		found = append(found, *run)
	}
	return found
}
