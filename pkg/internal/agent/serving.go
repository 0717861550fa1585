package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
)

// The pace of looking whether nginx serves.
const (
	serveEvery = 50 * time.Millisecond
	// hungAnswers is how many questions in a row must get no answer in time: one may be due to a busy machine.
	hungAnswers = 2
	// astrayFor is how long nginx may answer with a generation that it should not have: workers of the former one end
	// soon.
	astrayFor = time.Second
	// lingerFor is how long the addresses stay on the loopback interface after the gate was shut: what is still on its way
	// here is refused, or served by the workers of a dead master, instead of vanishing.
	lingerFor = 250 * time.Millisecond
)

// expected are the generations that nginx may answer with. It may be used from everywhere at once.
type expected struct {
	mu  sync.Mutex
	ids []string
}

// set replaces them; none means any.
func (e *expected) set(ids ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

func (e *expected) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ids) == 0 || slices.Contains(e.ids, id)
}

// watchServing shuts the gate while nginx does not serve: its addresses then move to a node whose nginx does.
func (a *Agent) watchServing(ctx context.Context) {
	tick := time.NewTicker(serveEvery)
	defer tick.Stop()
	w := servingWatch{agent: a}
	for {
		p := a.nginx.Process()
		buried := p != nil && p == w.buried
		if buried {
			p = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-end(p):
			// Its workers may serve on, but a new master has to send them away before it can serve itself.
			w.buried = p
			w.shut("nginx died")
		case <-tick.C:
			if p != nil {
				w.ask(ctx)
			}
			w.linger()
		}
	}
}

// servingWatch is what watchServing remembers between two questions.
type servingWatch struct {
	agent  *Agent
	buried *supervise.Process
	silent int
	// astray is since when nginx has answered with a wrong generation, told how often the loop was told.
	astray  time.Time
	told    int
	serving bool
	// gone is when nginx was first seen not to serve, zero while it does.
	gone time.Time
}

func (w *servingWatch) ask(ctx context.Context) {
	id, err := w.agent.nginx.Generation(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		w.astray = time.Time{}
		w.silent++
		refused := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
		switch {
		case refused:
			w.shut("nginx refuses connections")
		case w.silent >= hungAnswers:
			w.shut("nginx does not answer")
		}
		return
	}
	w.silent = 0
	if w.agent.expected.has(id) {
		w.astray = time.Time{}
		w.open()
		return
	}
	w.stray()
}

// stray deals with an answer that should not be: the loop tells nginx again, and when that was in vain the gate is
// shut.
func (w *servingWatch) stray() {
	if w.astray.IsZero() {
		w.astray, w.told = time.Now(), 0
	}
	if time.Since(w.astray) < time.Duration(w.told+1)*astrayFor {
		return
	}
	if w.told > 0 {
		w.shut("nginx serves another generation than it should")
	}
	w.told++
	poke(w.agent.astray)
}

func (w *servingWatch) shut(why string) {
	w.agent.Shut(reasonNginx, why)
	w.serving = false
	if w.gone.IsZero() {
		w.gone = time.Now()
	}
}

// linger takes the resident addresses away when nginx has not come back soon.
func (w *servingWatch) linger() {
	if !w.gone.IsZero() && time.Since(w.gone) > lingerFor {
		w.agent.residence.serve(false)
	}
}

// open opens the gate where it is shut, by whomever: the loop shuts it, too, when nginx has died.
func (w *servingWatch) open() {
	if w.serving && !w.agent.stance.isShut(reasonNginx) {
		return
	}
	w.serving, w.gone = true, time.Time{}
	w.agent.serves()
}

// serves says that nginx has just been seen to serve what it should.
func (a *Agent) serves() {
	a.residence.serve(true)
	a.Open(reasonNginx)
}
