package agent

import (
	"context"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
)

// keeper remembers how often a program has died, and when it is to be started again: the first time at once, then with
// growing pauses; a life of some length makes it forget.
type keeper struct {
	name string
	// died is closed at the death of the program that is watched, nil when none is.
	died     <-chan struct{}
	again    <-chan time.Time
	restarts int
	deaths   int
}

// The pauses between a death and the next start.
const (
	restartFirst   = 500 * time.Millisecond
	restartLongest = 10 * time.Second
	healthyLife    = 30 * time.Second
)

// watch follows a program, which need not be a new one.
func (k *keeper) watch(name string, p *supervise.Process) {
	k.name, k.died, k.again = name, nil, nil
	if p != nil {
		k.died = p.Done()
	}
}

// dismiss expects the end of the program.
func (k *keeper) dismiss() { k.died, k.again = nil, nil }

// bury notes a death that nobody wanted.
func (k *keeper) bury(a *Agent, p *supervise.Process) {
	k.died = nil
	if time.Since(p.Since()) > healthyLife {
		k.deaths = 0
	}
	wait := k.wait()
	k.deaths++
	k.again = time.After(wait)
	a.opts.Log.Error("a program died and is started again", "program", k.name, "pid", p.PID(), "end", p.Ended(),
		"pause", wait)
	a.track.processes()
}

func (k *keeper) wait() time.Duration {
	if k.deaths == 0 {
		return 0
	}
	return min(restartFirst<<min(k.deaths-1, 10), restartLongest)
}

// restarted counts a start after a death; a failed one is another death.
func (k *keeper) restarted(a *Agent, err error) {
	k.restarts++
	a.opts.Metrics.restarted(k.name)
	if err != nil && k.died == nil {
		wait := k.wait()
		k.deaths++
		k.again = time.After(wait)
	}
	if err != nil {
		a.opts.Log.Error("a program does not start", "program", k.name, "error", err)
	}
	a.track.processes()
}

func (a *Agent) restartNginx(ctx context.Context) {
	a.nginxKeeper.again = nil
	if a.last == nil || a.nginx.Alive() {
		return
	}
	a.nginxKeeper.restarted(a, a.runNginx(ctx, a.last.nginx.Generation))
}

func (a *Agent) restartKeepalived(ctx context.Context) {
	a.keepalivedKeeper.again = nil
	if a.last == nil || a.keepalived.Alive() || !a.last.announce.wanted() {
		return
	}
	a.keepalivedKeeper.restarted(a, a.runKeepalived(ctx, a.last.announce, a.last.iface))
}

// adopt takes over what a former agent has left running.
func (a *Agent) adopt(ctx context.Context) {
	if a.nginx.Adopt() {
		if id, err := a.nginx.Generation(ctx); err == nil {
			a.nginxID = id
		}
		a.nginxKeeper.watch("nginx", a.nginx.Process())
		a.opts.Log.Info("adopted nginx", "pid", a.nginx.Process().PID(), "generation", a.nginxID)
	}
	if a.keepalived.Adopt() {
		a.keepalivedKeeper.watch("keepalived", a.keepalived.Process())
		// Between its switch and its proof a generation may or may not have been read: it is then read again.
		if id := a.keepalived.Store.Running(); id == a.keepalived.Store.Current() {
			a.keepalivedID = id
		}
		a.opts.Log.Info("adopted keepalived", "pid", a.keepalived.Process().PID(), "generation", a.keepalivedID)
	} else if err := a.keepalived.Stop(ctx, a.ledger.Interface, a.ledger.Addresses); err != nil {
		// Nobody announces them here, and another node may do so by now.
		a.opts.Log.Warn("addresses may be left over", "error", err)
	}
	a.track.processes()
	a.track.owned(a.ledger.Interface, a.ledger.Addresses, nil)
}

// The pace of looking whether nginx serves, and how long it may fail to.
const (
	serveEvery  = 100 * time.Millisecond
	serveWithin = 300 * time.Millisecond
)

// watchServing shuts the gate while nginx does not answer: its addresses then move to a node whose nginx does.
func (a *Agent) watchServing(ctx context.Context) {
	tick := time.NewTicker(serveEvery)
	defer tick.Stop()
	answered := time.Time{} // never yet: the gate is not this function's business before
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := a.nginx.Generation(ctx)
		switch {
		case err == nil:
			answered = time.Now()
			a.setGate(true)
		case !answered.IsZero() && time.Since(answered) > serveWithin && ctx.Err() == nil:
			a.setGate(false)
		}
	}
}

func (a *Agent) setGate(open bool) {
	if a.gate.Open() != open {
		a.opts.Log.Warn("nginx's answer changed the gate", "open", open)
	}
	if err := a.gate.Set(open); err != nil {
		a.opts.Log.Error("the gate does not move", "error", err)
	}
}

// resign hands the addresses over before anything ends, so that clients see the shortest gap there is.
func (a *Agent) resign() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	a.opts.Log.Info("resigning")
	if err := a.gate.Lock(); err != nil {
		a.opts.Log.Error("the gate does not move", "error", err)
	}
	if a.keepalived.Alive() {
		if err := driver.AwaitGone(ctx, a.ledger.Interface, a.ledger.Addresses, 2*time.Second); err != nil {
			a.opts.Log.Warn("keepalived keeps addresses after it was told to give them up", "error", err)
		}
	}
	err := a.keepalived.Stop(ctx, a.ledger.Interface, a.ledger.Addresses)
	a.nginx.Stop(ctx, a.opts.Grace)
	a.track.processes()
	a.lastReport(ctx)
	a.opts.Log.Info("resigned")
	return err
}
