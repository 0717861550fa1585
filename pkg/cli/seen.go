package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

// feed is a copy of the documents that follows every change of theirs.
type feed struct {
	changed   chan struct{}
	documents func() view.Documents
}

// follow starts a feed, which ends with the context.
func (c *cluster) follow(ctx context.Context) *feed {
	f := &feed{changed: make(chan struct{}, 1)}
	read := follower(ctx, c, c.system, systemSelector, f.changed)
	f.documents = func() view.Documents { return c.clock.Documents(read()) }
	return f
}

// untilSeen watches the documents until look finds nothing missing any more. On timeout, the last that was missing is
// the error.
func (w *waiting) untilSeen(ctx context.Context, c *cluster, look func(view.Documents) (missing string)) error {
	limited, cancel := context.WithCancel(ctx)
	if w.timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, w.timeout)
	}
	defer cancel()
	f := c.follow(limited)
	for {
		missing := look(f.documents())
		if missing == "" {
			return nil
		}
		select {
		case <-f.changed:
		case <-time.After(lastLook): // A node that falls silent says nothing more.
		case <-limited.Done():
			if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
				return &exitError{code: ExitTimeout, err: fmt.Errorf("timed out after %s: %s", w.timeout, missing)}
			}
			return ctx.Err()
		}
	}
}
