package agent

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/logtail"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The pace of reports.
const (
	reportGather  = 30 * time.Millisecond // changes that come together are reported together
	reportWithin  = 5 * time.Second
	reportRetry   = time.Second
	farewellLimit = time.Second
)

// report tells the controller the status: soon after every change, and now and then although nothing has changed. It
// never holds anything up.
func (a *Agent) report(ctx context.Context) {
	if a.opts.Report == nil {
		return
	}
	heartbeat := time.NewTicker(nodeconfig.HeartbeatInterval)
	defer heartbeat.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
		case <-a.track.changed:
			pause(ctx, reportGather)
		}
		err := a.reportOnce(ctx, reportWithin)
		if err != nil && ctx.Err() == nil {
			if !failing {
				a.opts.Log.Warn("the status cannot be reported", "error", err)
			}
			poke(a.track.changed)
			pause(ctx, reportRetry)
		}
		failing = err != nil
	}
}

func (a *Agent) reportOnce(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return a.opts.Report(ctx, a.track.snapshot())
}

// lastReport says goodbye.
func (a *Agent) lastReport(ctx context.Context) {
	a.track.refresh()
	if a.opts.Report == nil {
		return
	}
	if err := a.reportOnce(ctx, farewellLimit); err != nil {
		a.opts.Log.Warn("the last status cannot be reported", "error", err)
	}
}

// Status returns the node's status.
func (a *Agent) Status() nodeconfig.Status { return a.track.snapshot() }

// Ready reports whether a configuration runs: the one that is wanted, or the last good one.
func (a *Agent) Ready() bool { return a.track.ready() }

// carryLogs carries the lines of nginx and keepalived over into the agent's log.
func (a *Agent) carryLogs(ctx context.Context) {
	var wait sync.WaitGroup
	for origin, path := range map[string]string{"nginx": a.nginx.LogPath(), "keepalived": a.keepalived.LogPath()} {
		log := a.opts.Log.With("origin", origin)
		wait.Go(func() {
			tail := logtail.Tail{Path: path}
			err := tail.Run(ctx, func(line string) { log.Log(ctx, severity(line), "said", "line", line) })
			if err != nil {
				log.Error("its log cannot be read", "error", err)
			}
		})
	}
	wait.Wait()
}

// marked finds the level that nginx gives a line of its own, at the beginning. What clients send may be anywhere else.
var marked = regexp.MustCompile(`^(?:nginx:|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (\[[a-z]+\])`)

// severity guesses how bad a line is by the marks that nginx sets; keepalived sets none. What both say about every
// reload is for debugging.
func severity(line string) slog.Level {
	mark := "Printing VRRP as json"
	if m := marked.FindStringSubmatch(line); m != nil {
		mark = m[1]
	} else if !strings.Contains(line, mark) {
		return slog.LevelInfo
	}
	switch mark {
	case "[emerg]", "[alert]", "[crit]", "[error]":
		return slog.LevelError
	case "[warn]":
		return slog.LevelWarn
	case "[info]":
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
