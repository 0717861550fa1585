package drill

import (
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

// Statistics sums values up; nil when there are none.
func Statistics(values []time.Duration) *v1alpha1.Statistics {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	return &v1alpha1.Statistics{
		N: len(sorted), MinMillis: v1alpha1.Millis(sorted[0]), MedianMillis: v1alpha1.Millis(Percentile(sorted, 50)),
		P95Millis: v1alpha1.Millis(Percentile(sorted, 95)), MaxMillis: v1alpha1.Millis(sorted[len(sorted)-1]),
	}
}

// Percentile is the p-th percentile of sorted values by nearest rank; zero when there are none.
func Percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// Summarize sums runs up. The result is that of the first run that did not pass.
func Summarize(runs []v1alpha1.FailoverRun) v1alpha1.FailoverSummary {
	s := v1alpha1.FailoverSummary{Result: v1alpha1.FailoverPassed, Runs: len(runs)}
	var gaps, returns, takeovers []time.Duration
	for _, r := range runs {
		if r.Result == v1alpha1.FailoverPassed {
			s.Passed++
		} else if s.Result == v1alpha1.FailoverPassed {
			s.Result = r.Result
		}
		s.Sent += r.Sent
		s.Lost += r.Lost
		if r.GapMillis != nil {
			gaps = append(gaps, r.GapMillis.Duration())
		}
		if r.ReturnGapMillis != nil {
			returns = append(returns, r.ReturnGapMillis.Duration())
		}
		if r.TakeoverMillis != nil && r.FaultMillis != nil {
			takeovers = append(takeovers, (*r.TakeoverMillis - *r.FaultMillis).Duration())
		}
	}
	s.Gap, s.ReturnGap, s.Takeover = Statistics(gaps), Statistics(returns), Statistics(takeovers)
	return s
}
