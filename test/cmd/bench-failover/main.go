// Command bench-failover measures what clients notice when something of a load-balancer node dies, and what the kernels
// of the nodes say about it: `make bench-failover`. It writes its own section of docs/benchmarks.md, one for each
// profile; rows that it did not measure stay as they are there. It asserts nothing; a measurement that could not be
// made is an error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// burnCommand is the hidden first argument by which this program keeps a core busy until SIGTERM.
const burnCommand = "burn"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if len(os.Args) == 2 && os.Args[1] == burnCommand {
		burn(ctx)
		return
	}
	var o options
	flag.StringVar(&o.profiles, "profile", "default,fast", "comma-separated timing profiles to measure")
	flag.StringVar(&o.rows, "rows", "", "comma-separated rows to measure; empty means all (see -list)")
	flag.IntVar(&o.trials, "trials", 0, "trials of each row; 0 means the row's own number")
	flag.IntVar(&o.addresses, "addresses", 30, "addresses of the fleet")
	flag.DurationVar(&o.saturation, "saturation", 10*time.Minute, "how long all cores are kept busy")
	flag.StringVar(&o.raw, "raw", "", "file that every trial is appended to as a line of JSON")
	flag.BoolVar(&o.dry, "dry", false, "print the figures only, leave docs/benchmarks.md alone")
	list := flag.Bool("list", false, "list the rows and end")
	flag.Parse()
	err := errors.New("unexpected arguments")
	switch {
	case *list:
		for _, r := range rows() {
			fmt.Printf("%-18s %4d  %s\n", r.key, r.trials, r.what)
		}
		err = nil
	case flag.NArg() == 0:
		err = run(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-failover:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	profiles, rows, raw string
	trials, addresses   int
	saturation          time.Duration
	dry                 bool
}

// wanted returns the rows to measure.
func (o options) wanted() ([]row, error) {
	all := rows()
	if o.rows == "" {
		return all, nil
	}
	var some []row
	for key := range strings.SplitSeq(o.rows, ",") {
		i := slices.IndexFunc(all, func(r row) bool { return r.key == key })
		if i < 0 {
			return nil, fmt.Errorf("no row %q (see -list)", key)
		}
		some = append(some, all[i])
	}
	return some, nil
}

func run(ctx context.Context, o options) error {
	wanted, err := o.wanted()
	if err != nil {
		return err
	}
	for profile := range strings.SplitSeq(o.profiles, ",") {
		mine := slices.DeleteFunc(slices.Clone(wanted), func(r row) bool { return r.only != "" && r.only != profile })
		// Rows that need another configuration of the cluster get a cluster of their own.
		for len(mine) > 0 {
			software := mine[0].on(profile)
			same := func(r row) bool { return r.on(profile) == software }
			if err := runOn(ctx, o, profile, software, slices.DeleteFunc(slices.Clone(mine), not(same))); err != nil {
				return fmt.Errorf("profile %s: %w", profile, err)
			}
			mine = slices.DeleteFunc(mine, same)
		}
	}
	return nil
}

func not(is func(row) bool) func(row) bool { return func(r row) bool { return !is(r) } }

// runOn measures rows on a cluster of that configuration. What was measured before an error is kept.
func runOn(ctx context.Context, o options, profile, software string, mine []row) error {
	s, err := newStage(ctx, o, profile, software)
	if err != nil {
		return err
	}
	defer s.close()
	for _, r := range mine {
		if o.trials > 0 {
			r.trials = min(r.trials, o.trials)
		}
		measured, err := s.measureRow(ctx, r)
		for _, m := range measured {
			fmt.Println(m.line())
		}
		if len(measured) > 0 && !o.dry {
			path := filepath.Join(s.rig.Repo, "docs", "benchmarks.md")
			err = errors.Join(err, publish(path, profile, s.rig.Repo, measured))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.key, err)
		}
	}
	return nil
}

// measureRow makes the trials of a row. A row is a fault and, mostly, the way back, so there are several results.
func (s *stage) measureRow(ctx context.Context, r row) ([]result, error) {
	results := make([]result, len(r.parts()))
	for i, part := range r.parts() {
		results[i] = result{what: part.what, goal: part.goal}
	}
	for n := range r.trials {
		if err := s.converge(ctx, !r.headless); err != nil {
			return measuredOnly(results), fmt.Errorf("before trial %d: %w", n, err)
		}
		trials, err := r.do(ctx, s, n)
		if err != nil {
			return measuredOnly(results), fmt.Errorf("trial %d: %w", n, err)
		}
		for i, t := range trials {
			results[i].trials = append(results[i].trials, t)
			s.note(r.key, i, n, t)
		}
	}
	if r.after != nil {
		return measuredOnly(results), r.after(ctx, s)
	}
	return measuredOnly(results), nil
}

func measuredOnly(results []result) []result {
	return slices.DeleteFunc(results, func(r result) bool { return len(r.trials) == 0 })
}

// note appends a trial to the file of raw figures and says how it went.
func (s *stage) note(key string, part, n int, t trial) {
	fmt.Fprintf(os.Stderr, "%s %s/%d #%d: %s\n", time.Now().UTC().Format(time.TimeOnly), key, part, n, t)
	if s.options.raw == "" {
		return
	}
	line, err := json.Marshal(struct {
		Profile, Row string
		Part, Number int
		Trial        trial
	}{s.profile, key, part, n, t})
	if err == nil {
		err = appendLine(s.options.raw, line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-failover: raw figures:", err)
	}
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
