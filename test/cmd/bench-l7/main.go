// Command bench-l7 measures layer 7 and writes what it found to its section of docs/benchmarks.md: `make bench-l7`.
//
//	throughput  our rendered nginx beside a hand-tuned minimal one on the same machine, in turns
//	handshakes  what a TLS handshake costs beside few and many certificates, beside one by hand
//	changes     many changes of neighbours under constant load: who loses a request
//	rotation    certificates replaced under handshakes: who loses one, and when the new one is shown
//	rollout     twenty pods replaced under load, by Service and by endpoints
//	scale       from a change to its first answer, beside few and many load balancers, and the memory that they take
//
// It asserts nothing; a measurement that could not be made is an error.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/controlplane"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "comma-separated measurements to make; docs/benchmarks.md is left alone then")
	flag.DurationVar(&o.wrk, "wrk", 3*time.Second, "how long each run of load takes, whole seconds")
	flag.IntVar(&o.rounds, "rounds", 7, "runs of load for each configuration")
	flag.StringVar(&o.certificates, "certificates", "10,1000", "numbers of certificates that nginx has")
	flag.IntVar(&o.changes, "changes", 200, "changes under load")
	flag.DurationVar(&o.within, "within", time.Minute, "how long these changes take")
	flag.IntVar(&o.rotations, "rotations", 100, "certificates replaced under load")
	flag.StringVar(&o.sizes, "sizes", "10,1000,5000", "numbers of load balancers, growing")
	flag.IntVar(&o.trials, "trials", 20, "trials of a change for each size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-l7:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	only, sizes, certificates          string
	wrk, within                        time.Duration
	rounds, changes, rotations, trials int
}

// bench is a run of measurements.
type bench struct {
	options
	repo string
	rows []row
	took time.Duration
}

// row is a line of the table.
type row struct{ what, goal, measured, verdict string }

// report adds a figure without a goal.
func (b *bench) report(what, format string, args ...any) {
	b.add(row{what: what, goal: "–", measured: fmt.Sprintf(format, args...), verdict: "–"})
}

// judge adds a figure with its goal, and whether that is met.
func (b *bench) judge(what, goal string, met bool, format string, args ...any) {
	verdict := "met"
	if !met {
		verdict = "**missed**"
	}
	b.add(row{what: what, goal: goal, measured: fmt.Sprintf(format, args...), verdict: verdict})
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Printf("%s: %s (goal: %s; %s)\n", r.what, r.measured, r.goal, r.verdict)
}

func run(ctx context.Context, o options) error {
	repo, err := controlplane.RepoRoot()
	if err != nil {
		return err
	}
	b := &bench{options: o, repo: repo}
	all := []struct {
		name string
		do   func(context.Context) error
	}{
		{"throughput", b.throughput}, {"handshakes", b.handshakes}, {"changes", b.changing}, {"rotation", b.rotation},
		{"rollout", b.rollout}, {"scale", b.scale},
	}
	begun := time.Now()
	only := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	for _, m := range all {
		if len(only) > 0 && !slices.Contains(only, m.name) {
			continue
		}
		at := time.Now()
		if err := m.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %s\n", m.name, time.Since(at).Round(time.Second))
	}
	if len(only) > 0 {
		return nil
	}
	b.took = time.Since(begun)
	return rig.WriteSection(filepath.Join(repo, "docs", "benchmarks.md"), "bench-l7", b.markdown())
}

// on runs a measurement on a lab of its own, with kubectl-lb installed and the applications running.
func (b *bench) on(ctx context.Context, nodes, workers int, measure func(*rig.Rig) error) error {
	r, err := rig.Up(ctx, rig.Options{Name: "benchl7", LBNodes: nodes, Workers: workers, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer r.Down()
	if err := r.Install(ctx); err != nil {
		return err
	}
	if err := r.ApplyFile(ctx, "examples/tea-app.yaml"); err != nil {
		return err
	}
	if err := r.WaitService(ctx, "default", "tea"); err != nil {
		return err
	}
	return measure(r)
}
