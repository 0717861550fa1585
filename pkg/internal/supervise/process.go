package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
)

// Spec says what to run.
type Spec struct {
	// Path is the program's absolute path.
	Path string
	Args []string
	// Env are variables added to the supervisor's own, as "NAME=value".
	Env []string
	// Log is the file that output is appended to.
	Log string
	// Record is the file that remembers the process.
	Record string
	// Nice is the scheduling priority that it and its children start with, -20 (first) to 19 (last); default 0. A
	// negative one also asks for SCHED_RR, since it counts within a session only. Both need CAP_SYS_NICE (sched(7));
	// without that the program starts with the supervisor's own.
	Nice int
}

// Process is a running program.
type Process struct {
	id    identity
	since time.Time
	done  chan struct{}
	child bool

	mu     sync.Mutex
	fd     int // -1 once the process has ended
	status string
}

// Start runs the program in a session of its own.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	defer log.Close()
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:noctx // it outlives every context here
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := startNice(cmd, spec.Nice); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	id, err := identify(cmd.Process.Pid)
	if err == nil {
		err = remember(spec.Record, id)
	}
	p := &Process{id: id, since: time.Now(), child: true, done: make(chan struct{}), fd: -1}
	if err == nil {
		p.fd, err = unix.PidfdOpen(cmd.Process.Pid, 0)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	_ = cmd.Process.Release() // from here on it is named by p.fd
	go p.watch()
	return p, nil
}

// startNice starts the command from a thread that has the priority for that moment: a child inherits its thread's, and
// so has it before it can have children of its own.
func startNice(cmd *exec.Cmd, nice int) error {
	if nice == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil && unix.Setpriority(unix.PRIO_PROCESS, 0, nice) == nil {
		// The system call answers 20 − nice.
		defer func() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-before) }()
	}
	if nice < 0 {
		defer realTime()()
	}
	return cmd.Start()
}

// realTime puts the thread before all that is not real-time, until the returned function is called. A nice value counts
// within a session or a control group only (sched(7), autogroup; cgroups(7), cpu), so that a busy neighbour of another
// one would make the program late however nice it is. Without the right to it (CAP_SYS_NICE) the nice value has to do.
func realTime() (back func()) {
	before, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0)
	}
	if err != nil {
		return func() {}
	}
	return func() { _ = unix.SchedSetAttr(0, before, 0) }
}

// ErrNotRunning says that there is nothing to adopt.
var ErrNotRunning = errors.New("not running")

// Adopt finds the program that a former supervisor started from an equal Spec. It fails with [ErrNotRunning] when that
// has ended.
func Adopt(spec Spec) (*Process, error) {
	p, err := adopt(spec)
	if err != nil && len(Orphans(spec.Record)) == 0 {
		_ = os.Remove(spec.Record) // it names nobody any more, and one day its number would name somebody else
	}
	return p, err
}

func adopt(spec Spec) (*Process, error) {
	want, err := recall(spec.Record)
	if err != nil {
		return nil, fmt.Errorf("adopt %s: %w", spec.Path, ErrNotRunning)
	}
	fd, err := unix.PidfdOpen(want.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("adopt %s: %w", spec.Path, ErrNotRunning)
	}
	// The descriptor names whoever has the number now; only after it is open does a look at the start time count.
	have, err := identify(want.PID)
	if err != nil || have != want {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("adopt %s: %w", spec.Path, ErrNotRunning)
	}
	since := time.Now()
	if info, err := os.Stat(spec.Record); err == nil {
		since = info.ModTime()
	}
	p := &Process{id: want, since: since, done: make(chan struct{}), fd: fd}
	go p.watch()
	return p, nil
}

// Child finds a child of the process by its number. It fails with [ErrNotRunning] when nobody, or somebody else's
// child, has that.
func (p *Process) Child(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("child %d of process %d: %w", pid, p.id.PID, ErrNotRunning)
	}
	// As in adopt: only after the descriptor is open does a look at who it is count.
	st, err := readStat(pid)
	if err != nil || st.parent != p.id.PID || !p.Alive() {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("child %d of process %d: %w", pid, p.id.PID, ErrNotRunning)
	}
	c := &Process{
		id: identity{PID: pid, Start: st.start, Boot: p.id.Boot}, since: time.Now(), done: make(chan struct{}), fd: fd,
	}
	go c.watch()
	return c, nil
}

// PID is the process ID.
func (p *Process) PID() int { return p.id.PID }

// Since is when the process was started.
func (p *Process) Since() time.Time { return p.since }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says how the process ended, such as "exit status 1" or "signal: killed"; of an adopted one nobody here is told.
func (p *Process) Ended() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Alive reports whether the process has not ended yet.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stopped reports whether the process is stopped by a signal (SIGSTOP): it lives and does nothing.
func (p *Process) Stopped() bool {
	st, err := readStat(p.id.PID)
	return err == nil && st.start == p.id.Start && st.state == 'T'
}

// Signal sends a signal. It fails with [ErrNotRunning] when the process has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return ErrNotRunning
	}
	if err := unix.PidfdSendSignal(p.fd, sig, nil, 0); err != nil {
		return fmt.Errorf("signal %s to process %d: %w", sig, p.id.PID, err)
	}
	return nil
}

// watch waits for the end of the process.
func (p *Process) watch() {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = "ended while nobody waited for it"
	if p.child {
		var ws unix.WaitStatus
		if _, err := wait(p.id.PID, &ws); err == nil {
			p.status = describe(ws)
		}
	}
	_ = unix.Close(p.fd)
	p.fd = -1
	close(p.done)
}

func wait(pid int, ws *unix.WaitStatus) (int, error) {
	for {
		n, err := unix.Wait4(pid, ws, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func describe(ws unix.WaitStatus) string {
	if ws.Signaled() {
		return "signal: " + ws.Signal().String()
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}

func remember(path string, id identity) error {
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), 0o644)
}

func recall(path string) (identity, error) {
	var id identity
	data, err := os.ReadFile(path)
	if err != nil {
		return id, err
	}
	err = json.Unmarshal(data, &id)
	return id, err
}
