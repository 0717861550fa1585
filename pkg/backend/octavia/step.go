package octavia

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// stepper is one step of one item: a copy to work on, and the wish as it was when the step began.
type stepper struct {
	engine  *engine
	item    *item
	model   *lb.LoadBalancer
	want    Tree
	parts   []Part
	version int
	work    item
	// unsure says that the step waits for a create that may come through late.
	unsure bool
}

// run makes the step, and returns when the next one is due; 0 means that there is nothing left to do.
func (s *stepper) run(ctx context.Context) time.Duration {
	again, err := s.step(ctx)
	switch {
	case ctx.Err() != nil:
		return 0 // the program ends; whatever came of the call, the next one finds it
	case err != nil:
		return s.fail(err)
	case s.unsure:
		return again // what failed before is not over
	}
	s.work.failed, s.work.trouble, s.work.failing = 0, nil, time.Time{}
	if again == 0 && s.work.bars.any() {
		again = s.work.bars.wait(time.Now())
	}
	extras := s.mindExtras(time.Now())
	if again == 0 && extras > 0 {
		again = extras
	} else if again == 0 && !s.work.recheck.IsZero() {
		again = max(time.Until(s.work.recheck), time.Millisecond)
	}
	return again
}

// lookAround looks for further load balancers with the item's tags, and makes one go: the process before this one may
// have been killed amid a create, which came through only after this one had looked. It acts only once every call of
// that process must have come through, on what a list says at that very time: else the two could each delete the one
// that the other keeps.
func (s *stepper) lookAround(ctx context.Context) error {
	w := &s.work
	if sure := s.engine.started.Add(afterlife); len(w.extras) > 0 && time.Now().Before(sure) {
		w.recheck, w.extras = sure, nil
	}
	if len(w.extras) == 0 && (w.recheck.IsZero() || time.Now().Before(w.recheck)) {
		return nil
	}
	all, err := s.engine.api.list(ctx, tagCluster+s.engine.cluster, objectTag(w.key))
	if err != nil {
		return err
	}
	if err := s.choose(ctx, all); err != nil {
		return err
	}
	w.recheck = time.Time{}
	if w.reread {
		w.reread, w.seen = false, nil
	}
	if len(w.extras) > 0 {
		s.removeExtra(ctx, all)
	}
	return nil
}

func (s *stepper) step(ctx context.Context) (time.Duration, error) {
	w := &s.work
	s.reduce(time.Now())
	if err := s.lookAround(ctx); err != nil {
		return 0, err
	}
	if w.id == "" {
		if again, done, err := s.obtain(ctx); done {
			return again, err
		}
	}
	if time.Since(w.at) > freshness {
		if err := s.look(ctx); err != nil {
			return 0, err
		}
		if w.id == "" {
			return time.Millisecond, nil
		}
	}
	switch {
	case s.model == nil:
		return s.remove(ctx)
	case strings.HasPrefix(w.last.Provisioning, pendingPrefix):
		return s.wait(), nil
	case w.last.Provisioning == statusError:
		return s.broken(ctx)
	case len(s.model.Listeners) == 0 && !isShare(w.key):
		// Nobody can say what it should be: it stays as it is, its name, tags and floating IP included.
		w.pending = time.Time{}
		return 0, s.done(ctx)
	default:
		return s.converge(ctx)
	}
}

// obtain finds, adopts or creates the load balancer. It is done where the step ends with that.
func (s *stepper) obtain(ctx context.Context) (again time.Duration, done bool, err error) {
	w := &s.work
	none, err := s.find(ctx)
	switch {
	case err != nil || none && w.gone:
		return 0, true, err
	case none:
		return afterlife, true, nil
	}
	switch {
	case w.id != "":
		return 0, false, nil
	case len(s.model.Listeners) == 0:
		return s.leaveAlone(), true, nil
	case s.model.Cloud.Adopt != "":
		err := s.adopt(ctx, s.model.Cloud.Adopt)
		return 0, err != nil, err
	}
	if again := time.Until(s.sure()); again > 0 {
		s.unsure, w.doubt = true, true
		w.reason = orElse(w.reason, "Octavia may be at work on it already")
		return min(again, freshness), true, nil
	}
	again, err = s.create(ctx)
	return again, true, err
}

// sure is when every create of the load balancer that was sent before must have come through. Until then it is looked
// for and not made: Octavia has no create that can be repeated.
func (s *stepper) sure() time.Time {
	sure := latest(s.work.lastWord, s.work.owed)
	if s.begun() {
		return latest(sure, s.engine.started.Add(afterlife))
	}
	return sure
}

// begun reports whether an earlier process may have begun to make the load balancer.
func (s *stepper) begun() bool {
	return slices.ContainsFunc(s.parts, func(p Part) bool { return p.Model.Cloud.Begun })
}

// latest returns the latest of times.
func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// find looks for the load balancer by its tags. It is done where there is none and none is wanted: at once where this
// process has seen it go, else only after a second look, since a create of the process before may still be under way.
// So may one of its own that had no answer.
func (s *stepper) find(ctx context.Context) (done bool, err error) {
	w := &s.work
	if w.doubt || time.Since(w.looked) > freshness {
		all, err := s.engine.api.list(ctx, tagCluster+s.engine.cluster, objectTag(w.key))
		if err != nil {
			return false, err
		}
		if len(all) > 0 {
			err := s.choose(ctx, all) // before doubt is over: what is not chosen must not be made once more
			if w.doubt = err != nil; w.id != "" {
				w.lastWord = time.Time{} // this is what came of the create
			}
			return false, err
		}
		if err := s.inherit(ctx); err != nil || w.id != "" {
			return false, err
		}
		w.looked, w.doubt = time.Now(), false
	}
	if s.model != nil {
		return false, nil
	}
	if err := s.sink(ctx); err != nil {
		return false, err
	}
	if err := s.unfurnish(ctx); err != nil {
		return false, err
	}
	if w.absent.IsZero() {
		w.absent = time.Now()
	}
	w.gone = (w.known || time.Since(w.absent) > afterlife) && !w.looked.Before(w.lastWord)
	w.ready, w.findings = false, nil
	return true, nil
}

// leaveAlone notes that there is no load balancer and that nobody can say what it should be: the object has never been
// right since this process began. It counts as done.
func (s *stepper) leaveAlone() time.Duration {
	s.work.settled, s.work.ready, s.work.reason = s.version, false, "there is no load balancer yet"
	return 0
}

// look reads the load balancer itself.
func (s *stepper) look(ctx context.Context) error {
	w := &s.work
	r, err := s.engine.api.get(ctx, w.id)
	if err != nil && understand(err).trouble == troubleGone {
		if s.model != nil && !w.made {
			s.engine.log.WarnContext(ctx, "load balancer is gone", "object", describe(w.key), "id", w.id)
		}
		w.forget()
		return nil
	}
	if err != nil {
		return err
	}
	if !s.recognise(r) {
		s.engine.log.WarnContext(ctx, "load balancer has lost its tags", "object", describe(w.key), "id", w.id)
		w.forget()
		return nil
	}
	w.take(r, time.Now())
	return nil
}

// recognise reports whether a load balancer that was ours still is. One that has lost all our tags is as long as it has
// our name; it gets the tags back. Else it may be somebody else's by now. One that is going loses its tags first.
func (s *stepper) recognise(r root) bool {
	mine := []string{tagCluster + s.engine.cluster, objectTag(s.work.key)}
	return owned(r.Tags, mine) || s.inherits(r) || r.Provisioning == statusPendingDelete ||
		s.model != nil && r.Name == s.want.Name
}

// create makes the load balancer with all that it has. Ports whose certificates are not to be had come later, if there
// are others.
func (s *stepper) create(ctx context.Context) (time.Duration, error) {
	w := &s.work
	if short := s.furnish(ctx); short != nil {
		s.borrow(Seen{})
		switch {
		case len(s.want.Listeners) > 0:
		case w.bars.only > 0 && s.alone(&failure{trouble: troubleRefused}):
			return time.Millisecond, nil // it is another one's turn
		default:
			return 0, short
		}
	}
	s.tell("Octavia has been asked to make it")
	tree := s.want
	tree.Placement.Address = orElse(tree.Placement.Address, w.address)
	r, err := s.engine.api.create(ctx, tree)
	if err != nil {
		// An answer that says no means that nothing was made; anything else means that nobody knows.
		f := understand(err)
		w.doubt = !f.stays() && f.trouble != troubleLogin
		if w.doubt && !f.unsent {
			w.lastWord = time.Now().Add(afterlifeOf(err))
		}
		if f.trouble == troubleRefused {
			w.address = "" // better another one than none
		}
		if s.alone(f) {
			return time.Millisecond, nil
		}
		return 0, fmt.Errorf("create: %w", err)
	}
	w.bars.only = 0
	w.take(r, time.Now())
	w.made, w.planted, w.filled = true, &tree, membersOf(tree)
	switch {
	case s.begun():
		w.recheck = time.Now().Add(longAfterlife) // the other one may have been slow
	case time.Since(s.engine.started) < afterlife:
		w.recheck = time.Now().Add(afterlife)
	}
	w.changed(time.Now())
	s.engine.log.InfoContext(ctx, "load balancer created", "object", describe(w.key), "id", r.ID, "address", r.Address)
	if w.last.PortID != "" {
		// Now rather than later, for it is the address that the user waits for. What fails is tried again later.
		if err := s.float(ctx); err != nil {
			s.engine.log.WarnContext(ctx, "no floating IP yet", "object", describe(w.key), "error", err)
		}
	}
	return s.wait(), nil
}

// tell says why the load balancer is not ready while a call is under way that may take minutes, unless more is known.
func (s *stepper) tell(reason string) {
	if s.work.reason != "" {
		return
	}
	s.work.reason = reason
	s.engine.mu.Lock()
	s.item.reason = reason
	s.engine.mu.Unlock()
	s.engine.changed()
}

// afterlifeOf is how long a create may go on that ended in an error: one that took too long may still be waiting for
// others.
func afterlifeOf(err error) time.Duration {
	if errors.Is(err, context.DeadlineExceeded) || gophercloud.ResponseCodeIs(err, http.StatusGatewayTimeout) {
		return longAfterlife
	}
	return afterlife
}

// wait notes that Octavia is at work.
func (s *stepper) wait() time.Duration {
	w := &s.work
	if w.pending.IsZero() {
		w.pending = time.Now()
	}
	w.at, w.balks = time.Time{}, time.Time{}
	waited := time.Since(w.pending)
	if waited < s.engine.stuck {
		w.findings = nil
		if !w.ready {
			w.reason = "Octavia is at work on it (" + w.last.Provisioning + ")"
		}
		return w.pause()
	}
	w.findings = []lb.Finding{{Code: lb.CodeCloudStuck, Message: fmt.Sprintf(
		"load balancer %s has been in %s for more than %s; Octavia takes no order until an operator has set its status right",
		w.id, w.last.Provisioning, duration.HumanDuration(s.engine.stuck))}}
	w.reason = "stuck in " + w.last.Provisioning
	return slow
}

// broken deals with ERROR: what was never ready is made again, a few times; anything else is an operator's.
func (s *stepper) broken(ctx context.Context) (time.Duration, error) {
	w := &s.work
	w.pending, w.balks, w.seen = time.Time{}, time.Time{}, nil
	if w.made && w.tries < maxTries {
		if err := s.engine.api.remove(ctx, w.id); err != nil {
			return 0, fmt.Errorf("delete after an error: %w", err)
		}
		w.tries++
		w.changed(time.Now())
		w.reason = fmt.Sprintf("Octavia could not make it; it is made again (%d of %d)", w.tries, maxTries)
		return w.pause(), nil
	}
	w.ready, w.reason = false, "Octavia reports an ERROR"
	w.findings = []lb.Finding{{Code: lb.CodeCloudError, Message: fmt.Sprintf(
		"load balancer %s is in ERROR, and takes no change; have it failed over (kubectl lb failover run %s)", w.id,
		w.key.Name)}}
	return slow, nil
}

// removeExtra makes one load balancer go that is one too many, as soon as Octavia is not at work on it. One that is
// ACTIVE may serve: it stays for as long as the one that is kept is not.
func (s *stepper) removeExtra(ctx context.Context, all []root) {
	w := &s.work
	spared := func(r root) bool {
		return s.model != nil && r.Provisioning == statusActive && w.last.Provisioning != statusActive
	}
	n := slices.IndexFunc(w.extras, func(id string) bool {
		return !slices.ContainsFunc(all, func(r root) bool { return r.ID == id && spared(r) })
	})
	if n < 0 {
		return
	}
	id := w.extras[n]
	if w.doubled.IsZero() {
		s.engine.log.WarnContext(ctx, "two load balancers for one object", "object", describe(w.key), "keeps", w.id,
			"deletes", id)
	}
	if err := s.engine.api.remove(ctx, id); err != nil && understand(err).trouble != troubleGone {
		s.engine.log.WarnContext(ctx, "cannot delete it yet", "id", id, "error", err)
		return
	}
	w.extras = slices.Delete(slices.Clone(w.extras), n, n+1)
}

// mindExtras returns when to try again to make those go that are one too many, 0 where there are none. It reports those
// that Octavia is stuck with.
func (s *stepper) mindExtras(now time.Time) time.Duration {
	w := &s.work
	switch {
	case len(w.extras) == 0:
		w.doubled = time.Time{}
		return 0
	case w.doubled.IsZero():
		w.doubled = now
	}
	if now.Sub(w.doubled) < s.engine.stuck {
		return pace(now.Sub(w.doubled), freshness)
	}
	f := lb.Finding{Code: lb.CodeCloudStuck, Message: fmt.Sprintf("load balancer %s is one too many for this object, and "+
		"Octavia has not let go of it for more than %s; an operator has to set its status right", w.extras[0],
		duration.HumanDuration(s.engine.stuck))}
	if !slices.Contains(w.findings, f) {
		w.findings = append(slices.Clone(w.findings), f)
	}
	return slow
}

// remove makes the load balancer go.
func (s *stepper) remove(ctx context.Context) (time.Duration, error) {
	w := &s.work
	w.ready = false
	if w.last.Provisioning != statusPendingDelete && !strings.HasPrefix(w.last.Provisioning, pendingPrefix) {
		// First, for with the load balancer goes what says that there is one; but what Neutron does not do keeps nothing
		// from being deleted, and is tried again before the load balancer counts as gone.
		if err := s.sink(ctx); err != nil {
			s.engine.log.WarnContext(ctx, "not done yet", "object", describe(w.key), "error", err)
		}
		err := s.engine.api.remove(ctx, w.id)
		if err != nil && understand(err).trouble != troubleGone {
			return 0, fmt.Errorf("delete: %w", err)
		}
		w.changed(time.Now())
		w.reason = "Octavia is at work on it (delete)"
		return w.pause(), nil
	}
	return s.wait(), nil
}

// balk deals with a refusal since Octavia is at work. It is told to the user if it goes on although Octavia is at
// work on nothing: something below is stuck.
func (s *stepper) balk(f *failure) time.Duration {
	w := &s.work
	if w.balks.IsZero() {
		w.balks = time.Now()
	}
	since := time.Since(w.balks)
	if since < s.engine.stuck {
		return pace(since, w.pause())
	}
	w.reason = "Octavia takes no change"
	w.findings = []lb.Finding{{Code: lb.CodeCloudStuck, Message: fmt.Sprintf(
		"load balancer %s is %s, but Octavia has taken no change for more than %s (%s); an operator has to set the status "+
			"of what is below it right", w.id, w.last.Provisioning, duration.HumanDuration(s.engine.stuck), f.text)}}
	return slow
}

// pace is when to try again what has been in vain for so long: less and less, from the least pause on.
func pace(since, least time.Duration) time.Duration { return min(max(since/4, least), slow) }

// fail decides how to go on after a failure.
func (s *stepper) fail(err error) time.Duration {
	w, f := &s.work, understand(err)
	w.at = time.Time{}
	if f.trouble == troubleBusy {
		return s.balk(f)
	}
	w.failed++
	if w.failing.IsZero() {
		w.failing = time.Now()
	}
	w.trouble = f
	s.engine.log.Warn("not done", "object", describe(w.key), "error", err, "trouble", string(f.trouble))
	if !f.aside && (f.trouble == troubleGone || f.taken) {
		w.seen = nil // a child is not where it was, or where it was not
		if w.failed == 1 {
			return time.Millisecond
		}
	}
	if f.trouble == troubleRefused && !f.aside {
		w.refs = nil // it may be that what was in Barbican is no more
	}
	s.lament(f)
	if f.stays() {
		if !f.aside {
			w.seen = nil
		}
		return slow
	}
	pause := min(time.Second<<min(w.failed-1, 10), maxBackoff)
	return max(pause, f.retryAfter)
}

// lament lets the user know of a failure. What one of several is short of is told to that one, and is to the others at
// most why they wait.
func (s *stepper) lament(f *failure) {
	w, ofOne := &s.work, f.lacking && isShare(s.work.key)
	if !w.ready && (ofOne || !f.stays()) {
		w.reason = f.text
	}
	switch {
	case ofOne:
	case f.stays():
		w.findings = []lb.Finding{f.finding()}
	case w.ready && w.settled != s.version && time.Since(w.failing) >= lateAfter:
		w.findings = []lb.Finding{{Code: lb.CodeCloudLate, Message: "the last change does not serve yet, but what was " +
			"there before it, for OpenStack fails: " + f.text}}
	}
}
