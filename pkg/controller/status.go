package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// fieldManager owns what the controller writes, so that a user's own apply and ours never fight.
const fieldManager = "lb-controller"

// statusWorkers is how many statuses are written at the same time.
const statusWorkers = 32

// statusWriter writes what became of a wish onto its ConfigMap, and tells the transitions as Events.
type statusWriter struct {
	client  client.Client
	herald  *herald
	log     *slog.Logger
	mu      sync.Mutex
	written map[types.UID]written
}

// written is what was last applied to an object and the version that this made. The cache may not show it yet.
type written struct {
	version        string
	bindIP, status string
}

func newStatusWriter(mgr manager.Manager, log *slog.Logger) *statusWriter {
	return &statusWriter{
		client:  mgr.GetClient(),
		log:     log,
		written: map[types.UID]written{},
		herald: &herald{
			events: mgr.GetEventRecorder(fieldManager),
			log:    log,
			warned: map[types.UID]map[string]bool{},
		},
	}
}

// report writes the verdicts that the objects do not show yet. Every object gets its turn, whatever happens to others.
func (w *statusWriter) report(ctx context.Context, cms []*corev1.ConfigMap, verdicts map[types.UID]verdict) error {
	w.forget(cms)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	slots := make(chan struct{}, statusWorkers)
	for _, cm := range cms {
		v, ok := verdicts[cm.UID]
		if !ok {
			continue
		}
		earlier, futile := w.shown(cm)
		if v.keepIP {
			v.bindIP = earlier.bindIP
		}
		w.herald.warn(cm, v)
		if earlier.bindIP == v.bindIP && earlier.status == v.status || futile(v) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := w.write(ctx, cm, v, earlier); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// forget drops the memory of objects that are gone.
func (w *statusWriter) forget(cms []*corev1.ConfigMap) {
	there := make(map[types.UID]bool, len(cms))
	for _, cm := range cms {
		there[cm.UID] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid := range w.written {
		if !there[uid] {
			delete(w.written, uid)
		}
	}
	w.herald.forget(there)
}

// shown returns what the object says, be it that the cache does not know it yet, and whether it is futile to write a
// verdict: the very same was applied to the object as it is, without the object showing it. Then somebody else owns the
// key too, such as a user who keeps bind-ip in his manifest.
func (w *statusWriter) shown(cm *corev1.ConfigMap) (shown written, futile func(verdict) bool) {
	w.mu.Lock()
	last := w.written[cm.UID]
	w.mu.Unlock()
	futile = func(v verdict) bool {
		return last == written{version: cm.ResourceVersion, bindIP: v.bindIP, status: v.status}
	}
	if c, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, last.version); err == nil && c < 0 {
		return last, futile
	}
	return written{
		version: cm.ResourceVersion,
		bindIP:  cm.Data[configmap.KeyBindIP],
		status:  cm.Data[configmap.KeyStatus],
	}, futile
}

func (w *statusWriter) write(ctx context.Context, cm *corev1.ConfigMap, v verdict, earlier written) error {
	data := map[string]string{configmap.KeyStatus: v.status}
	if v.bindIP != "" {
		data[configmap.KeyBindIP] = v.bindIP
	}
	// The UID keeps the status of a deleted object from being given to a new one of the same name.
	ac := corev1ac.ConfigMap(cm.Name, cm.Namespace).WithUID(cm.UID).WithData(data)
	err := w.client.Apply(ctx, ac, client.FieldOwner(fieldManager), client.ForceOwnership)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		w.log.Debug("the object is gone", "configmap", keyOf(cm), "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("status of configmap %s: %w", keyOf(cm), err)
	}
	now := written{bindIP: v.bindIP, status: v.status}
	if ac.ResourceVersion != nil {
		now.version = *ac.ResourceVersion
	}
	w.mu.Lock()
	w.written[cm.UID] = now
	w.mu.Unlock()
	w.herald.tell(cm, earlier, v)
	return nil
}
