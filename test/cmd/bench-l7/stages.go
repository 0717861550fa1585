package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// trial is a change: when the API server had it, and when it was seen in an answer.
type trial struct{ begun, seen time.Time }

func (t trial) took() time.Duration { return t.seen.Sub(t.begun) }

// arrivals are the times at which documents of the controller came to a watch, as they come to the daemons'.
type arrivals struct {
	watch watch.Interface
	mu    sync.Mutex
	times []time.Time
}

// attend begins to watch.
func attend(ctx context.Context, r *rig.Rig) (*arrivals, error) {
	w, err := r.Client.CoreV1().ConfigMaps(rig.SystemNamespace).Watch(ctx, metav1.ListOptions{
		LabelSelector: nodeconfig.LabelApp + "=" + nodeconfig.AppConfig,
	})
	if err != nil {
		return nil, err
	}
	a := &arrivals{watch: w}
	go func() {
		for event := range w.ResultChan() {
			if event.Type == watch.Modified {
				a.mu.Lock()
				a.times = append(a.times, time.Now())
				a.mu.Unlock()
			}
		}
	}()
	return a, nil
}

// after returns the first arrival after a time.
func (a *arrivals) after(at time.Time) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.times {
		if t.After(at) {
			return t, true
		}
	}
	return time.Time{}, false
}

// taken is what a daemon logs of a generation that it has made run.
type taken struct {
	// begun is when it began to render.
	begun                time.Time
	render, check, serve time.Duration
}

// generationRuns is such a line; its times are those of candidate.stages (pkg/internal/agent).
var generationRuns = regexp.MustCompile(`(?m)^time=(\S+) .*msg="a generation runs" .*took\.render=(\S+) ` +
	`took\.check=(\S+) took\.nginx=(\S+) took\.keepalived=\S+ took\.all=(\S+)`)

// parseTaken reads a daemon's log.
func parseTaken(log string) ([]taken, error) {
	var all []taken
	for _, m := range generationRuns.FindAllStringSubmatch(log, -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil {
			return nil, err
		}
		var ds [4]time.Duration
		for i := range ds {
			if ds[i], err = time.ParseDuration(m[i+2]); err != nil {
				return nil, err
			}
		}
		all = append(all, taken{begun: at.Add(-ds[3]), render: ds[0], check: ds[1], serve: ds[2]})
	}
	return all, nil
}

// logTime is how exact the log's times are.
const logTime = 2 * time.Millisecond

// breakdown says where the time of the trials went: the median of each stage.
func breakdown(ctx context.Context, r *rig.Rig, trials []trial, a *arrivals) (string, error) {
	since := trials[0].begun.Add(-time.Second).UTC().Format(time.RFC3339)
	log, err := r.MustKubectl(ctx, "", "-n", rig.SystemNamespace, "logs", "ds/lb-daemon", "--since-time="+since)
	if err != nil {
		return "", err
	}
	runs, err := parseTaken(log)
	if err != nil {
		return "", err
	}
	return stagesOf(trials, a, runs)
}

func stagesOf(trials []trial, a *arrivals, runs []taken) (string, error) {
	names := []string{"controller", "to the daemon", "render", "nginx -t", "reload", "first answer"}
	var found [][]time.Duration
	for _, t := range trials {
		written, ok := a.after(t.begun)
		if !ok {
			continue
		}
		for _, run := range runs {
			if run.begun.Add(logTime).Before(written) {
				continue
			}
			serves := run.begun.Add(run.render + run.check + run.serve)
			found = append(found, []time.Duration{
				written.Sub(t.begun), run.begun.Sub(written), run.render, run.check, run.serve, t.seen.Sub(serves),
			})
			break
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("none of %d trials can be found in the daemon's log of %d generations", len(trials), len(runs))
	}
	var parts []string
	for i, name := range names {
		took := median(found, func(ds []time.Duration) time.Duration { return max(0, ds[i]) })
		parts = append(parts, fmt.Sprintf("%s %d ms", name, took.Milliseconds()))
	}
	return strings.Join(parts, ", "), nil
}
