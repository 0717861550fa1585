// Command chaos breaks a fleet at random for a while and judges what became of its addresses: `make chaos`. It ends
// with status 0 only if no law was broken (see package chaos); else it keeps the history, which -check judges again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/chaos"
)

func main() {
	var o chaos.Options
	var b chaos.Bounds
	var keep, check string
	var always bool
	flag.DurationVar(&o.Length, "duration", 10*time.Minute, "how long faults are made")
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "the seed of the plan")
	flag.IntVar(&o.Addresses, "addresses", 20, "addresses that are served and judged")
	flag.StringVar(&o.Name, "name", "chaos", "the lab's name")
	flag.Float64Var(&b.Slack, "slack", 1, "factor of all bounds, for machines that are busy")
	flag.StringVar(&keep, "keep", os.TempDir(), "folder that the history of a failed run is kept in")
	flag.BoolVar(&always, "always", false, "keep the history of a clean run, too")
	flag.StringVar(&check, "check", "", "judge this history instead of making one")
	plan := flag.Bool("plan", false, "print the plan and end")
	flag.Parse()
	if *plan {
		for _, s := range chaos.NewPlan(o.Seed, o.Length, []string{"lb1", "lb2", "lb3"}) {
			fmt.Printf("%8.1f s  %s\n", s.At.Seconds(), s)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	clean, err := run(ctx, o, b, keep, check, always)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	case !clean:
		os.Exit(1)
	}
}

// run makes or reads a history and says what is to be said about it.
func run(
	ctx context.Context, o chaos.Options, b chaos.Bounds, keep, check string, always bool,
) (clean bool, err error) {
	o.Out = os.Stderr
	var history chaos.History
	if check != "" {
		f, err := os.Open(check)
		if err != nil {
			return false, err
		}
		defer f.Close()
		if history, err = chaos.Read(f); err != nil {
			return false, fmt.Errorf("%s: %w", check, err)
		}
	} else if history, err = chaos.Run(ctx, o); err != nil {
		if len(history) > 0 {
			_, _ = save(history, keep, o.Seed)
		}
		return false, err
	}
	summary, violations := chaos.Check(history, b)
	for _, v := range violations {
		fmt.Println(v)
	}
	verdict := "CLEAN"
	if len(violations) > 0 {
		verdict = fmt.Sprintf("%d VIOLATIONS", len(violations))
	}
	fmt.Printf("%s: %s\n", verdict, summary)
	if check == "" {
		fmt.Printf("again: make chaos SEED=%d DURATION=%s\n", o.Seed, o.Length)
		if len(violations) > 0 || always {
			path, err := save(history, keep, o.Seed)
			if err != nil {
				return false, err
			}
			fmt.Printf("history: %s (chaos -check FILE judges it again)\n", path)
		}
	}
	return len(violations) == 0, nil
}

func save(history chaos.History, dir string, seed uint64) (path string, err error) {
	path = filepath.Join(dir, fmt.Sprintf("chaos-%d-%s.jsonl", seed, time.Now().UTC().Format("20060102T150405")))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := history.Write(f); err != nil {
		return "", err
	}
	return path, f.Close()
}
