package feed

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The waits between two tries to reach the API server: client-go's own go up to a minute, and a change made right
// after an outage would be served as late as that. Every node asks for a handful of objects, so a try is cheap.
const (
	retryFirst = 200 * time.Millisecond
	retryLast  = 2 * time.Second
)

// Watch calls put with what the ConfigMaps of the controller and of the operators amount to, and the Secrets with the
// material that they name: once the first list of the ConfigMaps is complete, and after every change, until the context
// is done. last is what is known from elsewhere, nil for nothing.
func (c *Client) Watch(ctx context.Context, log *slog.Logger, last *nodeconfig.Config, put func(Update)) {
	// One token stands for any number of changes: whoever takes it looks at all there is.
	changed := make(chan struct{}, 1)
	configs, secrets := newStore(changed), newStore(changed)
	apps := nodeconfig.LabelApp + " in (" + nodeconfig.AppConfig + "," + nodeconfig.AppOrders + ")"
	go c.follow(ctx, log, configs, watched{
		"configmaps", c.namespaces.Documents, apps, &corev1.ConfigMap{},
		func() runtime.Object { return &corev1.ConfigMapList{} },
	})
	go c.follow(ctx, log, secrets, watched{
		"secrets", c.namespaces.Certificates, nodeconfig.LabelApp + "=" + nodeconfig.AppTLS, &corev1.Secret{},
		func() runtime.Object { return &corev1.SecretList{} },
	})
	assembler := Assembler{Last: last}
	var patience patience
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-patience.until:
			patience.giveUp()
		}
		if !configs.listed.Load() {
			continue
		}
		update, handout := assembler.Assemble(documents(configs)), handoutOf(secrets)
		if secrets.listed.Load() {
			update.Material = &handout.Material
		}
		if !patience.wait(update.Config, handout) {
			put(update)
		}
	}
}

// newStore returns a store that puts a token into a channel when it was changed.
func newStore(changed chan<- struct{}) *pokingStore {
	return &pokingStore{
		Store: cache.NewStore(cache.MetaNamespaceKeyFunc, cache.WithTransformer(strip)),
		poke: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	}
}

// watched is a kind of objects.
type watched struct {
	resource, namespace, selector string

	object runtime.Object
	list   func() runtime.Object
}

// follow keeps a store as the API server has it, until the context is done.
func (c *Client) follow(ctx context.Context, log *slog.Logger, store *pokingStore, w watched) {
	reflector := cache.NewReflectorWithOptions(c.listWatch(log, w), w.object, store, cache.ReflectorOptions{
		Name:    w.resource,
		Backoff: &wait.Backoff{Duration: retryFirst, Cap: retryLast, Steps: 10, Factor: 2, Jitter: 0.5},
	})
	reflector.RunWithContext(ctx)
}

// pokingStore says when it was changed, and not before its first list is complete.
type pokingStore struct {
	cache.Store
	poke   func()
	listed atomic.Bool
}

// Replace is called with each complete list.
func (s *pokingStore) Replace(objects []any, version string) error {
	err := s.Store.Replace(objects, version)
	s.listed.Store(true)
	return s.tell(err)
}

// Add is called for a new object.
func (s *pokingStore) Add(object any) error { return s.tell(s.Store.Add(object)) }

// Update is called for a changed object.
func (s *pokingStore) Update(object any) error { return s.tell(s.Store.Update(object)) }

// Delete is called for a deleted object.
func (s *pokingStore) Delete(object any) error { return s.tell(s.Store.Delete(object)) }

func (s *pokingStore) tell(err error) error {
	if err == nil && s.listed.Load() {
		s.poke()
	}
	return err
}

func (c *Client) listWatch(log *slog.Logger, kind watched) *cache.ListWatch {
	request := func(o *metav1.ListOptions) *rest.Request {
		o.LabelSelector = kind.selector
		return c.rest.Get().Namespace(kind.namespace).Resource(kind.resource).VersionedParams(o, c.params)
	}
	complain := func(ctx context.Context, err error) {
		if err != nil && ctx.Err() == nil {
			log.Warn("the API server does not answer; what runs goes on", "resource", kind.resource, "namespace", kind.namespace,
				"error", err)
		}
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list := kind.list()
			err := request(&o).Do(ctx).Into(list)
			complain(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			w, err := request(&o).Watch(ctx)
			complain(ctx, err)
			return w, err
		},
	}
}

// strip forgets what the daemon never looks at.
func strip(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		o.ManagedFields, o.Annotations, o.BinaryData = nil, nil, nil
	case *corev1.Secret:
		o.ManagedFields = nil
	}
	return object, nil
}

func documents(store cache.Store) Documents {
	docs := Documents{Config: make(map[string]string)}
	for _, object := range store.List() {
		cm, ok := object.(*corev1.ConfigMap)
		switch {
		case !ok:
		case cm.Labels[nodeconfig.LabelApp] == nodeconfig.AppConfig:
			docs.Config[cm.Name] = cm.Data[nodeconfig.KeyConfig]
		case cm.Name == nodeconfig.OrdersName:
			docs.Orders = cm.Data
			if docs.Orders == nil {
				docs.Orders = make(map[string]string) // it is there, and has no order in it
			}
		}
	}
	return docs
}
