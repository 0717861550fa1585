package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// podWatch watches the EndpointSlices of the Services whose pods somebody asks for, each by a watch of its own, and no
// others: in most clusters they change more often than everything else that the controller reads.
//
// Its methods belong to the pass.
type podWatch struct {
	// lifetime is that of all watches, which outlive the pass that begins them.
	lifetime context.Context //nolint:containedctx // see above
	client   discovery.EndpointSlicesGetter
	// changed is called whenever something may have changed.
	changed  func()
	log      *slog.Logger
	services map[lb.Key]*sliceStore
	// due says that what has changed since may be shown. Passes are made for other reasons too, not least because nodes
	// report that they run what the last one wrote, and each would else bring the next change of pods at once.
	due atomic.Bool
}

// firstReading bounds how long a pass waits for the slices of Services that are asked for the first time.
const firstReading = 5 * time.Second

// The pauses before a broken watch is begun again; the last doubles up to the limit while it fails.
const (
	rewatchFirst = time.Second
	rewatchLast  = 30 * time.Second
)

// follow watches the slices of exactly these Services, and waits until those of the new ones have been read, or cannot
// be for now.
func (w *podWatch) follow(ctx context.Context, services map[lb.Key]bool) {
	for key, s := range w.services {
		if !services[key] {
			s.end()
			delete(w.services, key)
		}
	}
	if w.due.Swap(false) {
		for _, s := range w.services {
			s.renew = s.released.Swap(false) || s.renew
		}
	}
	var fresh []*sliceStore
	for key := range services {
		if w.services[key] != nil {
			continue
		}
		life, end := context.WithCancel(w.lifetime)
		s := &sliceStore{end: end, tried: make(chan struct{})}
		s.changed = newOwnPacer(func() {
			s.released.Store(true)
			w.changed()
		}).nudge
		w.services[key] = s
		fresh = append(fresh, s)
		go w.run(life, key, s) //nolint:contextcheck // see lifetime
	}
	ctx, cancel := context.WithTimeout(ctx, firstReading)
	defer cancel()
	for _, s := range fresh {
		select {
		case <-s.tried:
		case <-ctx.Done():
			return
		}
	}
}

// slices returns a Service's slices; an error says why they are not known.
func (w *podWatch) slices(key lb.Key) ([]*discoveryv1.EndpointSlice, error) {
	s := w.services[key]
	if s == nil {
		return nil, errors.New("nobody has asked for them")
	}
	return s.list()
}

// run keeps a store like what the API server has, until the context is done.
func (w *podWatch) run(ctx context.Context, key lb.Key, s *sliceStore) {
	log := logr.FromSlogHandler(w.log.Handler())
	slices := persistent(w.listWatch(key), w.log)
	r := cache.NewReflectorWithOptions(slices, &discoveryv1.EndpointSlice{}, s, cache.ReflectorOptions{
		Name: "endpointslices of " + key.String(), Logger: &log,
	})
	wait := rewatchFirst
	for {
		err := r.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = rewatchFirst
		} else {
			w.log.Warn("the endpoints of a Service cannot be watched", "service", key.String(), "error", err, "retry", wait)
			s.fail(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err != nil {
			wait = min(2*wait, rewatchLast)
		}
	}
}

func (w *podWatch) listWatch(key lb.Key) cache.ListerWatcher {
	client := w.client.EndpointSlices(key.Namespace)
	selector := discoveryv1.LabelServiceName + "=" + key.Name
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			o.LabelSelector = selector
			return client.Watch(ctx, o)
		},
	}
}

// sliceStore holds the slices of one Service. It implements cache.ReflectorStore.
type sliceStore struct {
	changed func()
	end     context.CancelFunc
	// tried is closed when the slices have been read, or could not be.
	tried chan struct{}
	once  sync.Once

	mu     sync.Mutex
	byName map[string]*discoveryv1.EndpointSlice
	read   bool
	err    error

	// released says that the Service's own budget allows its changes to be shown.
	released atomic.Bool
	// shown is what the passes see until renew is set. Both belong to them.
	shown []*discoveryv1.EndpointSlice
	renew bool
}

var _ cache.ReflectorStore = (*sliceStore)(nil)

func (s *sliceStore) list() ([]*discoveryv1.EndpointSlice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read {
		if s.err != nil {
			return nil, s.err
		}
		return nil, errors.New("the API server has not answered yet")
	}
	if s.shown == nil || s.renew {
		s.shown, s.renew = make([]*discoveryv1.EndpointSlice, 0, len(s.byName)), false
		for _, slice := range s.byName {
			s.shown = append(s.shown, slice)
		}
	}
	return s.shown, nil
}

func (s *sliceStore) fail(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.once.Do(func() { close(s.tried) })
}

// Replace implements cache.ReflectorStore.
func (s *sliceStore) Replace(objects []any, _ string) error {
	byName := make(map[string]*discoveryv1.EndpointSlice, len(objects))
	for _, o := range objects {
		slice, ok := o.(*discoveryv1.EndpointSlice)
		if !ok {
			return fmt.Errorf("a %T is no EndpointSlice", o)
		}
		byName[slice.Name] = slice
	}
	s.mu.Lock()
	s.byName, s.read, s.err = byName, true, nil
	s.mu.Unlock()
	s.once.Do(func() { close(s.tried) })
	s.changed()
	return nil
}

// Add implements cache.ReflectorStore.
func (s *sliceStore) Add(object any) error { return s.put(object, false) }

// Update implements cache.ReflectorStore.
func (s *sliceStore) Update(object any) error { return s.put(object, false) }

// Delete implements cache.ReflectorStore.
func (s *sliceStore) Delete(object any) error { return s.put(object, true) }

// Resync implements cache.ReflectorStore.
func (s *sliceStore) Resync() error { return nil }

func (s *sliceStore) put(object any, gone bool) error {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return fmt.Errorf("a %T is no EndpointSlice", object)
	}
	s.mu.Lock()
	if gone {
		delete(s.byName, slice.Name)
	} else {
		s.byName[slice.Name] = slice
	}
	s.mu.Unlock()
	s.changed()
	return nil
}
