// Command demo shows the main job of kubectl-lb on a real cluster: `make demo`. It exits with status 0 only if every
// step held, and removes the lab also when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

func main() {
	keep := flag.Bool("keep", false, "leave the cluster running and say how to use it")
	name := flag.String("name", "demo", "name of the lab")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *name, *keep)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ninterrupted; the lab is gone")
		stop()
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "\nerror:", err)
		stop()
		os.Exit(1)
	}
}

// run plays the demo. The lab stays only if it is to be kept and nothing went wrong.
func run(ctx context.Context, name string, keep bool) (err error) {
	d := &demo{out: os.Stdout}
	fmt.Fprintln(d.out, "kubectl-lb: one labelled ConfigMap becomes a highly available address")
	fmt.Fprintln(d.out)
	var r *rig.Rig
	if err := d.step("cluster up", func() (string, error) {
		var err error
		r, err = rig.Up(ctx, rig.Options{Name: name, LBNodes: 3, Workers: 2, Progress: os.Stderr})
		return "a real control plane, 3 load-balancer nodes, 2 workers, 1 client", err
	}); err != nil {
		return err
	}
	defer func() {
		if keep && err == nil {
			d.usage(r)
			return
		}
		r.Down()
	}()
	d.rig = r
	err = d.play(ctx)
	d.table()
	return errors.Join(err, ctx.Err())
}
