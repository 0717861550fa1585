// Command lab starts, breaks, probes and removes the lab of package lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run first looks for the three hidden lives of this program: a container's first half, a container that only sleeps,
// and a lab's supervisor.
func run(ctx context.Context, args []string) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == sandbox.Subcommand:
		err = sandbox.Main()
	case len(args) == 1 && args[0] == lab.PauseCommand:
		<-ctx.Done()
	case len(args) == 2 && args[0] == lab.SuperviseCommand:
		err = lab.Supervise(ctx, args[1], slog.New(slog.NewTextHandler(os.Stderr, nil)))
	default:
		root := newRoot()
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0: // of `lab exec`: the command's own status
		return exit.ExitCode()
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "lab: interrupted")
		return 130
	}
	fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	return 1
}
