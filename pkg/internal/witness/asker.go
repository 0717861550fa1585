package witness

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Asker asks on a node's interface. It is used by one goroutine.
type Asker struct {
	Mode      nodeconfig.WitnessMode
	Interface string
	// Senders are the node's own addresses, at most one of each family. Witnesses of a family that has none are not
	// asked.
	Senders []netip.Addr

	wire   *neighbor.Wire
	echoes map[netip.Addr]*neighbor.Echo
}

// Ask reports whether any of the addresses has answered within the time. An error says that they could not all be
// asked, which is nothing but silence where a link is down; an answer may have come all the same.
func (a *Asker) Ask(ctx context.Context, addrs []netip.Addr, within time.Duration) (bool, error) {
	questions, err := a.questions(ctx, addrs, within)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		answered bool
		err      error
	}
	results := make(chan result, len(questions))
	for _, ask := range questions {
		go func() {
			answered, err := ask(ctx)
			results <- result{answered, err}
		}()
	}
	answered := false
	errs := []error{err}
	for range questions {
		r := <-results
		errs = append(errs, r.err)
		if r.answered {
			answered = true
			cancel() // the other family need not answer
		}
	}
	if err = errors.Join(errs...); err != nil {
		a.Close() // the interface may be another one of the same name by now
	}
	return answered, err
}

type question func(context.Context) (bool, error)

// questions opens what there is to open. That has to be done by the caller's own thread, where a test is in another
// network namespace than the rest of its program.
func (a *Asker) questions(ctx context.Context, addrs []netip.Addr, within time.Duration) (qs []question, err error) {
	if a.Mode != nodeconfig.WitnessPing {
		addrs = slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Addr) bool {
			return !slices.ContainsFunc(a.Senders, func(s netip.Addr) bool { return s.Is6() == addr.Is6() })
		})
		if a.wire == nil {
			if a.wire, err = neighbor.Open(a.Interface); err != nil {
				return nil, err
			}
		}
		wire := a.wire
		return []question{func(ctx context.Context) (bool, error) {
			return wire.Ask(ctx, a.Senders, addrs, within)
		}}, nil
	}
	if a.echoes == nil {
		a.echoes = make(map[netip.Addr]*neighbor.Echo)
	}
	var errs []error
	for _, sender := range a.Senders {
		some := slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Addr) bool { return addr.Is6() != sender.Is6() })
		echo := a.echoes[sender]
		if len(some) == 0 {
			continue
		}
		if echo == nil {
			if echo, err = neighbor.OpenEcho(context.WithoutCancel(ctx), a.Interface, sender); err != nil {
				errs = append(errs, err)
				continue
			}
			a.echoes[sender] = echo
		}
		qs = append(qs, func(ctx context.Context) (bool, error) { return echo.Ask(ctx, some, within) })
	}
	return qs, errors.Join(errs...)
}

// Close lets go of the interface until the next question.
func (a *Asker) Close() {
	if a.wire != nil {
		_ = a.wire.Close()
		a.wire = nil
	}
	for _, echo := range a.echoes {
		_ = echo.Close()
	}
	clear(a.echoes)
}

// Route finds the gateways of an interface, and looks again now and then.
type Route struct {
	Interface string
	// Failed is told why they can't be found.
	Failed func(error)

	gateways []netip.Addr
	looked   time.Time
}

// lookEvery is how old the knowledge of the routes may be.
const lookEvery = 2 * time.Second

// Gateways returns them, sorted. It is used by one goroutine.
func (r *Route) Gateways() []netip.Addr {
	if time.Since(r.looked) < lookEvery && !r.looked.IsZero() {
		return r.gateways
	}
	gateways, err := Gateways(r.Interface)
	if err != nil {
		r.Failed(err) // and those of before are asked
	} else {
		r.gateways = gateways
	}
	r.looked = time.Now()
	return r.gateways
}
