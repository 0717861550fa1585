package controller

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/endpoints"
)

// backing knows which Services have a pod that serves. Behind a cluster IP that is nobody's business but kube-proxy's,
// and changes nothing of what the nodes are told; but whoever has a typing error in a selector should hear of it. One
// watch of all EndpointSlices, as each kube-proxy has, takes the API server less than one for each Service, and of a
// slice no more than a bit is kept.
type backing struct {
	client discovery.EndpointSlicesGetter
	log    *slog.Logger
	// changed is called when a Service has got its first such pod, or lost its last one.
	changed func()

	mu sync.Mutex
	// read says that all slices have been seen, tried that this has gone well or ill.
	read, tried bool
	slices      map[lb.Key]backed
	// serving counts the slices with such a pod, by Service.
	serving map[lb.Key]int
}

// backed is what is known of a slice.
type backed struct {
	service lb.Key
	serves  bool
}

var _ cache.ReflectorStore = (*backing)(nil)

func newBacking(client discovery.EndpointSlicesGetter, log *slog.Logger) *backing {
	return &backing{client: client, log: log, slices: map[lb.Key]backed{}, serving: map[lb.Key]int{}}
}

// run watches until the context ends. Where it may not, nothing is said of any Service.
func (b *backing) run(ctx context.Context) {
	log := logr.FromSlogHandler(b.log.Handler())
	client := b.client.EndpointSlices(metav1.NamespaceAll)
	r := cache.NewReflectorWithOptions(persistent(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}, b.log), &discoveryv1.EndpointSlice{}, b, cache.ReflectorOptions{Name: "endpointslices", Logger: &log})
	for {
		err := r.ListAndWatchWithContext(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.mu.Lock()
			b.tried = true
			b.mu.Unlock()
			b.log.Warn("endpoints cannot be watched; nobody is told of Services without pods",
				"error", err, "retry", rewatchLast)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rewatchLast):
		}
	}
}

// settled reports whether it is known by now whether anything can be said of Services.
func (b *backing) settled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read || b.tried
}

// podless returns a finding for each Service that a wish leads to by its cluster IP and that has no pod that serves.
func (b *backing) podless(w *lb.Wish) []lb.Finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.read {
		return nil
	}
	var found []lb.Finding
	told := map[lb.Key]bool{}
	for _, l := range w.LoadBalancer.Listeners {
		if l.Options.Upstream.Endpoints {
			continue
		}
		for _, r := range l.Routes {
			for _, t := range r.Targets() {
				key := t.Service.Key
				if told[key] || len(t.Endpoints) == 0 || b.serving[key] > 0 || len(r.Others) > 0 && t.Weight == 0 {
					continue
				}
				told[key] = true
				found = append(found, lb.Finding{Code: lb.CodeNoEndpoints, Field: w.Fields.Service, Message: fmt.Sprintf(
					"no pod of Service %s is ready; see that its selector finds pods and that they are ready", key)})
			}
		}
	}
	return found
}

// Replace implements [cache.ReflectorStore].
func (b *backing) Replace(objects []any, _ string) error {
	b.mu.Lock()
	b.slices, b.serving, b.read = map[lb.Key]backed{}, map[lb.Key]int{}, true
	for _, o := range objects {
		if slice, ok := o.(*discoveryv1.EndpointSlice); ok {
			b.put(slice, false)
		}
	}
	b.mu.Unlock()
	b.changed()
	return nil
}

// Add implements [cache.ReflectorStore].
func (b *backing) Add(object any) error { return b.update(object, false) }

// Update implements [cache.ReflectorStore].
func (b *backing) Update(object any) error { return b.update(object, false) }

// Delete implements [cache.ReflectorStore].
func (b *backing) Delete(object any) error { return b.update(object, true) }

// Resync implements [cache.ReflectorStore]; there is nothing to do.
func (b *backing) Resync() error { return nil }

func (b *backing) update(object any, gone bool) error {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return fmt.Errorf("a %T is no EndpointSlice", object)
	}
	b.mu.Lock()
	turned := b.put(slice, gone)
	b.mu.Unlock()
	if turned {
		b.changed()
	}
	return nil
}

// put notes a slice, or that it is gone, and reports whether a Service has got its first pod or lost its last one. The
// caller holds the lock.
func (b *backing) put(slice *discoveryv1.EndpointSlice, gone bool) (turned bool) {
	key := lb.Key{Namespace: slice.Namespace, Name: slice.Name}
	now := backed{service: lb.Key{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}}
	now.serves = !gone && now.service.Name != "" && endpoints.Serves(slice)
	before := b.slices[key]
	if gone || now.service.Name == "" {
		delete(b.slices, key)
	} else {
		b.slices[key] = now
	}
	if before == now || !before.serves && !now.serves {
		return false
	}
	if before.serves {
		b.serving[before.service]--
		if b.serving[before.service] == 0 {
			delete(b.serving, before.service)
			turned = true
		}
	}
	if now.serves {
		b.serving[now.service]++
		turned = turned || b.serving[now.service] == 1
	}
	return turned
}
