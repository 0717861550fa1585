package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The budget of passes for changes of pods: each may end in a reload of every nginx, whose old workers live on until
// their last connection is over, up to four minutes. A few changes are served at once, and many in a row once a second.
// That is for a while, such as a rollout takes: of changes that never end there are fewer, or a node's memory would
// fill with old workers. Each Service has a budget of its own besides, so that pods that come and go for ever hold up
// their own Service's changes rather than everybody's.
const (
	podPasses  = 1 // a second
	podBurst   = 5
	podLasting = 0.2 // a second
	podReserve = 120
	ownLasting = 0.1 // a second
	ownReserve = 120
)

// pacer asks for passes within budgets. A change that comes while one is due is in that one.
type pacer struct {
	budgets []*rate.Limiter
	ask     func()
	mu      sync.Mutex
	due     bool
}

// newPacer returns the pacer of all changes.
func newPacer(ask func()) *pacer {
	return &pacer{ask: ask, budgets: []*rate.Limiter{
		rate.NewLimiter(podPasses, podBurst), rate.NewLimiter(podLasting, podReserve),
	}}
}

// newOwnPacer returns the pacer of a Service's changes.
func newOwnPacer(ask func()) *pacer {
	return &pacer{ask: ask, budgets: []*rate.Limiter{rate.NewLimiter(ownLasting, ownReserve)}}
}

// nudge says that something has changed.
func (p *pacer) nudge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due {
		return
	}
	var wait time.Duration
	for _, b := range p.budgets {
		wait = max(wait, b.Reserve().Delay())
	}
	if wait == 0 {
		p.ask()
		return
	}
	p.due = true
	time.AfterFunc(wait, func() {
		p.mu.Lock()
		p.due = false
		p.mu.Unlock()
		p.ask()
	})
}
