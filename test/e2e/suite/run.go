package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// patience is what a probe waits for its answer. It is less than TCP's first retransmission takes (1 s, RFC 6298), so a
// lost packet is a failed probe, and more than a busy machine is late by.
const patience = 900 * time.Millisecond

// Run starts a lab of that name (see lab.Options) with the product and the applications coffee-svc and tea, hands it
// over, runs the package's tests, and returns the exit status. Nothing of the lab is left, also after Ctrl-C. Without
// root it says so and runs nothing.
func Run(m *testing.M, name string, begin func(*rig.Rig)) int {
	flag.Parse()
	if os.Getuid() != 0 {
		fmt.Fprintf(os.Stderr, "%s: skipped: network namespaces need root\n", name)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := rig.Up(ctx, rig.Options{
		Name: name, LBNodes: 3, Workers: 2, ProbeTimeout: patience, Progress: os.Stderr,
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	defer r.Down()
	// An interrupted run leaves nothing behind. (The end of Run ends ctx, too, which is no interruption.)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-ctx.Done():
			r.Down()
			os.Exit(130) //nolint:forbidigo // tests that run end no other way, and Run is their main
		case <-over:
		}
	}()
	if err := install(ctx, r); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	begin(r)
	code := m.Run()
	if code != 0 {
		kept, err := r.KeepLogs()
		fmt.Fprintf(os.Stderr, "%s: the lab's logs are kept in %s %v\n", name, kept, err)
	}
	return code
}

// install puts the product and the applications of examples/ into the lab, and waits until they serve.
func install(ctx context.Context, r *rig.Rig) error {
	if err := r.Install(ctx); err != nil {
		return err
	}
	for _, app := range []struct{ file, service string }{{"coffee-app.yaml", "coffee-svc"}, {"tea-app.yaml", "tea"}} {
		if err := r.ApplyFile(ctx, "examples/"+app.file); err != nil {
			return err
		}
		if err := r.WaitService(ctx, "default", app.service); err != nil {
			return err
		}
	}
	return nil
}
