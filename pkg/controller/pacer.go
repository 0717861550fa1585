package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The budget of passes for changes of pods: each may end in a reload of every nginx, whose old workers live on until
// their last connection is over. A few changes are served at once, and many in a row once a second.
const (
	podPasses = 1 // a second
	podBurst  = 5
)

// pacer asks for passes within a budget. A change that comes while one is due is in that one.
type pacer struct {
	budget *rate.Limiter
	ask    func()
	mu     sync.Mutex
	due    bool
}

func newPacer(ask func()) *pacer {
	return &pacer{budget: rate.NewLimiter(podPasses, podBurst), ask: ask}
}

// nudge says that something has changed.
func (p *pacer) nudge() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due {
		return
	}
	wait := p.budget.Reserve().Delay()
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
