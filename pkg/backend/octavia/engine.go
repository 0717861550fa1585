package octavia

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The engine's measures of time.
const (
	// freshness is how long a look is good enough to act on.
	freshness = 2 * time.Second
	// slow is the pace of looking at what nobody expects to change soon.
	slow = 30 * time.Second
	// afterlife is how long a call of a process that was killed may go on in Octavia.
	afterlife = 10 * time.Second
	// longAfterlife is the same of a create that was given up since it took too long.
	longAfterlife = time.Minute
	// secondLook is how long after our changes everything is read once more.
	secondLook = time.Minute
	// lateAfter is how long a change may fail before that is reported.
	lateAfter = time.Minute
	// maxBackoff is the longest pause after failures that should pass by themselves.
	maxBackoff = time.Minute
	// maxTries is how often a load balancer that was never ready is made again after an ERROR.
	maxTries = 3
)

// engine brings each load balancer to what is wanted, step by step. A step looks, makes at most one call that changes
// something, and says when the next one is due; meanwhile no goroutine waits. Steps of one load balancer never
// overlap, those of several do, up to the number of workers.
type engine struct {
	api     *api
	cluster string
	workers int
	stuck   time.Duration
	changed func()
	log     *slog.Logger

	started time.Time
	// pairs finds what is put into Barbican; nil for nobody.
	pairs KeyPairs

	mu sync.Mutex
	// told says that it is known which objects there are.
	told  bool
	items map[lb.Key]*item
	queue workqueue.TypedDelayingInterface[lb.Key]
}

func newEngine(o Options) *engine {
	e := &engine{
		api: &api{
			credentials: o.Credentials, readLimit: cmp.Or(o.ReadLimit, DefaultReadLimit),
			writeLimit: cmp.Or(o.WriteLimit, DefaultWriteLimit),
		},
		cluster: o.Cluster, workers: cmp.Or(o.Workers, DefaultWorkers),
		stuck: cmp.Or(o.StuckAfter, DefaultStuckAfter), changed: o.Changed, log: o.Log, items: map[lb.Key]*item{},
		started: time.Now(), pairs: o.KeyPairs, queue: workqueue.NewTypedDelayingQueue[lb.Key](),
	}
	if e.changed == nil {
		e.changed = func() {}
	}
	return e
}

// run works until the context is done. What Octavia is at then goes on without us.
func (e *engine) run(ctx context.Context) {
	var all sync.WaitGroup
	for range e.workers {
		all.Go(func() {
			for {
				key, end := e.queue.Get()
				if end {
					return
				}
				e.turn(ctx, key)
				e.queue.Done(key)
			}
		})
	}
	if e.pairs != nil {
		all.Go(func() { e.sweepOften(ctx) })
	}
	<-ctx.Done()
	e.queue.ShutDown()
	all.Wait()
}

// turn gives an item a step.
func (e *engine) turn(ctx context.Context, key lb.Key) {
	e.mu.Lock()
	it := e.items[key]
	if it == nil || ctx.Err() != nil {
		e.mu.Unlock()
		return
	}
	step := stepper{
		engine: e, item: it, model: it.model, want: it.want, parts: it.parts, version: it.version, work: *it,
	}
	e.mu.Unlock()

	again := step.run(ctx)

	e.mu.Lock()
	news := e.keep(it, &step)
	switch {
	case e.items[key] != it:
		again = 0 // another one has taken over what there is
	case it.gone && it.model == nil:
		delete(e.items, key)
	case it.version != step.version:
		again = time.Millisecond // the wish has changed meanwhile
	}
	e.mu.Unlock()
	if again > 0 {
		e.queue.AddAfter(key, again)
	}
	if news {
		e.changed()
	}
}

// keep takes over what a step has found out, and reports whether it is of interest to others.
func (e *engine) keep(it *item, s *stepper) bool {
	w := s.work
	news := it.ready != w.ready || it.reason != w.reason || it.gone != w.gone || it.last.Address != w.last.Address ||
		it.buoy.address() != w.buoy.address() || !slices.Equal(it.last.Tags, w.last.Tags) ||
		it.last.Provisioning != w.last.Provisioning || it.last.Operating != w.last.Operating ||
		isShare(it.key) && it.settled != w.settled && w.settled == it.version || // what its sharers had alone may go
		!reflect.DeepEqual(it.children, w.children) || !it.bars.equal(w.bars) || !sameLacks(it, &w) ||
		!slices.Equal(it.findings, w.findings)
	model, want, version, held, parts, owed := it.model, it.want, it.version, it.held, it.parts, it.owed
	*it = w
	it.model, it.want, it.version, it.held, it.parts, it.owed = model, want, version, held, parts, owed
	return news
}

// wish makes a load balancer wanted as it is in the tree, or, where model is nil, gone. A step of one that is wanted is
// the caller's to ask for, unless it is the same.
func (e *engine) wish(key lb.Key, model *lb.LoadBalancer, want Tree, same bool) {
	it := e.items[key]
	if it == nil {
		it = &item{key: key}
		e.items[key] = it
	}
	if same {
		return
	}
	it.model, it.want, it.gone = model, want, false
	it.version++
	it.failed, it.trouble = 0, nil
	if model == nil {
		e.queue.Add(key)
	}
}
