package netspace

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is one process as /proc shows it at the time of looking.
type Process struct {
	PID int
	// InnerPID is the process id inside the innermost PID namespace (1 for a container's init).
	InnerPID int
	// Program is the base name of the executable.
	Program string
	// Args is the command line, split.
	Args []string
	// State is the letter of proc(5): R, S, D, T (stopped), Z (zombie) …
	State string
	// Start is the start time in clock ticks since boot; with PID it names a process for ever.
	Start uint64
}

// Processes returns the processes whose main thread lives in the namespace at path, by pid.
func Processes(path string) ([]Process, error) {
	var want unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", path, err)
	}
	return find(func(pid int) bool {
		var st unix.Stat_t
		err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st)
		return err == nil && st.Ino == want.Ino && st.Dev == want.Dev
	})
}

// ProcessesWithEnv returns the processes that were started with exactly that KEY=VALUE in their environment, by pid.
func ProcessesWithEnv(entry string) ([]Process, error) {
	name, value, _ := strings.Cut(entry, "=")
	return find(func(pid int) bool {
		found, ok := Env(pid, name)
		return ok && found == value
	})
}

// Env returns a variable of the environment that the process was started with.
func Env(pid int, name string) (value string, ok bool) {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if value, ok := strings.CutPrefix(string(entry), name+"="); ok {
			return value, true
		}
	}
	return "", false
}

func find(match func(pid int) bool) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !match(pid) {
			continue
		}
		if p, err := Look(pid); err == nil { // it may have ended since
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Process) int { return a.PID - b.PID })
	return found, nil
}

// Look reads one process from /proc.
func Look(pid int) (Process, error) {
	p := Process{PID: pid, InnerPID: pid}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, fmt.Errorf("process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything, so count from its end (proc(5): state is field 3, start time 22).
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return p, fmt.Errorf("process %d: unreadable stat", pid)
	}
	p.Program = string(stat[open+1 : end])
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return p, fmt.Errorf("process %d: short stat", pid)
	}
	p.State = fields[0]
	if p.Start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return p, fmt.Errorf("process %d: start time: %w", pid, err)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		p.Program = strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	}
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(cmdline) > 0 {
		p.Args = strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	}
	p.InnerPID = innerPID(pid)
	return p, nil
}

func innerPID(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return pid
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		ids := strings.Fields(rest)
		if n, err := strconv.Atoi(ids[len(ids)-1]); err == nil {
			return n
		}
	}
	return pid
}

// Alive says whether the process that was seen still runs (same pid, same start time, not a zombie).
func (p Process) Alive() bool {
	now, err := Look(p.PID)
	return err == nil && now.Start == p.Start && now.State != "Z" && now.State != "X"
}

// Signal sends the signal if it is still the same process. A process that has ended is no error.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		if err == unix.ESRCH {
			return nil
		}
		return fmt.Errorf("open process %d (%s): %w", p.PID, p.Program, err)
	}
	defer unix.Close(fd)
	if !p.Alive() { // checked while the pidfd pins the identity
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("signal process %d (%s): %w", p.PID, p.Program, err)
	}
	return nil
}
