package feed

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Watch calls put with what the controller's ConfigMaps amount to: once their first list is complete, and after every
// change, until the context is done. last is what is known from elsewhere, nil for nothing.
func (c *Client) Watch(ctx context.Context, log *slog.Logger, last *nodeconfig.Config, put func(Update)) error {
	informer := cache.NewSharedIndexInformer(c.listWatch(), &corev1.ConfigMap{}, 0, cache.Indexers{})
	if err := informer.SetTransform(strip); err != nil {
		return fmt.Errorf("watch the configuration: %w", err)
	}
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		log.Warn("the API server does not answer; what runs goes on", "error", err)
	})
	if err != nil {
		return fmt.Errorf("watch the configuration: %w", err)
	}
	// One token stands for any number of changes: whoever takes it looks at all there is.
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke() },
		UpdateFunc: func(_, _ any) { poke() },
		DeleteFunc: func(any) { poke() },
	})
	if err != nil {
		return fmt.Errorf("watch the configuration: %w", err)
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil // the context is done
	}
	poke()
	assembler := Assembler{Last: last}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			put(assembler.Assemble(documents(informer.GetStore())))
		}
	}
}

func (c *Client) listWatch() *cache.ListWatch {
	selector := nodeconfig.LabelApp + "=" + nodeconfig.AppConfig
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = selector
			list := &corev1.ConfigMapList{}
			err := c.rest.Get().Namespace(c.namespace).Resource("configmaps").
				VersionedParams(&o, c.params).Do(ctx).Into(list)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = selector
			o.Watch = true
			return c.rest.Get().Namespace(c.namespace).Resource("configmaps").
				VersionedParams(&o, c.params).Watch(ctx)
		},
	}
}

// strip forgets what the daemon never looks at.
func strip(object any) (any, error) {
	if cm, ok := object.(*corev1.ConfigMap); ok {
		cm.ManagedFields, cm.Annotations, cm.BinaryData = nil, nil, nil
	}
	return object, nil
}

func documents(store cache.Store) Documents {
	docs := make(Documents)
	for _, object := range store.List() {
		if cm, ok := object.(*corev1.ConfigMap); ok {
			docs[cm.Name] = cm.Data[nodeconfig.KeyConfig]
		}
	}
	return docs
}
