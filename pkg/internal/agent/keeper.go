package agent

import (
	"context"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
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
	wait := time.Duration(0)
	if !a.suspension.active() { // a death that was ordered is nobody's fault
		wait = k.wait()
		k.deaths++
	}
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
	if !a.suspension.begin() {
		a.nginxKeeper.again = time.After(suspendedLook)
		return
	}
	defer a.suspension.end()
	a.letGo(ctx)
	_, err := a.runNginx(ctx, a.last.nginx.Generation)
	a.nginxKeeper.restarted(a, err)
	if err == nil {
		a.serves()
	}
}

// letGoWithin bounds the wait for keepalived after the gate was shut; it takes a few milliseconds.
const letGoWithin = 200 * time.Millisecond

// letGo shuts the gate and waits until the addresses are gone. The workers of a dead master serve on meanwhile: they
// are sent away, as a new master needs, when clients go elsewhere.
func (a *Agent) letGo(ctx context.Context) {
	a.Shut(reasonNginx, "nginx died")
	if !a.keepalived.Alive() || a.stance.alone() {
		return
	}
	if err := driver.AwaitGone(ctx, a.ledger.Interface, a.ledger.Addresses, letGoWithin); err != nil {
		a.opts.Log.Warn("keepalived keeps addresses though the gate is shut", "error", err)
	}
}

func (a *Agent) restartKeepalived(ctx context.Context) {
	a.keepalivedKeeper.again = nil
	if a.last == nil || a.keepalived.Alive() || !a.last.announce.wanted() {
		return
	}
	if !a.suspension.begin() {
		a.keepalivedKeeper.again = time.After(suspendedLook)
		return
	}
	defer a.suspension.end()
	a.keepalivedKeeper.restarted(a, a.runKeepalived(ctx, a.last.announce, a.last.iface))
}

// adopt takes over what a former agent has left running, and changes nothing about it. saved is the last good
// configuration, nil for none.
func (a *Agent) adopt(ctx context.Context, saved *nodeconfig.Config) error {
	withheld, err := a.stance.load()
	if err != nil {
		return err
	}
	serves := false
	if a.nginx.Adopt() {
		a.nginxID, serves = a.askAdopted(ctx)
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
	} else {
		withheld = nil
	}
	timing := nodeconfig.DefaultTiming()
	if saved != nil {
		timing = saved.Fleet.Timing
	}
	a.stance.begin(withheld, time.Duration(timing.HoldTime), serves)
	// Of a living nginx, what it serves stays until a configuration says what that is.
	a.residence.adopt(serves)
	if !a.keepalived.Alive() {
		// Nobody announces them here, and another node may do so by now.
		if err := a.keepalived.Stop(ctx, a.ledger.Interface, a.ledger.Addresses); err != nil {
			a.opts.Log.Warn("addresses may be left over", "error", err)
		}
	}
	a.track.processes()
	a.track.owned(a.ledger.Interface, a.ledger.Addresses, nodeconfig.View{})
	return nil
}

// The pace of asking an nginx that was adopted. A daemon starts on a busy machine, so that one missing answer says
// little; and an nginx that is given up loses its resident addresses.
const (
	adoptEvery  = 50 * time.Millisecond
	adoptWithin = 2 * time.Second
)

// askAdopted asks the nginx that was adopted what it serves, until it answers or it is clear that it does not.
func (a *Agent) askAdopted(ctx context.Context) (id string, serves bool) {
	for begun := time.Now(); ; pause(ctx, adoptEvery) {
		id, err := a.nginx.Generation(ctx)
		if err == nil {
			return id, true
		}
		if ctx.Err() != nil || !a.nginx.Alive() || time.Since(begun) > adoptWithin {
			a.opts.Log.Warn("the adopted nginx does not answer", "error", err)
			return "", false
		}
	}
}

// resign hands the addresses over before anything ends, so that clients see the shortest gap there is.
func (a *Agent) resign() error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	a.opts.Log.Info("resigning")
	a.Hold(reasonSilence, "lb-daemon ends")
	a.handOver(ctx)
	err := a.keepalived.Stop(ctx, a.ledger.Interface, a.ledger.Addresses)
	a.stance.silent("lb-daemon has ended")
	a.nginx.Stop(ctx, a.opts.Grace)
	a.residence.serve(false)
	a.track.processes()
	a.lastReport(ctx)
	a.opts.Log.Info("resigned")
	return err
}
