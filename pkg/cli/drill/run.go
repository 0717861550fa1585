package drill

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// heardWithin is how soon the node must take notice of the order.
	heardWithin = 10 * time.Second
	// restoredWithin is how long, on top of the fleet's hold time, everything has to be as before.
	restoredWithin = 30 * time.Second
	// calm is how long everything must have been as before: reports of one node's parts do not arrive all at once.
	calm = 500 * time.Millisecond
	// settled is how long every address must have answered, at most, before a run counts as restored.
	settled = time.Second
)

// Action is the next step of a run.
type Action int

// The steps.
const (
	// Wait for something more to be seen.
	Wait Action = iota
	// End takes the order away.
	End
	// Done: the run is over.
	Done
)

// Run decides how a run goes on.
type Run struct {
	Plan v1alpha1.FailoverPlan
	ID   string
	// HoldTime is the fleet's: how long the node waits until it takes its addresses back.
	HoldTime time.Duration
	// Ordered and Ended are when the order was written and taken away.
	Ordered, Ended time.Time
	// Fault, Takeover and Restored are when they were seen; zero as long as they were not.
	Fault, Takeover, Restored time.Time
	// Result is what went wrong, empty while nothing did; Message is about it.
	Result  v1alpha1.FailoverResult
	Message string
}

// Look judges what is seen at a time and returns what to do next. Tracks are in the order of the plan's targets.
func (r *Run) Look(now time.Time, docs view.Documents, tracks []Track) Action {
	r.watchGap(now, tracks)
	drill := r.status(docs)
	r.see(now, docs, drill)
	if r.Ended.IsZero() {
		return r.during(now, drill, tracks)
	}
	missing := r.unrestored(now, docs, drill, tracks)
	switch {
	case missing == "":
		if r.Restored.IsZero() {
			r.Restored = now
		}
		if now.Sub(r.Restored) < calm {
			return Wait
		}
		r.pass()
		return Done
	case now.Sub(r.Ended) > restoredWithin+r.HoldTime:
		r.fail(v1alpha1.FailoverNotRestored, missing)
		return Done
	}
	r.Restored = time.Time{}
	return Wait
}

// during is Look while the fault is ordered.
func (r *Run) during(now time.Time, drill *nodeconfig.DrillStatus, tracks []Track) Action {
	switch {
	case r.Result != "":
		return End
	case drill != nil && drill.State == nodeconfig.DrillRefused:
		r.fail(v1alpha1.FailoverRefused, fmt.Sprintf("%s refuses: %s", r.Plan.Node, drill.Message))
		return End
	case drill == nil && now.Sub(r.Ordered) > heardWithin:
		r.fail(v1alpha1.FailoverRefused, fmt.Sprintf("%s took no notice of the order within %s", r.Plan.Node, heardWithin))
		return End
	case drill != nil && drill.State == nodeconfig.DrillRestored,
		now.Sub(r.Ordered) > r.Plan.DurationMillis.Duration():
		// The fault is over, or as good as: what has not happened by now never will.
		if r.Takeover.IsZero() {
			r.fail(v1alpha1.FailoverNoTakeover, "no other node reported the addresses while the fault lasted")
		}
		return End
	case r.Takeover.IsZero(), now.Sub(r.Takeover) < r.Plan.HoldMillis.Duration():
		return Wait
	case steady(now, r.Plan.HoldMillis.Duration(), tracks):
		return End
	}
	return Wait
}

// watchGap notices a blown budget as soon as it is, in every phase.
func (r *Run) watchGap(now time.Time, tracks []Track) {
	for i := range tracks {
		silent := max(tracks[i].Longest(r.Ordered, now, now), silentSince(&tracks[i], r.Ordered, now))
		if silent > r.Plan.MaxGapMillis.Duration() {
			r.fail(v1alpha1.FailoverGapExceeded, fmt.Sprintf("%s gave no answer for more than %s",
				r.Plan.Targets[i].Address, r.Plan.MaxGapMillis.Duration()))
		}
	}
}

// silentSince counts a silence from the order on, where it began just before.
func silentSince(t *Track, ordered, now time.Time) time.Duration {
	return min(t.Silent(now), now.Sub(ordered))
}

// see notes when the fault and the takeover show in the reports.
func (r *Run) see(now time.Time, docs view.Documents, drill *nodeconfig.DrillStatus) {
	if r.Fault.IsZero() && drill != nil && drill.State == nodeconfig.DrillRunning {
		r.Fault = now
	}
	if r.Takeover.IsZero() && !r.Fault.IsZero() && len(r.unmoved(docs, now)) == 0 {
		r.Takeover = now
	}
}

// status is what the node says about this drill.
func (r *Run) status(docs view.Documents) *nodeconfig.DrillStatus {
	if s, ok := docs.Status(r.Plan.Node); ok && s.Drill != nil && s.Drill.ID == r.ID {
		return s.Drill
	}
	return nil
}

// unmoved returns the addresses that no other node reports.
func (r *Run) unmoved(docs view.Documents, now time.Time) []netip.Addr {
	var out []netip.Addr
	for _, p := range docs.Placed(now) {
		elsewhere := slices.ContainsFunc(p.Holders, func(n string) bool { return n != r.Plan.Node })
		if r.moves(p.Address) && !elsewhere {
			out = append(out, p.Address)
		}
	}
	return out
}

func (r *Run) moves(a netip.Addr) bool {
	return slices.ContainsFunc(r.Plan.Addresses, func(f v1alpha1.FailoverAddress) bool { return f.Address == a })
}

// unrestored says what is not as it was before the run. What has been deleted meanwhile can't come back.
func (r *Run) unrestored(now time.Time, docs view.Documents, drill *nodeconfig.DrillStatus, tracks []Track) string {
	s, _ := docs.Status(r.Plan.Node)
	switch {
	case drill != nil && drill.State == nodeconfig.DrillRunning:
		return r.Plan.Node + " has not ended the fault"
	case s.Share.State != nodeconfig.ShareServing:
		text := fmt.Sprintf("%s does not carry its share: %s, %s", r.Plan.Node, s.Share.State, s.Share.Reason)
		return strings.TrimSuffix(text, ", ")
	}
	for _, p := range docs.Placed(now) {
		if r.moves(p.Address) && !slices.Equal(p.Holders, []string{r.Plan.Node}) {
			return fmt.Sprintf("%s is not back on %s", p.Address, r.Plan.Node)
		}
	}
	if !steady(now, min(r.Plan.HoldMillis.Duration(), settled), tracks) {
		return "not every address answers steadily"
	}
	return ""
}

func steady(now time.Time, d time.Duration, tracks []Track) bool {
	for i := range tracks {
		if !tracks[i].Steady(now, d) {
			return false
		}
	}
	return true
}

// fail notes what went wrong; the first counts.
func (r *Run) fail(result v1alpha1.FailoverResult, message string) {
	if r.Result == "" {
		r.Result, r.Message = result, message
	}
}

func (r *Run) pass() {
	if r.Result == "" {
		r.Result = v1alpha1.FailoverPassed
	}
}

// Interrupt notes that the user ends it.
func (r *Run) Interrupt() { r.fail(v1alpha1.FailoverInterrupted, "interrupted") }
