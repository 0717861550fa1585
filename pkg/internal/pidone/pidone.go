// Package pidone is the smallest init that lets a supervisor die in a container.
//
// The container's first process takes everything with it when it ends. So the program, when it is that process, runs
// itself as a child and only does what an init must: it hands signals on, reaps whoever has lost their parent, and
// starts the child again when it was killed or has panicked. The child's own children go on meanwhile, and the new
// child adopts them.
//
//	child exits 0 or fails by itself ──► exit with its status (the container ends)
//	child is killed, or panics (2)   ──► start it again: at once, then with growing pauses
//
// The package never touches a process but its own child.
package pidone

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// childMark is the variable that tells the child that it is one.
const childMark = "KUBECTL_LB_INIT_CHILD"

// panicStatus is the exit status of a Go program that panicked.
const panicStatus = 2

// The pauses between two starts, and the life after which a child counts as healthy again.
const (
	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second
	healthy    = 30 * time.Second
)

// Needed reports whether this process is the first of its container and should call [Run].
func Needed() bool { return os.Getpid() == 1 && os.Getenv(childMark) == "" }

// Run runs this program again as a child, with the same arguments, and returns its exit status.
func Run(log *slog.Logger) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	ended := make(chan death, 16)
	go reap(ended)
	started := make(chan struct{}, 1)
	started <- struct{}{}
	in := &state{log: log}
	for {
		select {
		case <-started:
			if in.stopping { // told to stop during a pause
				return 128 + int(unix.SIGTERM), nil
			}
			if err := in.start(); err != nil {
				return 1, err
			}
		case s := <-signals:
			in.forward(s)
		case d := <-ended:
			if d.pid != in.pid {
				continue
			}
			pause, done := in.ended(d.status)
			if done {
				return exitStatus(d.status), nil
			}
			time.AfterFunc(pause, func() { started <- struct{}{} })
		}
	}
}

type death struct {
	pid    int
	status unix.WaitStatus
}

// reap waits for every process that has become ours, for ever.
func reap(ended chan<- death) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == nil:
			ended <- death{pid, ws}
		case errors.Is(err, unix.ECHILD): // between two children
			<-time.After(20 * time.Millisecond)
		}
	}
}

type state struct {
	log      *slog.Logger
	pid      int
	since    time.Time
	pause    time.Duration
	stopping bool
}

func (s *state) start() error {
	env := append(slices.Clone(os.Environ()), childMark+"=1")
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return fmt.Errorf("start myself as a child: %w", err)
	}
	s.pid, s.since = pid, time.Now()
	return nil
}

func (s *state) forward(sig os.Signal) {
	if sig == unix.SIGTERM || sig == unix.SIGINT {
		s.stopping = true
	}
	if n, ok := sig.(syscall.Signal); ok && s.pid > 0 {
		_ = unix.Kill(s.pid, n) // it is ours and not reaped yet, or the number is nobody's
	}
}

// ended decides what the end of the child means: a pause before the next, or the end of all.
func (s *state) ended(ws unix.WaitStatus) (time.Duration, bool) {
	s.pid = -1
	abnormal := ws.Signaled() || ws.ExitStatus() == panicStatus
	if s.stopping || !abnormal {
		return 0, true
	}
	pause := s.pause
	if time.Since(s.since) > healthy {
		pause = 0
	}
	s.pause = min(max(2*pause, firstPause), longPause)
	s.log.Error("lb-daemon died and is started again", "status", exitStatus(ws), "pause", pause)
	return pause, false
}

// exitStatus is what a shell would report.
func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
