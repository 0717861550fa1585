package probe

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// Millis is a duration that JSON shows as milliseconds.
type Millis time.Duration

// MarshalJSON writes milliseconds with at most three decimals.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Round(float64(m)/1e3)/1e3, 'f', -1, 64), nil
}

// Duration is the same as the standard library's type.
func (m Millis) Duration() time.Duration { return time.Duration(m) }

// Report is what a run of probes showed.
type Report struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
	// Windows are the outages, by time.
	Windows []Window `json:"windows"`
	// LongestGap is the longest time between the starts of two successes that followed each other, outage or not.
	LongestGap Millis `json:"longestGapMillis"`
	// P50, P95 and P99 are latencies of the successes.
	P50 Millis `json:"p50Millis"`
	P95 Millis `json:"p95Millis"`
	P99 Millis `json:"p99Millis"`
	// MaxLag is how late the latest probe started. Much more than an interval means that the machine was too busy for
	// the figures to be fair.
	MaxLag Millis `json:"maxLagMillis"`
	// Reasons counts the failures by kind.
	Reasons map[string]int `json:"reasons,omitempty"`
	Marks   []Mark         `json:"marks,omitempty"`
}

// Window is an outage: failures between two successes.
type Window struct {
	// Start is the start of the last success before, End that of the first success after; where there is none, those of
	// the first and the last failure.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Downtime is End − Start.
	Downtime Millis `json:"downtimeMillis"`
	Failed   int    `json:"failed"`
	// Open says that there was no success before or after, so that the true downtime is longer.
	Open bool `json:"open"`
}

// Summarize makes the report of samples sorted by start.
func Summarize(samples []Sample, marks []Mark, lag time.Duration) Report {
	r := Report{Sent: len(samples), MaxLag: Millis(lag), Marks: slices.Clone(marks)}
	var latencies []time.Duration
	var last *Sample // success
	var open *Window
	for i := range samples {
		s := &samples[i]
		if s.Err != "" {
			r.Failed++
			if r.Reasons == nil {
				r.Reasons = map[string]int{}
			}
			r.Reasons[s.Err]++
			open = extend(open, last, s)
			continue
		}
		latencies = append(latencies, s.Latency)
		if last != nil {
			r.LongestGap = max(r.LongestGap, Millis(s.Start.Sub(last.Start)))
		}
		if open != nil {
			open.End = s.Start
			r.Windows = append(r.Windows, closed(*open))
			open = nil
		}
		last = s
	}
	if open != nil {
		open.Open = true
		r.Windows = append(r.Windows, closed(*open))
	}
	slices.Sort(latencies)
	r.P50, r.P95, r.P99 = percentile(latencies, 50), percentile(latencies, 95), percentile(latencies, 99)
	return r
}

// extend adds a failure to the outage that it belongs to.
func extend(open *Window, before, failure *Sample) *Window {
	if open == nil {
		open = &Window{Start: failure.Start, Open: true}
		if before != nil {
			open.Start, open.Open = before.Start, false
		}
	}
	open.Failed++
	open.End = failure.Start
	return open
}

func closed(w Window) Window {
	w.Downtime = Millis(w.End.Sub(w.Start))
	return w
}

// Downtime is the longest outage, 0 if there was none.
func (r Report) Downtime() time.Duration {
	var longest Millis
	for _, w := range r.Windows {
		longest = max(longest, w.Downtime)
	}
	return time.Duration(longest)
}

// percentile is the nearest-rank percentile of sorted values.
func percentile(sorted []time.Duration, p int) Millis {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return Millis(sorted[max(rank, 1)-1])
}
