package octavia

import (
	"context"
	"reflect"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// patience is how long [Backend.Apply] waits for a list that it has asked for. Where OpenStack is well that is enough,
// and where it is not nobody else is to wait for it.
const patience = time.Second

// lister is the list of the cluster's load balancers, made by a goroutine of its own. The engine's lock guards it.
type lister struct {
	// wake asks for a list.
	wake chan struct{}
	// round is closed when the list under way has had an answer, good or bad; nil while none is under way. One that has
	// failed is under way until it has not.
	round chan struct{}
	// failed is what the last list failed with, nil where it went well.
	failed error
	// waiting are those with a new wish whose step waits for the list, so that they need none of their own.
	waiting []lb.Key
}

// askList makes a list be under way where one is due, and returns what tells of its answer; nil where nobody has to
// wait.
func (b *Backend) askList() <-chan struct{} {
	l := &b.lister
	if l.round != nil || !b.due() {
		return nil
	}
	l.round = make(chan struct{})
	l.wake <- struct{}{}
	return l.round
}

// step asks for a step of an item with a new wish, after the list where one is under way.
func (b *Backend) step(key lb.Key) {
	if l := &b.lister; l.round != nil && l.failed == nil {
		l.waiting = append(l.waiting, key)
		return
	}
	b.queue(key)
}

// runLists makes the lists that are asked for, each until it has gone well.
func (b *Backend) runLists(ctx context.Context) {
	e := b.engine
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.lister.wake:
		}
		for failures := 0; ; failures++ {
			all, err := e.api.list(ctx, tagCluster+e.cluster)
			if ctx.Err() != nil {
				return
			}
			if b.answered(all, err) {
				e.changed()
			}
			if err == nil {
				break
			}
			pause := max(min(time.Second<<min(failures, 10), maxBackoff), understand(err).retryAfter)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// answered takes over the answer to a list, and reports whether it is of interest to others.
func (b *Backend) answered(all []root, err error) (news bool) {
	e, l := b.engine, &b.lister
	e.mu.Lock()
	defer e.mu.Unlock()
	news = (err == nil) != (l.failed == nil) || err != nil && err.Error() != l.failed.Error()
	first := l.failed == nil
	if l.failed = err; err == nil {
		orphans, before := b.orphans, map[lb.Key]root{}
		for key, it := range e.items {
			before[key] = it.last
		}
		b.compare(all, time.Now())
		news = news || !reflect.DeepEqual(orphans, b.orphans)
		for key, it := range e.items {
			news = news || !reflect.DeepEqual(before[key], it.last)
		}
	}
	if first {
		close(l.round)
	}
	if err == nil {
		l.round = nil
	}
	waiting := l.waiting
	l.waiting = nil
	for _, key := range waiting {
		b.queue(key)
	}
	return news
}

// queue asks for a step of an item, where there still is one, as soon as it need not wait for more of its kind.
func (b *Backend) queue(key lb.Key) {
	if it := b.engine.items[key]; it != nil {
		b.engine.queue.AddAfter(key, time.Until(it.held))
	}
}
