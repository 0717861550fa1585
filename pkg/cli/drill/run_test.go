package drill

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func newRun(change func(*Wish)) *Run {
	return &Run{Plan: plan(change), ID: "x", HoldTime: 5 * time.Second, Ordered: at(0)}
}

// answers are the tracks of the plan's two targets; both lose what is said.
func answers(until int, lost func(int) bool) []Track {
	return []Track{*probed(-600, until, lost), *probed(-600, until, nil)}
}

// The states that a drill of lb1 walks through.
func faulty() view.Documents {
	return drilled(nodeconfig.DrillRunning, nodeconfig.ShareUnfit, nil, nil, nil)
}

func takenOver() view.Documents {
	return drilled(nodeconfig.DrillRunning, nodeconfig.ShareUnfit, nil, vips(0), vips(3))
}

func holding() view.Documents {
	return drilled(nodeconfig.DrillRestored, nodeconfig.ShareHolding, nil, vips(0), vips(3))
}

func home() view.Documents {
	return drilled(nodeconfig.DrillRestored, nodeconfig.ShareServing, vips(0, 3), nil, nil)
}

// step is a look and what it must lead to.
type step struct {
	ms   int
	docs view.Documents
	lost func(int) bool
	want Action
}

func (r *Run) walk(t *testing.T, steps ...step) {
	t.Helper()
	for _, s := range steps {
		if s.want == Done { // It must have been so for a moment.
			r.Look(at(s.ms-int(calm/ms)), s.docs, answers(s.ms-int(calm/ms), s.lost))
		}
		if got := r.Look(at(s.ms), s.docs, answers(s.ms, s.lost)); got != s.want {
			t.Fatalf("at %d ms: action %d, want %d (%s %s)", s.ms, got, s.want, r.Result, r.Message)
		}
		if s.want == End {
			r.Ended = at(s.ms)
		}
	}
}

func TestRunPasses(t *testing.T) {
	gap := between(40, 180)
	r := newRun(nil)
	r.walk(t,
		step{20, scene(nil), gap, Wait},
		step{60, faulty(), gap, Wait},
		step{200, takenOver(), gap, Wait},
		step{1100, takenOver(), gap, Wait},
		step{1250, takenOver(), gap, End},
		step{1300, holding(), gap, Wait},
		step{6500, home(), gap, Done})
	if r.Result != v1alpha1.FailoverPassed || !r.Fault.Equal(at(60)) || !r.Takeover.Equal(at(200)) ||
		!r.Restored.Equal(at(6000)) {
		t.Errorf("%+v", r)
	}
}

func TestRunFails(t *testing.T) {
	long := between(40, 5000)
	for _, c := range []struct {
		name    string
		steps   []step
		result  v1alpha1.FailoverResult
		message string
	}{
		{"the budget is blown", []step{
			{300, faulty(), long, Wait}, {600, faulty(), long, End}, {900, home(), between(40, 700), Wait},
			{2500, home(), between(40, 700), Done},
		}, v1alpha1.FailoverGapExceeded, "192.0.2.1:80 gave no answer for more than 500ms"},
		{"the budget is blown on the way back", []step{
			{200, takenOver(), nil, Wait}, {1300, takenOver(), nil, End}, {1900, holding(), between(1350, 3000), Wait},
			{4600, home(), between(1350, 3000), Done},
		}, v1alpha1.FailoverGapExceeded, "gave no answer"},
		{"refused", []step{
			{100, drilled(nodeconfig.DrillRefused, nodeconfig.ShareServing, vips(0, 3), nil, nil), nil, End},
			{1100, drilled(nodeconfig.DrillRefused, nodeconfig.ShareServing, vips(0, 3), nil, nil), nil, Done},
		}, v1alpha1.FailoverRefused, "lb1 refuses: because"},
		{"not heard", []step{{9000, scene(nil), nil, Wait}, {10100, scene(nil), nil, End}, {11500, scene(nil), nil, Done}},
			v1alpha1.FailoverRefused, "lb1 took no notice of the order within 10s"},
		{"nobody takes over", []step{
			{100, faulty(), nil, Wait}, {20100, faulty(), nil, End}, {21000, home(), nil, Done},
		}, v1alpha1.FailoverNoTakeover, "no other node reported"},
		{"never restored", []step{
			{200, takenOver(), nil, Wait}, {1300, takenOver(), nil, End}, {30000, takenOver(), nil, Wait},
			{37000, takenOver(), nil, Done},
		}, v1alpha1.FailoverNotRestored, "lb1 has not ended the fault"},
		{"an address stays away", []step{
			{200, takenOver(), nil, Wait}, {1300, takenOver(), nil, End},
			{37000, drilled(nodeconfig.DrillRestored, nodeconfig.ShareServing, vips(0), nil, vips(3)), nil, Done},
		}, v1alpha1.FailoverNotRestored, "is not back on lb1"},
		{"the share stays away", []step{
			{200, takenOver(), nil, Wait}, {1300, takenOver(), nil, End}, {37000, holding(), nil, Done},
		}, v1alpha1.FailoverNotRestored, "lb1 does not carry its share: Holding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRun(nil)
			r.walk(t, c.steps...)
			if r.Result != c.result || !strings.Contains(r.Message, c.message) {
				t.Errorf("%s %q, want %s %q", r.Result, r.Message, c.result, c.message)
			}
		})
	}
}

// An interruption takes the order back, and what follows is waited for all the same.
func TestRunInterrupted(t *testing.T) {
	r := newRun(nil)
	r.walk(t, step{60, faulty(), nil, Wait})
	r.Interrupt()
	r.walk(t, step{80, faulty(), nil, End}, step{200, holding(), nil, Wait}, step{6000, home(), nil, Done})
	if r.Result != v1alpha1.FailoverInterrupted {
		t.Errorf("%s %s", r.Result, r.Message)
	}
}

// A report that is as before only for a moment is none.
func TestRunFlutters(t *testing.T) {
	r := newRun(nil)
	r.walk(t, step{200, takenOver(), nil, Wait}, step{1300, takenOver(), nil, End}, step{2400, home(), nil, Wait},
		step{2600, holding(), nil, Wait}, step{3000, home(), nil, Wait}, step{3400, home(), nil, Wait})
	if !r.Restored.Equal(at(3000)) {
		t.Errorf("restored at %s", r.Restored.Sub(at(0)))
	}
	r.walk(t, step{3600, home(), nil, Done})
}

// Without probes the reports decide; and a fault that the node has ended by itself is over.
func TestRunByReports(t *testing.T) {
	r := newRun(func(w *Wish) { w.NoProbe = true })
	for _, s := range []step{
		{60, faulty(), nil, Wait}, {200, takenOver(), nil, Wait}, {1100, takenOver(), nil, Wait},
		{1250, takenOver(), nil, End}, {6000, home(), nil, Wait}, {6600, home(), nil, Done},
	} {
		if got := r.Look(at(s.ms), s.docs, nil); got != s.want {
			t.Fatalf("at %d ms: %d, want %d", s.ms, got, s.want)
		}
		if s.want == End {
			r.Ended = at(s.ms)
		}
	}
	r = newRun(nil)
	r.walk(t, step{200, takenOver(), nil, Wait}, step{700, holding(), nil, End}, step{6000, home(), nil, Done})
	if r.Result != v1alpha1.FailoverPassed {
		t.Errorf("%s %s", r.Result, r.Message)
	}
}

// observed is a report of a node whose clock is ahead, delivered 3 ms after it was written.
func observed(ms, ahead int, s nodeconfig.Status) Observation {
	s.Reported = at(ms + ahead)
	return Observation{Arrived: at(ms + 3), Status: s}
}

func TestReport(t *testing.T) {
	const ahead = 90_000 // lb2's clock is wrong
	r := newRun(nil)
	gap := between(40, 180)
	r.walk(t, step{60, faulty(), gap, Wait}, step{200, takenOver(), gap, Wait}, step{1250, takenOver(), gap, End},
		step{6500, home(), gap, Done})
	victim, after := faulty().Statuses[0], home().Statuses[0]
	lb2, lb3 := takenOver().Statuses[1], takenOver().Statuses[2]
	lb2.Groups = []nodeconfig.GroupStatus{{ID: 0, Family: lb.IPv4, State: nodeconfig.StateMaster, Since: at(175 + ahead)}}
	lb3.Groups = []nodeconfig.GroupStatus{{ID: 3, Family: lb.IPv4, State: nodeconfig.StateMaster, Since: at(160)}}
	got := r.Report(Recording{
		Number: 7, Begin: at(-600), End: at(6500), Before: scene(nil).Statuses, Tracks: answers(6500, gap),
		Seen: []Observation{
			observed(31, 0, victim), observed(161, 0, lb3), observed(176, ahead, lb2),
			observed(6400, 0, after), observed(6401, ahead, scene(nil).Statuses[1]), observed(6402, 0, scene(nil).Statuses[2]),
		},
	})
	m := func(ms int) v1alpha1.Millis { return v1alpha1.Millis(time.Duration(ms) * time.Millisecond) }
	near := func(what string, got *v1alpha1.Millis, want int) {
		t.Helper()
		if got == nil || (*got-m(want)).Duration().Abs() > 6*ms {
			t.Errorf("%s: %v, want %d ms", what, got, want)
		}
	}
	near("fault", got.FaultMillis, 33)
	near("takeover", got.TakeoverMillis, 178)
	near("ended", got.EndedMillis, 1250)
	near("restored", got.RestoredMillis, 6000)
	near("gap", got.GapMillis, 140)
	near("back", got.ReturnGapMillis, 0)
	near("noise", got.NoiseMillis, 0)
	near("move of group 0", got.Moves[0].AfterMillis, 145)
	near("move of group 3", got.Moves[1].AfterMillis, 130)
	if got.Moves[0].To != "lb2" || got.Moves[1].To != "lb3" || got.Number != 7 || got.Lost != 28 || got.ID != "x" {
		t.Errorf("%+v", got)
	}
	if len(got.Targets[0].Silences) != 1 || len(got.Targets[0].LostAt) != 28 || len(got.Targets[1].Silences) != 0 {
		t.Errorf("%+v", got.Targets)
	}
	owner := func(node string, from, to, n int) v1alpha1.FailoverOwner {
		return v1alpha1.FailoverOwner{Node: node, Addresses: n,
			FailoverSpan: v1alpha1.FailoverSpan{FromMillis: m(from), ToMillis: m(to)}}
	}
	want := []v1alpha1.FailoverOwner{
		owner("lb1", -600, 34, 2), owner("lb1", 6403, 6500, 2), owner("lb2", 179, 6404, 1), owner("lb3", 164, 6405, 1),
	}
	if diff := cmp.Diff(want, got.Owners); diff != "" {
		t.Error(diff)
	}
}

// Delays before the order are noise and no gap; those in which nothing was lost are marked.
func TestReportNoise(t *testing.T) {
	r := newRun(nil)
	r.Ended, r.Result = at(1000), v1alpha1.FailoverPassed
	slow := probed(-600, -300, nil)
	for _, m := range []int{-300, -290} {
		slow.Send(at(m))
	}
	slow.Answer(at(-300), at(-210))
	slow.Answer(at(-290), at(-209))
	for m := -205; m < 2000; m += 5 {
		slow.Send(at(m))
		if between(1200, 1300)(m) {
			slow.Lose(at(m), "timeout")
		} else {
			slow.Answer(at(m), at(m+1))
		}
	}
	got := r.Report(Recording{Begin: at(-600), End: at(2000), Tracks: []Track{*slow, *probed(-600, 2000, nil)}})
	if noise := got.NoiseMillis.Duration(); noise < 85*ms || noise > 100*ms || *got.GapMillis != 0 {
		t.Errorf("noise %s, gap %s", noise, got.GapMillis.Duration())
	}
	if back := got.ReturnGapMillis.Duration(); back < 95*ms || back > 110*ms {
		t.Errorf("back %s", back)
	}
	if s := got.Targets[0].Silences; len(s) != 2 || !s[0].Late || s[1].Late {
		t.Errorf("%+v", s)
	}
}

// A run of which nothing was seen has no figures, and says so.
func TestReportOfNothing(t *testing.T) {
	r := newRun(func(w *Wish) { w.NoProbe = true })
	r.Result = v1alpha1.FailoverRefused
	got := r.Report(Recording{Number: 1, Begin: at(-10), End: at(10)})
	if got.FaultMillis != nil || got.TakeoverMillis != nil || got.GapMillis != nil || len(got.Moves) != 2 ||
		got.Moves[0].To != "" || got.Moves[0].AfterMillis != nil {
		t.Errorf("%+v", got)
	}
	s := Summarize([]v1alpha1.FailoverRun{got})
	if s.Result != v1alpha1.FailoverRefused || s.Passed != 0 || s.Gap != nil || s.Takeover != nil {
		t.Errorf("%+v", s)
	}
}
