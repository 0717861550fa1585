package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/controlplane"
)

// SuperviseCommand is the hidden first argument by which bin/lab becomes a lab's supervisor.
const SuperviseCommand = "supervise"

// upTimeout bounds the start of a lab whose programs are built; a busy two-core machine takes ten seconds or so.
const upTimeout = 2 * time.Minute

// Up starts a lab and returns when every part of it is ready. It outlives the caller; end it with [Lab.Down]. When
// ctx ends first, or anything fails, nothing is left behind.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Binaries == "" {
		if o.Binaries, err = controlplane.Ensure(ctx, o.Out); err != nil {
			return nil, err
		}
	}
	dir, err := claim(o.Name)
	if err != nil {
		return nil, err
	}
	info, err := start(ctx, o, dir)
	if err != nil {
		if downErr := destroy(o.Name); downErr != nil {
			err = errors.Join(err, downErr)
		}
		tidyBase()
		return nil, fmt.Errorf("lab %s: %w", o.Name, err)
	}
	return newLab(*info), nil
}

func start(ctx context.Context, o Options, dir string) (*Info, error) {
	if err := writeJSON(filepath.Join(dir, optionsFile), o); err != nil {
		return nil, err
	}
	logTo, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logTo.Close()
	cmd := exec.Command(o.Program, SuperviseCommand, dir)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), mark(dir))
	cmd.Stdout, cmd.Stderr = logTo, logTo
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C in the caller's terminal is not for the supervisor
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	if err := writeOwner(dir, cmd.Process.Pid); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("not ready after %s", upTimeout))
	defer cancel()
	return awaitReady(ctx, o, dir, exited)
}

// awaitReady carries the supervisor's progress over until it says how the start went.
func awaitReady(ctx context.Context, o Options, dir string, exited <-chan error) (*Info, error) {
	progress := &tail{path: filepath.Join(dir, logFile), prefix: progressPrefix, out: o.Out}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var result outcome
		if err := readJSON(filepath.Join(dir, readyFile), &result); err == nil {
			progress.copy()
			if result.Error != "" {
				return nil, errors.New(result.Error)
			}
			return result.Info, nil
		}
		progress.copy()
		select {
		case <-ctx.Done():
			return nil, withLog(context.Cause(ctx), dir)
		case err := <-exited:
			return nil, withLog(fmt.Errorf("supervisor ended: %w", err), dir)
		case <-tick.C:
		}
	}
}

// withLog adds the supervisor's last lines, since the log goes away with the failed lab.
func withLog(err error, dir string) error {
	data, readErr := os.ReadFile(filepath.Join(dir, logFile))
	if readErr != nil || errors.Is(err, context.Canceled) {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return fmt.Errorf("%w\n  %s", err, strings.Join(lines[max(0, len(lines)-15):], "\n  "))
}
