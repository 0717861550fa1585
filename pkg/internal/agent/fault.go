package agent

import (
	"context"
	"errors"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/cut"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// undo takes a fault back. It is safe to call where the fault has failed half-way.
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

func (a *Agent) faultDrain(context.Context) (undo, error) {
	a.Hold(reasonDrill, "a drill")
	return func(context.Context) error {
		a.Release(reasonDrill)
		return nil
	}, nil
}

// faultNginx keeps nginx dead: the loop would start it again.
func (a *Agent) faultNginx(context.Context) (undo, error) {
	a.Suspend(reasonDrill)
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
		err := cut.Mend()
		a.speechless.Store(false)
		a.Resume(reasonDrill)
		return err
	}
	a.Suspend(reasonDrill)
	a.speechless.Store(true)
	iface, ours, _ := a.track.carried()
	c := cut.Cut{Interface: iface, Addresses: ours, Adverts: true}
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

// faultIsolate cuts the node off, and its senses with it. What leaves has to be cut, too: a node that is cut off takes
// over everything, and says so.
func (a *Agent) faultIsolate(context.Context) (undo, error) {
	iface, ours, _ := a.track.carried()
	if err := (cut.Cut{Interface: iface, Addresses: ours, Adverts: true}).Make(); err != nil {
		return func(context.Context) error { return cut.Mend() }, err
	}
	a.senses.muted.Store(true)
	return a.reunite, nil
}

// reunite brings a node that was cut off back: it gives up what it has first, or it would be a second owner.
func (a *Agent) reunite(ctx context.Context) error {
	a.Shut(reasonDrill, "the end of a drill")
	var gone error
	if iface, ours, _ := a.track.carried(); iface != "" && a.keepalived.Alive() {
		gone = driver.AwaitGone(ctx, iface, ours, handOverWithin)
	}
	err := cut.Mend()
	a.senses.muted.Store(false)
	a.Open(reasonDrill)
	return errors.Join(gone, err)
}
