package witness

import (
	"context"
	"net/netip"
	"time"
)

// Watch keeps asking a witness.
type Watch struct {
	// Interval is the time between questions; an answer that takes longer is none.
	Interval time.Duration
	// Addresses returns who can be asked now; an answer of any of them will do.
	Addresses func() []netip.Addr
	// Ask asks them and reports whether one has answered within the time.
	Ask func(ctx context.Context, addrs []netip.Addr, within time.Duration) bool
	// Known is what was last known of this witness; empty for nothing. One that was lost has to come back.
	Known State
	// Report is called with the first state and with every change. It must not block for long.
	Report func(State)
}

// Run asks until the context is done.
func (w Watch) Run(ctx context.Context) {
	j := newJudge(w.Known)
	tick := time.NewTicker(w.Interval)
	defer tick.Stop()
	var last State
	for {
		var state State
		if addrs := w.Addresses(); len(addrs) == 0 {
			state = j.nobody()
		} else {
			answered := w.Ask(ctx, addrs, w.Interval)
			if ctx.Err() != nil {
				return
			}
			state = j.hear(time.Now(), answered)
		}
		if state != last {
			w.Report(state)
			last = state
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
