// Command bench-octavia measures the Octavia backend before a real Octavia and writes what it found to its section of
// docs/benchmarks.md: `make bench-octavia`. It asserts nothing; a measurement that could not be made is an error.
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

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

func main() {
	var o options
	flag.IntVar(&o.trials, "trials", 5, "trials of what takes seconds")
	flag.IntVar(&o.fleet, "fleet", 100, "load balancers of the resync")
	flag.StringVar(&o.cloud, "cloud", "", "a running cloud (lab octavia up) to use; default: one of its own")
	flag.StringVar(&o.file, "file", filepath.Join("docs", "benchmarks.md"), "the file to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench-octavia:", err)
		os.Exit(1)
	}
}

type options struct {
	trials, fleet int
	cloud, file   string
	// load is how busy the machine was with other things before anything was started.
	load string
}

func run(ctx context.Context, o options) error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	o.load, _, _ = strings.Cut(string(load), " ")
	c, down, err := theCloud(ctx, o.cloud)
	if err != nil {
		return err
	}
	defer down()
	b, err := newBench(ctx, c, o)
	if err != nil {
		return err
	}
	defer b.close()
	for _, m := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"create and delete", b.createAndDelete}, {"ten at once", b.tenAtOnce}, {"node added", b.nodeAdded},
		{"resync", b.resync},
	} {
		if err := m.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return rig.WriteSection(o.file, "bench-octavia", b.markdown())
}

func theCloud(ctx context.Context, name string) (*octavia.Cloud, func(), error) {
	if name != "" {
		c, err := octavia.Open(name)
		return c, func() {}, err
	}
	c, err := octavia.Up(ctx, octavia.Options{Name: "bench", Tied: true, Out: os.Stderr})
	if err != nil {
		return nil, nil, err
	}
	return c, func() {
		if err := c.Down(); err != nil {
			fmt.Fprintln(os.Stderr, "bench-octavia:", err)
		}
	}, nil
}

// row is a line of the table.
type row struct{ what, occm, goal, measured string }

func (b *bench) report(what, occm, goal, format string, args ...any) {
	r := row{what, occm, goal, fmt.Sprintf(format, args...)}
	b.rows = append(b.rows, r)
	fmt.Printf("%s: %s (goal: %s)\n", r.what, r.measured, r.goal)
}

func (b *bench) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, `## Octavia

Written by %[1]smake bench-octavia%[1]s; do not edit. Before a real Octavia 11 and Keystone with the no-op drivers, on
the machine that also measures. Calls are counted at a proxy; the login is not among them. "Polls" are GETs of one load
balancer while Octavia is at work on it. OCCM is OpenStack's cloud provider for Kubernetes, v1.36.0, in the same kind of
lab. The load is that of the minute before: what else the machine had to do.

- Date: %[2]s
- Commit: %[3]s
- Machine: %[4]s
- Load before: %[5]s

| what | OCCM | goal | measured |
|---|---|---|---|
`, "`", time.Now().UTC().Format(time.DateOnly), rig.Commit("."), rig.Machine(), b.load)
	for _, r := range b.rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s |\n", r.what, r.occm, r.goal, r.measured)
	}
	return t.String()
}
