package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/probe"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// lookInterval is how often a run looks around when nothing tells it to: a blown budget tells nobody.
	lookInterval = 20 * time.Millisecond
	// warmUp is how long every address must have answered before a fault, and warmUpLimit how long that may take.
	warmUp      = time.Second
	warmUpLimit = 10 * time.Second
	// readyLimit is how long something may stand against a run.
	readyLimit = 10 * time.Second
	// orderTimeout bounds one try to change the order.
	orderTimeout = 5 * time.Second
)

// tester performs the runs of a test.
type tester struct {
	*failoverOptions
	c        *cluster
	plan     v1alpha1.FailoverPlan
	by       string
	holdTime time.Duration
	feed     *feed

	mu   sync.Mutex
	seen []drill.Observation
}

// runAll performs the runs, up to the first that does not pass. What has been ordered is always taken back and waited
// for: the context's end only makes that happen sooner. With an error it still returns the runs that passed before.
func (t *tester) runAll(ctx context.Context) ([]v1alpha1.FailoverRun, error) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	herald := newHerald(ctx, t.c, t.plan)
	t.watch(lasting)
	var runs []v1alpha1.FailoverRun
	for n := range t.plan.Count {
		run, err := t.perform(ctx, lasting, herald, n+1)
		if err == nil && run.Result == v1alpha1.FailoverRefused {
			err = errors.New(run.Message)
		}
		switch {
		case ctx.Err() != nil && (err != nil || run.Result == v1alpha1.FailoverInterrupted):
			return runs, ctx.Err()
		case err != nil && t.plan.Count > 1:
			return runs, fmt.Errorf("run %d of %d: %w", n+1, t.plan.Count, err)
		case err != nil:
			return runs, err
		}
		if runs = append(runs, run); run.Result != v1alpha1.FailoverPassed {
			return runs, nil
		}
	}
	return runs, nil
}

// ready waits until the plan can be carried out as it was confirmed: that may be minutes ago, and each run changes
// much. What stands against it may pass, such as a standby that is just taking a new configuration up.
func (t *tester) ready(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		objections, err := t.wish.Again(t.plan, t.feed.documents(), t.now())
		if err == nil && !t.force {
			err = objection(objections)
		}
		if err == nil {
			return nil
		}
		select {
		case <-t.feed.changed:
		case <-time.After(lastLook): // A node that falls silent says nothing more.
		case <-limited.Done():
			return cmp.Or(ctx.Err(), err)
		}
	}
}

// watch follows the documents, and keeps every report of a node with the time at which it arrived.
func (t *tester) watch(ctx context.Context) {
	t.feed = &feed{changed: make(chan struct{}, 1)}
	read := observer(ctx, t.c, t.c.system, systemSelector, t.feed.changed, func(cm *corev1.ConfigMap) {
		now := time.Now()
		if s, err := nodeconfig.Decode[nodeconfig.Status](cm.Data[nodeconfig.KeyStatus]); err == nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.seen = append(t.seen, drill.Observation{Arrived: now, Status: s})
		}
	})
	t.feed.documents = func() view.Documents { return t.c.clock.Documents(read()) }
}

// observed returns the reports that have arrived since the last call.
func (t *tester) observed() []drill.Observation {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	t.seen = nil
	return seen
}

// perform performs one run. An error says that nothing was done.
func (t *tester) perform(ctx, lasting context.Context, h *herald, number int) (v1alpha1.FailoverRun, error) {
	if err := t.ready(ctx); err != nil {
		return v1alpha1.FailoverRun{}, err
	}
	rec := drill.Recording{Number: number, Begin: time.Now()}
	prober := probe.Start(lasting, probeTargets(t.plan), probe.Options{
		Interval: t.plan.ProbeIntervalMillis.Duration(), Timeout: t.plan.ProbeTimeoutMillis.Duration(),
		UserAgent: userAgent(),
	})
	if err := t.warmUp(ctx, prober); err != nil {
		prober.Stop()
		return v1alpha1.FailoverRun{}, err
	}
	t.observed()
	rec.Before = t.feed.documents().Statuses
	run := &drill.Run{Plan: t.plan, ID: newID(), HoldTime: t.holdTime}
	t.note("run %d of %d: %s on %s", number, t.plan.Count, t.plan.Kind, t.plan.Node)
	if err := h.tell(ctx, corev1.EventTypeNormal, "FailoverTestStarted", t.started(run.ID)); err != nil {
		prober.Stop()
		return v1alpha1.FailoverRun{}, err
	}
	run.Ordered = time.Now()
	if err := t.order(ctx, run.ID); err != nil {
		prober.Stop()
		t.takeBack(lasting, run.ID) //nolint:errcheck // The order may have been written although the answer was lost.
		return v1alpha1.FailoverRun{}, err
	}
	t.attend(ctx, lasting, run, prober)
	rec.Tracks, rec.End, rec.Seen = prober.Stop(), time.Now(), t.observed()
	out := run.Report(rec)
	kind, reason := corev1.EventTypeNormal, "FailoverTestPassed"
	if out.Result != v1alpha1.FailoverPassed {
		kind, reason = corev1.EventTypeWarning, "FailoverTestFailed"
	}
	limited, cancel := context.WithTimeout(lasting, orderTimeout)
	defer cancel()
	if err := h.tell(limited, kind, reason, t.ended(out)); err != nil {
		t.note("note: %s", err)
	}
	return out, nil
}

// probeTargets are the plan's targets as the prober takes them.
func probeTargets(plan v1alpha1.FailoverPlan) []probe.Target {
	var out []probe.Target
	for _, t := range plan.Targets {
		out = append(out, probe.Target{Address: t.Address, HTTP: t.Protocol == lb.HTTP, Host: t.Host, Path: t.Path})
	}
	return out
}

// warmUp waits until every target has answered for a moment.
func (t *tester) warmUp(ctx context.Context, prober *probe.Prober) error {
	limited, cancel := context.WithTimeout(ctx, warmUpLimit)
	defer cancel()
	for {
		now := time.Now()
		silent := slices.IndexFunc(prober.Glance(), func(track drill.Track) bool { return !track.Steady(now, warmUp) })
		if silent < 0 {
			return nil
		}
		if !pause(limited, lookInterval) {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var words []string
	now := time.Now()
	for i, track := range prober.Stop() {
		switch {
		case track.Answered == 0 || track.Lost > 0:
			words = append(words, fmt.Sprintf("%s (%s)", t.plan.Targets[i].Address, failures(track)))
		case !track.Steady(now, warmUp):
			apart := v1alpha1.Millis(track.Longest(time.Time{}, now, now))
			words = append(words, fmt.Sprintf("%s (answers up to %s apart)", t.plan.Targets[i].Address, millis(&apart)))
		}
	}
	return fmt.Errorf("not every address answers steadily from here: %s; --no-probe goes by the nodes' reports alone",
		strings.Join(words, ", "))
}

// failures names the most frequent failure.
func failures(track drill.Track) string {
	most := "no answer"
	for reason, n := range track.Reasons {
		if n > track.Reasons[most] || n == track.Reasons[most] && reason < most {
			most = reason
		}
	}
	return fmt.Sprintf("%d of %d probes failed: %s", track.Lost, track.Lost+track.Answered, most)
}

// attend lets a run take its course.
func (t *tester) attend(ctx, lasting context.Context, run *drill.Run, prober *probe.Prober) {
	interrupted := ctx.Done()
	for {
		before := *run
		action := run.Look(time.Now(), t.feed.documents(), prober.Glance())
		t.progress(before, *run, action)
		switch action {
		case drill.Done:
			return
		case drill.End:
			if err := t.takeBack(lasting, run.ID); err != nil {
				t.note("note: the order can't be taken back: %s", strings.TrimPrefix(explain(err), "error: "))
				if time.Since(run.Ordered) < t.plan.DurationMillis.Duration() && pause(lasting, time.Second) {
					continue
				}
				t.note("note: %s ends the fault by itself", t.plan.Node)
			}
			run.Ended = time.Now()
			t.note("  %s  the fault is ended", t.clock(run, run.Ended))
		case drill.Wait:
			select {
			case <-interrupted:
				interrupted = nil
				run.Interrupt()
				t.note("interrupted; the fault is being ended (once more, and %s ends it by itself)", t.plan.Node)
			case <-t.feed.changed:
			case <-time.After(lookInterval):
			}
		}
	}
}

// order writes the drill into the node's order, unless the orders that it is written beside forbid it: two who begin at
// the same moment both see a fleet without a drill.
func (t *tester) order(ctx context.Context, id string) error {
	w := orderWriter{c: t.c, manager: t.fieldManager, check: func(orders map[string]nodeconfig.Order) error {
		docs := t.feed.documents()
		docs.Config.Orders = orders
		if d := orders[t.plan.Node].Drain; d != nil && !t.force {
			return fmt.Errorf("%s has been drained meanwhile%s", t.plan.Node, byWhom(d.By))
		}
		return drill.Other(docs, t.now())
	}}
	_, err := w.node(ctx, t.plan.Node, func(o *nodeconfig.Order) error {
		o.Drill = &nodeconfig.Drill{
			ID: id, Kind: t.plan.Kind, Requested: t.c.clock.Theirs(t.now()).UTC(), By: t.by,
			Duration: nodeconfig.Duration(t.plan.DurationMillis),
		}
		return nil
	})
	return err
}

func byWhom(user string) string {
	if user == "" {
		return ""
	}
	return fmt.Sprintf(", by %q", user)
}

// takeBack takes the drill out of the node's order, unless it is somebody else's.
func (t *tester) takeBack(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	w := orderWriter{c: t.c, manager: t.fieldManager}
	_, err := w.node(ctx, t.plan.Node, func(o *nodeconfig.Order) error {
		if o.Drill != nil && o.Drill.ID == id {
			o.Drill = nil
		}
		return nil
	})
	return err
}

// progress tells what has just happened.
func (t *tester) progress(before, after drill.Run, action drill.Action) {
	for _, step := range []struct {
		was, is time.Time
		words   string
	}{
		{before.Fault, after.Fault, "the fault is in place"},
		{before.Takeover, after.Takeover, "every address is on another node"},
	} {
		if step.was.IsZero() && !step.is.IsZero() {
			t.note("  %s  %s", t.clock(&after, step.is), step.words)
		}
	}
	// What was back may go away again, until the run is done.
	if action == drill.Done && !after.Restored.IsZero() {
		t.note("  %s  every address is back on %s", t.clock(&after, after.Restored), t.plan.Node)
	}
	if before.Message != after.Message && after.Result != v1alpha1.FailoverInterrupted {
		t.note("  %s  %s", t.clock(&after, time.Now()), after.Message)
	}
}

// clock shows a time as seconds since the order.
func (t *tester) clock(run *drill.Run, at time.Time) string {
	return fmt.Sprintf("%7.3fs", at.Sub(run.Ordered).Seconds())
}
