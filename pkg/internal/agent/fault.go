package agent

import (
	"context"
	"errors"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/cut"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// undo takes a fault back. It is safe to call where the fault has failed half-way, and again where it has failed
// itself: until it succeeds, the node stays as it is.
type undo = func(context.Context) error

// fault returns how to do a drill's fault, nil for a kind that does not exist.
func (a *Agent) fault(kind nodeconfig.DrillKind) func(context.Context) (undo, error) {
	switch kind {
	case nodeconfig.DrillDrain:
		return a.faultDrain
	case nodeconfig.DrillCrash:
		return a.faultCrash
	case nodeconfig.DrillNginx:
		return a.faultNginx
	case nodeconfig.DrillIsolate:
		return a.faultIsolate
	default:
		return nil
	}
}

// still keeps the loop from changing anything in the midst of a fault, but for one that is none to it. What is undone
// ends that.
func (a *Agent) still(ctx context.Context, kind nodeconfig.DrillKind) error {
	if kind == nodeconfig.DrillDrain {
		return nil
	}
	return a.Suspend(ctx, reasonDrill)
}

func (a *Agent) faultDrain(context.Context) (undo, error) {
	a.Hold(reasonDrill, "a drill")
	return func(context.Context) error {
		a.Release(reasonDrill)
		return nil
	}, nil
}

// faultNginx keeps nginx dead: the loop would start it again.
func (a *Agent) faultNginx(context.Context) (undo, error) {
	a.nginx.Kill()
	return func(context.Context) error {
		a.Resume(reasonDrill)
		return nil
	}, nil
}

// faultCrash is what the others see of a dead node: no goodbye, and no answer from an address, not even to those who
// know where it was.
func (a *Agent) faultCrash(context.Context) (undo, error) {
	undo := func(context.Context) error {
		if err := cut.Mend(); err != nil {
			return err
		}
		a.speechless.Store(false)
		a.Resume(reasonDrill)
		return nil
	}
	a.speechless.Store(true)
	c := a.cut()
	err := c.Make()
	if errors.Is(err, errors.ErrUnsupported) {
		c.Inbound = true // what comes is not answered: that will do, for keepalived is about to die
		err = c.Make()
	}
	if err != nil {
		return undo, err
	}
	a.keepalived.Kill()
	return undo, nil
}

// cut is what cuts the node off, from clients and peers. It is made while nothing is changed, so that it has all.
func (a *Agent) cut() cut.Cut {
	iface, ours, _ := a.track.carried()
	return cut.Cut{Interface: iface, Addresses: ours, VRIDs: a.track.vrids()}
}

// faultIsolate cuts the node off, and its senses with it. What leaves has to be cut, too: a node that is cut off takes
// over everything, and says so. An address that came meanwhile would not be cut, so none comes.
func (a *Agent) faultIsolate(context.Context) (undo, error) {
	if err := a.cut().Make(); err != nil {
		return func(context.Context) error {
			if err := cut.Mend(); err != nil {
				return err
			}
			a.Resume(reasonDrill)
			return nil
		}, err
	}
	a.senses.muted.Store(true)
	return a.reunite, nil
}

// reunite brings a node that was cut off back: it gives up what it has first, or it would be a second owner. Until the
// cut is mended it stays without its share.
func (a *Agent) reunite(ctx context.Context) error {
	a.Shut(reasonDrill, "the end of a drill")
	if iface, ours, _ := a.track.carried(); iface != "" && a.keepalived.Alive() {
		if err := driver.AwaitGone(ctx, iface, ours, handOverWithin); err != nil {
			a.opts.Log.Warn("a node that was cut off comes back with addresses", "error", err)
		}
	}
	if err := cut.Mend(); err != nil {
		return err
	}
	a.senses.muted.Store(false)
	a.Resume(reasonDrill)
	a.Open(reasonDrill)
	return nil
}
