package agent

import (
	"context"
	"errors"
	"sync"
	"time"
)

// suspension keeps the loop from starting and reloading nginx and keepalived. It may be used from everywhere at once.
type suspension struct {
	// over holds a token when the last reason has gone.
	over chan struct{}
	// turn holds a token while a change is under way, or a reason is added: never both.
	turn chan struct{}

	mu      sync.Mutex
	reasons map[string]bool
}

func newSuspension() *suspension {
	return &suspension{over: make(chan struct{}, 1), turn: make(chan struct{}, 1), reasons: make(map[string]bool)}
}

func (s *suspension) active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reasons) > 0
}

func (s *suspension) set(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.reasons[name] = true
		return
	}
	delete(s.reasons, name)
	if len(s.reasons) == 0 {
		poke(s.over)
	}
}

// begin reports whether a change may begin now. It has to be ended with end, and nothing is suspended until then.
func (s *suspension) begin() bool {
	s.turn <- struct{}{}
	if s.active() {
		<-s.turn
		return false
	}
	return true
}

func (s *suspension) end() { <-s.turn }

// suspendWithin bounds the wait for the end of a change that is under way. Most take less than a second.
const suspendWithin = 5 * time.Second

var errChanging = errors.New("nginx or keepalived are being changed, and that takes long; try again")

// suspendedLook is how often a program that is dead is thought of while nothing may be started.
const suspendedLook = 50 * time.Millisecond

// Suspend lets neither nginx nor keepalived be started or reloaded until [Agent.Resume] is called with the same name.
// What runs goes on, what dies stays dead, and a configuration that arrives waits. A change that is under way is
// finished first: what is killed afterwards, or looked at, is not in the midst of one. It fails, and suspends nothing,
// when that takes too long.
func (a *Agent) Suspend(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, suspendWithin, errChanging)
	defer cancel()
	s := a.suspension
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.set(name, true)
	<-s.turn
	return nil
}

// Resume takes a reason to suspend away; unknown names do nothing.
func (a *Agent) Resume(name string) { a.suspension.set(name, false) }
