package agent

import (
	"errors"
	"sync"
	"time"
)

// suspension keeps the loop from starting and reloading nginx and keepalived. It may be used from everywhere at once.
type suspension struct {
	// over holds a token when the last reason has gone.
	over chan struct{}

	mu      sync.Mutex
	reasons map[string]bool
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

// errSuspended ends a change that is under way when a program is killed for a drill, and so its rollback: nothing is
// started in the midst of a fault.
var errSuspended = errors.New("nothing is started now")

// suspendedLook is how often a program that is dead is thought of while nothing may be started.
const suspendedLook = 50 * time.Millisecond

// Suspend lets neither nginx nor keepalived be started or reloaded until [Agent.Resume] is called with the same name.
// What runs goes on, what dies stays dead, and a configuration that arrives waits. A change that is under way is
// finished.
func (a *Agent) Suspend(name string) { a.suspension.set(name, true) }

// Resume takes a reason to suspend away; unknown names do nothing.
func (a *Agent) Resume(name string) { a.suspension.set(name, false) }
