// Command bench measures kubectl-lb in a lab and writes what it found to its section of docs/benchmarks.md: `make
// bench`. It asserts nothing; a measurement that could not be made is an error.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

func main() {
	var o options
	only := flag.String("only", "", "comma-separated measurements to make; the file is not written then")
	flag.IntVar(&o.trials, "trials", 50, "trials of apply-to-answer")
	flag.IntVar(&o.bulk, "bulk", 200, "load balancers created at once")
	flag.DurationVar(&o.outage, "outage", time.Minute, "how long the API server is away")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, *only); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the sizes of the measurements.
type options struct {
	trials, bulk int
	outage       time.Duration
}

// bench is a run of measurements on one rig.
type bench struct {
	options
	rig  *rig.Rig
	rows []row
}

// row is a line of the table.
type row struct{ what, goal, measured string }

func (b *bench) report(what, goal, format string, args ...any) {
	r := row{what: what, goal: goal, measured: fmt.Sprintf(format, args...)}
	b.rows = append(b.rows, r)
	fmt.Printf("%s: %s (goal: %s)\n", r.what, r.measured, r.goal)
}

func run(ctx context.Context, o options, only string) error {
	r, err := rig.Up(ctx, rig.Options{Name: "bench", LBNodes: 3, Workers: 2, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer r.Down()
	if err := r.Install(ctx); err != nil {
		return err
	}
	if err := r.ApplyFile(ctx, "examples/coffee-app.yaml"); err != nil {
		return err
	}
	if err := r.WaitService(ctx, "default", "coffee-svc"); err != nil {
		return err
	}
	b := &bench{options: o, rig: r}
	for _, m := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"apply", b.apply}, {"churn", b.churn}, {"restarts", b.restarts}, {"bulk", b.many}, {"outage", b.apiOutage},
	} {
		if only != "" && !strings.Contains(","+only+",", ","+m.name+",") {
			continue
		}
		if err := m.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if only != "" {
		return nil
	}
	return rig.WriteSection(filepath.Join(r.Repo, "docs", "benchmarks.md"), "bench", b.markdown())
}
