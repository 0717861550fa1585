package nginx

import (
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxTime keeps every time below the 24 days at which nginx's own arithmetic ends.
const maxTime = 24 * time.Hour

// maxCount bounds the numbers that nginx would take as they are.
const maxCount = 1_000_000

// checkOptions returns the first of a listener's options that nginx would not take.
func checkOptions(s lb.Listener) (lb.Finding, bool) {
	o := s.Options
	for _, d := range []time.Duration{o.Timeouts.Idle} {
		if d < 0 || d > maxTime || d%time.Millisecond != 0 {
			return finding(lb.CodeBadValue, field(s)+".timeouts", "%s is not 0 to 24h in whole milliseconds", d), true
		}
	}
	for _, n := range []int{o.Responses} {
		if n < 0 || n > maxCount {
			return finding(lb.CodeBadValue, field(s)+".options", "%d is not 0 to %d", n, maxCount), true
		}
	}
	return lb.Finding{}, false
}
