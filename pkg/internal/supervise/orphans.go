package supervise

import (
	"context"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Orphans returns the living processes of the session of the program that the record remembers, in the order of their
// IDs. The kernel gives a session's number to nobody else while one of them lives, so they are the program's own.
func Orphans(record string) []int {
	leader, err := recall(record)
	if err != nil {
		return nil
	}
	if now, err := identify(os.Getpid()); err != nil || now.Boot != leader.Boot {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		st, err := readStat(pid)
		// Older than the leader, or its number without its start time: a session of somebody else's.
		if err != nil || st.session != leader.PID || st.start < leader.Start || st.state == 'Z' || st.state == 'X' {
			continue
		}
		if pid == leader.PID && st.start != leader.Start {
			return nil
		}
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

// SignalOrphans sends a signal to what is left of the session and returns how many processes that were.
func SignalOrphans(record string, sig syscall.Signal) int {
	n := 0
	for _, pid := range Orphans(record) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// Now that the number cannot change hands, is it still one of them?
		if slices.Contains(Orphans(record), pid) && unix.PidfdSendSignal(fd, sig, nil, 0) == nil {
			n++
		}
		_ = unix.Close(fd)
	}
	return n
}

// EndOrphans waits until the session is empty, and kills what is left of it after the grace.
func EndOrphans(ctx context.Context, record string, grace time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(grace)
	for len(Orphans(record)) > 0 && ctx.Err() == nil {
		if time.Now().After(deadline) {
			SignalOrphans(record, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
