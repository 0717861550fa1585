package driver

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
)

// Crew is workers of nginx together.
type Crew struct {
	Count int
	// Memory is in bytes, without that of files. What a worker still has in common with its master counts for each.
	Memory int64
}

// Workers counts nginx's workers: those that serve, and those that only finish the connections of an old generation.
// It may be called at any time.
func (n *Nginx) Workers() (serving, finishing Crew) {
	s, f := n.workers()
	return crew(s), crew(f)
}

func crew(pids []int) Crew {
	c := Crew{Count: len(pids)}
	for _, pid := range pids {
		c.Memory += anonymous(pid)
	}
	return c
}

// anonymous returns the resident memory of a process that is no file's, in bytes; 0 where the process has ended. Of all
// that the kernel tells about memory, statm (proc_pid_statm(5)) takes no privilege to read.
func anonymous(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(data), &size, &resident, &shared); err != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}

func (n *Nginx) workers() (serving, finishing []int) {
	for _, pid := range supervise.Orphans(n.record()) {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		switch {
		case err != nil || !strings.HasPrefix(string(title), "nginx: worker process"):
		case strings.Contains(string(title), "shutting down"):
			finishing = append(finishing, pid)
		default:
			serving = append(serving, pid)
		}
	}
	return serving, finishing
}

// settleWithin is far above the 100 ms that nginx gives its new workers before it sends the old ones away.
const (
	settleEvery  = 20 * time.Millisecond
	settleWithin = 5 * time.Second
)

// Settle waits until no worker of the generation before the last [Nginx.Run] accepts connections: only then is a
// listener that was removed gone, and a changed one changed for everybody.
func (n *Nginx) Settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	return poll(ctx, settleEvery, n.proc.Load().Done(), func(context.Context) error {
		serving, _ := n.workers()
		for _, pid := range n.outgoing {
			if slices.Contains(serving, pid) {
				return fmt.Errorf("nginx's worker %d of the former generation still accepts connections", pid)
			}
		}
		n.outgoing = nil
		return nil
	})
}
