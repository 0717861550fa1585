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
	if err := s.see(ctx); err != nil {
		return 0, err
	}
	w.seen.Name, w.seen.Tags = w.last.Name, w.last.Tags
	ops := Diff(s.want, *w.seen)
	if len(ops) > 0 && ops[0].NeedsID {
		if err := s.read(ctx); err != nil {
			return 0, err
		}
		ops = Diff(s.want, *w.seen)
	}
	if len(ops) == 0 && !w.sure {
		return s.confirm(ctx)
	}
	if len(ops) == 0 {
		return 0, s.settle(ctx)
	}
	s.begin()
	s.engine.log.InfoContext(ctx, "change", "object", describe(w.key), "id", w.id, "do", ops[0].String(),
		"left", len(ops)-1)
	if err := s.engine.api.do(ctx, ops[0], s.want, w.seen); err != nil {
		if understand(err).trouble != troubleBusy {
			w.seen = nil // it may have happened all the same
		}
		if s.bar(ops[0], understand(err)) {
			return time.Millisecond, nil
		}
		return 0, fmt.Errorf("%s: %w", ops[0], err)
	}
	w.changed(time.Now())
	if !w.ready {
		w.reason = fmt.Sprintf("Octavia is at work on it (%s)", ops[0])
	}
	return w.pause(), nil
}

// begin notes that what changes from here on is our own doing. As long as a call of the process before may still come
// through, the two could make the same thing.
func (s *stepper) begin() {
	w := &s.work
	w.settled, w.worked = 0, true
	w.reread = w.reread || time.Since(s.engine.started) < afterlife
}

// see makes sure that something is known of the children. What this process has just created is asked for its
// statuses only: everything else of it is known.
func (s *stepper) see(ctx context.Context) error {
	w := &s.work
	switch {
	case w.seen != nil:
		return nil
	case w.planted != nil:
		status, err := s.engine.api.status(ctx, w.id)
		if err != nil {
			return err
		}
		w.learn(status.children())
		seen := confirm(w.last, *w.planted, status)
		w.seen, w.sure, w.planted = &seen, true, nil
		return nil
	default:
		return s.read(ctx)
	}
}

func (s *stepper) read(ctx context.Context) error {
	seen, err := s.engine.api.read(ctx, s.work.last)
	if err != nil {
		return err
	}
	s.work.seen, s.work.sure = &seen, true
	s.work.learn(seen.Children)
	return nil
}

// confirm asks Octavia whether it has done what it was told. Where it has not, everything is read anew.
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
	return 0, s.settle(ctx)
}

// settle notes that all is as it is wanted.
func (s *stepper) settle(ctx context.Context) error {
	w := &s.work
	if err := s.float(ctx); err != nil {
		return err
	}
	if err := s.detail(ctx); err != nil {
		return err
	}
	w.settled, w.calm, w.operating = s.version, w.last.Updated, w.last.Operating
	w.made, w.tries, w.looks = false, 0, 0
	if w.reread {
		w.recheck = s.engine.started.Add(afterlife)
	}
	if w.worked {
		w.worked, w.second = false, time.Now().Add(secondLook)
	}
	w.ready, w.reason, w.findings = true, "", w.weakness()
	return nil
}
