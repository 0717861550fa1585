package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

type buildJob struct {
	source, dir, version string
	out                  io.Writer
}

func buildAll(ctx context.Context, job buildJob, missing []program) error {
	if len(missing) == 0 {
		return nil
	}
	started := time.Now()
	fmt.Fprintf(job.out, "control plane: building %d of %d programs (Kubernetes %s) into %s\n",
		len(missing), len(programs()), job.version, job.dir)
	for i, p := range missing {
		if err := job.build(ctx, p, fmt.Sprintf("[%d/%d] %s", i+1, len(missing), p.name)); err != nil {
			return err
		}
	}
	fmt.Fprintf(job.out, "control plane: built in %d s\n", int(time.Since(started).Seconds()))
	return nil
}

// build makes one binary under a temporary name and renames it when it is whole.
func (job buildJob) build(ctx context.Context, p program, title string) error {
	tmp, err := os.MkdirTemp(job.dir, ".build-")
	if err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, p.name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", ldflags(job.version), "-o", made, p.pkg)
	cmd.Dir = job.source
	// The build must depend on the pinned module alone, never on the caller's workspace or flags.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go then ends its compilers
	cmd.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	stop := heartbeat(job.out, title)
	err = cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", p.name, err, output.Bytes())
	}
	if err := os.Rename(made, filepath.Join(job.dir, p.name)); err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	return nil
}

// heartbeat shows that something long goes on: a line that counts the seconds on a terminal, a line every 30 s
// elsewhere. stop writes the closing line.
func heartbeat(out io.Writer, title string) (stop func()) {
	interval, lead, end := 30*time.Second, "  ", "\n"
	if f, ok := out.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			interval, lead, end = time.Second, "\r  ", ""
		}
	}
	started := time.Now()
	seconds := func() int { return int(time.Since(started).Seconds()) }
	fmt.Fprintf(out, "  %s …%s", title, end)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fmt.Fprintf(out, "%s%s … %d s%s", lead, title, seconds(), end)
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
		fmt.Fprintf(out, "%s%s: %d s\n", lead, title, seconds())
	}
}
