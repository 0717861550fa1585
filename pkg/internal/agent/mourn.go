package agent

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
)

// mourner does what must be done at once when keepalived dies, once for each that died.
type mourner struct {
	mu   sync.Mutex
	last *supervise.Process
}

// mourn hands over what a dead keepalived held: it says goodbye in its place, and only then takes the addresses away.
// Until a successor speaks, an address that stays is of use; afterwards it would be a second owner. Nobody starts a new
// keepalived before it has returned. worker is its VRRP process where that is known, and may be alive.
func (a *Agent) mourn(p, worker *supervise.Process) {
	a.mourner.mu.Lock()
	defer a.mourner.mu.Unlock()
	if p == nil || a.mourner.last == p {
		return
	}
	a.mourner.last = p
	a.silenceWorker(worker)
	iface, ours, held := a.track.carried()
	if len(held) > 0 && !a.speechless.Load() {
		if err := vrrp.Resign(held); err != nil {
			a.opts.Log.Warn("not every peer has heard that this node resigns", "error", err)
		}
	}
	if iface != "" {
		removed, err := ifaddr.Remove(iface, ours)
		if err != nil {
			a.opts.Log.Error("a dead keepalived's addresses stay", "error", err)
		}
		if len(removed) > 0 {
			a.opts.Log.Warn("keepalived died with addresses; they were handed over", "addresses", len(removed))
		}
	}
	a.stance.announcing(false)
	a.track.refresh()
}

// killWithin bounds the wait for the end of a process that was killed.
const killWithin = 50 * time.Millisecond

// silenceWorker ends the VRRP process, or it would put back what is taken away, and announce it. Looking for one that
// is not known takes longer: there may be many processes on a node.
func (a *Agent) silenceWorker(worker *supervise.Process) {
	if worker == nil {
		a.keepalived.KillRemains()
		return
	}
	if worker.Signal(syscall.SIGKILL) != nil {
		return
	}
	timer := time.NewTimer(killWithin)
	defer timer.Stop()
	select {
	case <-worker.Done():
	case <-timer.C:
	}
}

// The pace of looking at keepalived beyond its death.
const (
	announceEvery = 50 * time.Millisecond
	// stoppedLooks in a row make a stopped keepalived a dead one; by then its peers have taken over, or are about to.
	stoppedLooks = 2
)

// watchAnnouncing waits for keepalived's end. It has two processes, and one without the other is worth nothing: a
// parent whose VRRP process died starts another, which would announce at once what the node should hold back; a stopped
// one keeps addresses that its peers have taken. Both are killed, so that there is one kind of death.
func (a *Agent) watchAnnouncing(ctx context.Context) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	var p, worker *supervise.Process
	stopped := 0
	for {
		if now := a.keepalived.Process(); now != p {
			p, worker, stopped = now, nil, 0
		}
		if worker == nil && p != nil && p.Alive() {
			worker, _ = a.keepalived.Worker()
		}
		select {
		case <-ctx.Done():
			return
		case <-end(p):
			a.mourn(p, worker)
			p, worker = nil, nil
			waitTick(ctx, tick) // the same process is found dead until another is started
		case <-end(worker):
			_ = p.Signal(syscall.SIGKILL)
			worker = nil // by now there may be another
		case <-tick.C:
			if !isStopped(p, worker) {
				stopped = 0
				continue
			}
			stopped++
			if stopped == stoppedLooks {
				a.opts.Log.Error("keepalived is stopped by a signal; it is killed, for its peers take over")
				_ = worker.Signal(syscall.SIGKILL)
				_ = p.Signal(syscall.SIGKILL)
			}
		}
	}
}

func waitTick(ctx context.Context, tick *time.Ticker) {
	select {
	case <-ctx.Done():
	case <-tick.C:
	}
}

func isStopped(p, worker *supervise.Process) bool {
	return p != nil && worker != nil && (p.Stopped() || worker.Stopped())
}

// end is closed when the process has ended; of none it never is.
func end(p *supervise.Process) <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.Done()
}
