package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// waiting is --wait and --timeout.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) addTo(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "Wait until "+what+".")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "How long --wait waits; 0 waits for ever.")
}

func (w *waiting) validate() error {
	if w.timeout < 0 {
		return usagef("--timeout must not be negative")
	}
	return nil
}

const (
	// firstLook is the time before the second look; a load balancer usually takes about that long.
	firstLook = 50 * time.Millisecond
	lastLook  = time.Second
)

// until looks again and again until what is waited for has happened, at first quickly, then every second. The look
// returns what is still missing, or "" when nothing is. On timeout the last reason is the error.
func (w *waiting) until(ctx context.Context, look func(context.Context) (missing string, err error)) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if w.timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, w.timeout)
	}
	defer cancel()
	reason := "nothing is known yet"
	for delay := firstLook; ; delay = min(delay*3/2, lastLook) {
		missing, err := look(limited)
		switch {
		case err == nil && missing == "":
			return nil
		case err == nil:
			reason = missing
		case limited.Err() == nil:
			return err
		}
		if !pause(limited, delay) {
			break
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &exitError{code: ExitTimeout, err: fmt.Errorf("timed out after %s: %s", w.timeout, reason)}
}
