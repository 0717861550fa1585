package octavia

import (
	"context"
	"fmt"
	"time"
)

// converge compares what there is with what is wanted, and does the first thing that differs.
func (s *stepper) converge(ctx context.Context) (time.Duration, error) {
	w := &s.work
	w.pending = time.Time{}
	w.made = w.made && w.last.Provisioning != statusActive // from now on it may serve
	if restless, err := s.see(ctx); err != nil || restless {
		return time.Second, err
	}
	w.seen.Name, w.seen.Tags = w.last.Name, w.last.Tags
	if s.yield() {
		return time.Millisecond, nil
	}
	w.unfill(s.want)
	short := s.equip(ctx)
	ops := Diff(s.want, *w.seen)
	if len(ops) > 0 && ops[0].NeedsID {
		if restless, err := s.read(ctx); err != nil || restless {
			return time.Second, err
		}
		ops = Diff(s.want, *w.seen)
	}
	if len(ops) == 0 {
		return s.rest(ctx, short)
	}
	return s.perform(ctx, ops)
}

// perform does the first operation.
func (s *stepper) perform(ctx context.Context, ops []Op) (time.Duration, error) {
	w := &s.work
	s.begin()
	s.engine.log.InfoContext(ctx, "change", "object", describe(w.key), "id", w.id, "do", ops[0].String(),
		"left", len(ops)-1)
	seen := *w.seen
	op, err := s.act(ctx, ops)
	if err != nil {
		w.seen = nil // it may have happened all the same, or somebody else is at it
		if s.bar(op, understand(err), seen) {
			return time.Millisecond, nil
		}
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	if op.Verb == Fill {
		w.filled = membersOf(Tree{Pools: []Pool{*op.Pool}}, w.filled)
	}
	w.changed(time.Now())
	if !w.ready {
		w.reason = fmt.Sprintf("Octavia is at work on it (%s)", op)
	}
	return w.pause(), nil
}

// act does the first operation, and returns which it was. Before a listener makes way for one of HTTPS, Octavia is
// asked for that one: it fetches the certificates before it sees that the port is taken, so that one that it cannot
// read takes nothing away. What is in them it looks at only later (11.0, api/v2/controllers/listener.py).
func (s *stepper) act(ctx context.Context, ops []Op) (Op, error) {
	api, w := s.engine.api, &s.work
	if next := successor(ops); next != nil {
		err := api.do(ctx, *next, s.want, w.seen)
		if err == nil || !understand(err).taken {
			return *next, err
		}
	}
	return ops[0], api.do(ctx, ops[0], s.want, w.seen)
}

// equip enters the certificates into the wish. Where some are not to be had it returns why, and enters what their
// listeners have: that is good until the new ones are there, and all else goes on.
func (s *stepper) equip(ctx context.Context) (short error) {
	if short = s.furnish(ctx); short != nil {
		s.borrow(*s.work.seen)
	}
	return short
}

// rest notes that nothing differs, once Octavia has said so as well, and but for what falls short of the wish.
func (s *stepper) rest(ctx context.Context, short error) (time.Duration, error) {
	if !s.work.sure {
		if again, err := s.confirm(ctx); again > 0 || err != nil {
			return again, err
		}
	}
	s.work.bars.again = nil // what was tried again is there
	if short != nil {
		return 0, s.makeDo(ctx, short)
	}
	return 0, s.settle(ctx)
}

// begin notes that what changes from here on is our own doing. As long as a call of the process before may still come
// through, the two could make the same thing.
func (s *stepper) begin() {
	w := &s.work
	w.settled, w.worked = 0, true
	w.reread = w.reread || time.Since(s.engine.started) < afterlife
}

// see makes sure that something is known of the children. What this process has just created is asked for its
// statuses only: everything else of it is known. Where they are restless, it has to look again.
func (s *stepper) see(ctx context.Context) (restless bool, err error) {
	w := &s.work
	switch {
	case w.seen != nil:
		return false, nil
	case w.planted != nil:
		status, err := s.engine.api.status(ctx, w.id)
		if err != nil {
			return false, err
		}
		w.learn(status.children())
		seen := confirm(w.last, *w.planted, status)
		if w.seen = &seen; w.restless() {
			return true, nil
		}
		w.sure, w.planted = true, nil
		return false, nil
	default:
		return s.read(ctx)
	}
}

func (s *stepper) read(ctx context.Context) (restless bool, err error) {
	w := &s.work
	seen, err := s.engine.api.read(ctx, w.last)
	if err != nil {
		return false, err
	}
	w.learn(seen.Children)
	if w.seen = &seen; w.restless() {
		return true, nil
	}
	w.sure = true
	return false, nil
}

// restless reports whether Octavia seems to be at work on children that have just been read. A call of somebody else
// may have come after the look at the load balancer, and Octavia ends work on the two one after the other. Only what
// a second look shows just so, below a load balancer that is ACTIVE and has not been touched, is stuck.
func (i *item) restless() bool {
	pending := i.seen.pending()
	if pending == "" {
		i.unrest = ""
		return false
	}
	pending = i.last.Updated + pending
	if i.unrest == pending {
		return false
	}
	i.unrest, i.seen, i.at = pending, nil, time.Time{}
	return true
}

// confirm asks Octavia whether it has done what it was told. Where it has not, everything is read anew, and there is
// another step to come.
func (s *stepper) confirm(ctx context.Context) (time.Duration, error) {
	w := &s.work
	status, err := s.engine.api.status(ctx, w.id)
	if err != nil {
		return 0, err
	}
	w.learn(status.children())
	if again := confirm(w.last, s.want, status); len(Diff(s.want, again)) > 0 {
		w.seen = nil
		return time.Millisecond, nil
	}
	w.sure = true
	return 0, nil
}

// settle notes that all is as it is wanted.
func (s *stepper) settle(ctx context.Context) error {
	if err := s.anchor(ctx); err != nil {
		return err
	}
	return s.done(ctx)
}

// anchor makes the floating IP what is wanted, unless nobody can say what is to become of it.
func (s *stepper) anchor(ctx context.Context) error {
	if len(s.want.Listeners) == 0 && len(s.want.Left) > 0 {
		return nil
	}
	return s.float(ctx)
}

// done notes that there is nothing left to do.
func (s *stepper) done(ctx context.Context) error {
	w := &s.work
	if err := s.detail(ctx); err != nil {
		return err
	}
	w.settled, w.calm, w.operating = s.version, w.last.Updated, w.last.Operating
	w.filled = membersOf(s.want)
	w.tries, w.looks, w.balks = 0, 0, time.Time{}
	if w.reread {
		w.recheck = s.engine.started.Add(afterlife)
	}
	if w.worked {
		w.worked, w.second = false, time.Now().Add(secondLook)
	}
	w.ready, w.reason, w.findings = true, "", append(w.weakness(), s.misplaced()...)
	s.tidy(ctx)
	return nil
}
