package octavia

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// consuming is what a worker says once it takes work from the queue.
const consuming = "Starting consumer"

// StartWorker starts an octavia-worker and waits until it takes work. A worker that already runs is ended first.
func (c *Cloud) StartWorker(ctx context.Context, w Worker) error {
	if err := c.StopWorker(unix.SIGKILL); err != nil {
		return err
	}
	var argv []string
	switch w {
	case WorkerStock:
		argv = []string{"/usr/bin/octavia-worker"}
	case WorkerCorrected:
		argv = []string{"/usr/bin/python3", c.path("conf", "worker.py")}
	default:
		return fmt.Errorf("worker %q is neither %s nor %s", w, WorkerCorrected, WorkerStock)
	}
	log := c.path("log", "octavia-worker.log")
	before, _ := os.ReadFile(log) // absent before the first start
	argv = append(argv, "--config-file", c.path("conf", "octavia.conf"))
	if err := c.launch("octavia-worker", nil, argv...); err != nil {
		return err
	}
	return c.until(ctx, "octavia-worker", func(context.Context) error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text[len(before):]), consuming) {
			return fmt.Errorf("it has not said %q", consuming)
		}
		return nil
	})
}

// StopWorker ends the worker: SIGTERM lets it finish what it has begun, SIGKILL tears it away in the middle, which
// leaves a load balancer in PENDING_* for ever. Without a worker, work waits in the queue.
func (c *Cloud) StopWorker(signal unix.Signal) error {
	deadline := time.Now().Add(30 * time.Second)
	for first := true; ; first = false {
		workers := c.workers()
		if len(workers) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("octavia-worker (process %d) does not end", workers[0].PID)
		}
		for _, p := range workers {
			if first || signal == unix.SIGKILL {
				if err := p.Signal(signal); err != nil {
					return err
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// workers are the processes of the worker: itself, and the children that do the work, which call themselves
// "worker.py: ConsumerService worker(0)" or the like.
func (c *Cloud) workers() []netspace.Process {
	return slices.DeleteFunc(c.processes(), func(p netspace.Process) bool {
		line := strings.Join(p.Args, " ")
		return !strings.Contains(line, "octavia-worker") && !strings.Contains(line, "worker.py")
	})
}
