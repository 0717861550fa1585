package octavia

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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
}

// run makes the step, and returns when the next one is due; 0 means that there is nothing left to do.
func (s *stepper) run(ctx context.Context) time.Duration {
	again, err := s.step(ctx)
	switch {
	case ctx.Err() != nil:
		return 0 // the program ends; whatever came of the call, the next one finds it
	case err != nil:
		return s.fail(err)
	}
	s.work.failed, s.work.trouble = 0, nil
	if again == 0 && s.work.bars.any() {
		again = s.work.bars.wait(time.Now())
	}
	if again == 0 && len(s.work.extras) > 0 {
		again = freshness
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
	w.recheck = time.Time{}
	w.choose(all, time.Now())
	if w.reread {
		w.reread, w.seen = false, nil
	}
	if len(w.extras) > 0 {
		s.removeExtra(ctx)
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
		done, err := s.find(ctx)
		if err == nil && done && !w.gone {
			return afterlife, nil
		}
		if err != nil || done {
			return 0, err
		}
		if w.id == "" && s.model.Cloud.Adopt != "" {
			if err := s.adopt(ctx, s.model.Cloud.Adopt); err != nil {
				return 0, err
			}
		}
		if w.id == "" && len(s.model.Listeners) == 0 {
			return s.leaveAlone(), nil
		}
		if w.id == "" {
			return s.create(ctx)
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
	default:
		return s.converge(ctx)
	}
}

// find looks for the load balancer by its tags. It is done where there is none and none is wanted: at once where this
// process has seen it go, else only after a second look, since a create of the process before may still be under way.
func (s *stepper) find(ctx context.Context) (done bool, err error) {
	w := &s.work
	if w.doubt || time.Since(w.looked) > freshness {
		all, err := s.engine.api.list(ctx, tagCluster+s.engine.cluster, objectTag(w.key))
		if err != nil {
			return false, err
		}
		w.looked, w.doubt = time.Now(), false
		if len(all) > 0 {
			w.choose(all, time.Now())
			return false, nil
		}
		if err := s.inherit(ctx); err != nil || w.id != "" {
			return false, err
		}
	}
	if s.model != nil {
		return false, nil
	}
	if err := s.sink(ctx); err != nil {
		return false, err
	}
	if w.absent.IsZero() {
		w.absent = time.Now()
	}
	w.gone, w.ready, w.findings = w.known || time.Since(w.absent) > afterlife, false, nil
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
	return owned(r.Tags, mine) || s.inherits(r) || r.Provisioning == statusPendingDelete || s.model != nil && r.Name == s.want.Name
}

// create makes the load balancer with all that it has.
func (s *stepper) create(ctx context.Context) (time.Duration, error) {
	w := &s.work
	tree := s.want
	tree.Placement.Address = orElse(tree.Placement.Address, w.address)
	r, err := s.engine.api.create(ctx, tree)
	if err != nil {
		// An answer that says no means that nothing was made; anything else means that nobody knows.
		f := understand(err)
		w.doubt = !f.stays() && f.trouble != troubleLogin
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
	w.made, w.planted = true, &tree
	if time.Since(s.engine.started) < afterlife {
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

// wait notes that Octavia is at work.
func (s *stepper) wait() time.Duration {
	w := &s.work
	if w.pending.IsZero() {
		w.pending = time.Now()
	}
	w.at = time.Time{}
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
		w.id, w.last.Provisioning, s.engine.stuck)}}
	w.reason = "stuck in " + w.last.Provisioning
	return slow
}

// broken deals with ERROR: what was never ready is made again, a few times; anything else is an operator's.
func (s *stepper) broken(ctx context.Context) (time.Duration, error) {
	w := &s.work
	w.pending, w.seen = time.Time{}, nil
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
		"load balancer %s is in ERROR, and takes no change; a failover (openstack loadbalancer failover %s) may mend it",
		w.id, w.id)}}
	return slow, nil
}

// removeExtra makes one load balancer go that is one too many, as soon as Octavia is not at work on it.
func (s *stepper) removeExtra(ctx context.Context) {
	w := &s.work
	id := w.extras[0]
	s.engine.log.WarnContext(ctx, "two load balancers for one object", "object", describe(w.key), "keeps", w.id,
		"deletes", id)
	if err := s.engine.api.remove(ctx, id); err != nil && understand(err).trouble != troubleGone {
		s.engine.log.WarnContext(ctx, "cannot delete it yet", "id", id, "error", err)
		return
	}
	w.extras = slices.Clone(w.extras[1:])
}

// remove makes the load balancer go.
func (s *stepper) remove(ctx context.Context) (time.Duration, error) {
	w := &s.work
	w.ready = false
	if w.last.Provisioning != statusPendingDelete && !strings.HasPrefix(w.last.Provisioning, pendingPrefix) {
		if err := s.sink(ctx); err != nil {
			return 0, err
		}
		err := s.engine.api.remove(ctx, w.id)
		if err != nil && understand(err).trouble != troubleGone {
			return 0, fmt.Errorf("delete: %w", err)
		}
		w.changed(time.Now())
		w.reason = "it is being deleted"
		return w.pause(), nil
	}
	return s.wait(), nil
}

// fail decides how to go on after a failure.
func (s *stepper) fail(err error) time.Duration {
	w, f := &s.work, understand(err)
	w.at = time.Time{}
	if f.trouble == troubleBusy {
		return w.pause()
	}
	w.failed++
	w.trouble = f
	s.engine.log.Warn("not done", "object", describe(w.key), "error", err, "trouble", string(f.trouble))
	if !f.aside && (f.trouble == troubleGone || f.taken) {
		w.seen = nil // a child is not where it was, or where it was not
		if w.failed == 1 {
			return time.Millisecond
		}
	}
	if f.stays() {
		if w.findings = []lb.Finding{f.finding()}; !f.aside {
			w.seen = nil
		}
		return slow
	}
	if !w.ready {
		w.reason = f.text
	}
	pause := min(time.Second<<min(w.failed-1, 10), maxBackoff)
	return max(pause, f.retryAfter)
}
