package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
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
	// cloud and warnings are the annotations about the cloud and about what is to be warned of.
	cloud, warnings string
}

func newStatusWriter(mgr manager.Manager, log *slog.Logger) *statusWriter {
	return &statusWriter{
		client:  mgr.GetClient(),
		log:     log,
		written: map[types.UID]written{},
		herald: &herald{
			events: mgr.GetEventRecorder(fieldManager),
			log:    log,
		},
	}
}

// report writes the verdicts that the objects do not show yet. Every object gets its turn, whatever happens to others.
func (w *statusWriter) report(ctx context.Context, cms []*corev1.ConfigMap, verdicts map[types.UID]verdict) error {
	w.forget(cms)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	slots := make(chan struct{}, statusWorkers)
	for _, cm := range cms {
		v, ok := verdicts[cm.UID]
		if !ok {
			continue
		}
		earlier, futile := w.shown(cm)
		if v.unknown && earlier.status != "" {
			continue
		}
		v = v.after(earlier)
		cloud, err := cloudText(v.cloud, earlier.cloud)
		if err != nil {
			failed(fmt.Errorf("status of configmap %s: %w", keyOf(cm), err))
			continue
		}
		warnings, err := warningsText(v.findings)
		if err != nil {
			failed(fmt.Errorf("status of configmap %s: %w", keyOf(cm), err))
			continue
		}
		now := written{bindIP: v.bindIP, status: v.status, cloud: cloud, warnings: warnings}
		if earlier.same(now) || futile(now) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := w.write(ctx, cm, v, now, earlier); err != nil {
				failed(err)
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
}

// shown returns what the object says, be it that the cache does not know it yet, and whether it is futile to write a
// verdict: the very same was applied to the object as it is, without the object showing it. Then somebody else owns the
// key too, such as a user who keeps bind-ip in his manifest.
func (w *statusWriter) shown(cm *corev1.ConfigMap) (shown written, futile func(written) bool) {
	w.mu.Lock()
	last := w.written[cm.UID]
	w.mu.Unlock()
	futile = func(now written) bool { return last.version == cm.ResourceVersion && last.same(now) }
	if c, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, last.version); err == nil && c < 0 {
		return last, futile
	}
	return written{
		version:  cm.ResourceVersion,
		bindIP:   cm.Data[configmap.KeyBindIP],
		status:   cm.Data[configmap.KeyStatus],
		cloud:    cm.Annotations[configmap.AnnotationCloud],
		warnings: cm.Annotations[configmap.AnnotationWarnings],
	}, futile
}

// same reports whether two say the same, whatever version they are of.
func (w written) same(o written) bool {
	w.version, o.version = "", ""
	return w == o
}

// maxCloud is how long the annotation about a cloud may be; an object's annotations may have 256 KiB together.
const maxCloud = 128 << 10

// cloudText is the annotation about a cloud: what it was, if that says the same, and empty for none. Where there are
// too many members they are left out but for those that fail.
func cloudText(s *lb.CloudStatus, earlier string) (string, error) {
	if s == nil {
		return "", nil
	}
	var before lb.CloudStatus
	if earlier != "" {
		_ = json.Unmarshal([]byte(earlier), &before) // what cannot be read is no past
	}
	s.Continue(before, time.Now())
	text, err := json.Marshal(s)
	if err != nil || len(text) <= maxCloud {
		return string(text), err
	}
	for i := range s.Listeners {
		for j := range s.Listeners[i].Pools {
			p := &s.Listeners[i].Pools[j]
			p.Members = slices.DeleteFunc(p.Members, func(m lb.CloudMember) bool { return !m.Down() })
		}
	}
	if text, err = json.Marshal(s); len(text) > maxCloud {
		s.Listeners = nil
		text, err = json.Marshal(s)
	}
	return string(text), err
}

// warningsText is the annotation about what is to be warned of: the first of the warnings among findings, empty for
// none.
func warningsText(findings []lb.Finding) (string, error) {
	var warnings []lb.Finding
	for _, f := range findings {
		f.Message = printable(f.Message, maxStatus)
		if f.Severity() == lb.SeverityWarning && len(warnings) < maxFindings && !slices.Contains(warnings, f) {
			warnings = append(warnings, f)
		}
	}
	if len(warnings) == 0 {
		return "", nil
	}
	text, err := json.Marshal(warnings)
	return string(text), err
}

func (w *statusWriter) write(ctx context.Context, cm *corev1.ConfigMap, v verdict, now, earlier written) error {
	data := map[string]string{configmap.KeyStatus: v.status}
	if v.bindIP != "" {
		data[configmap.KeyBindIP] = v.bindIP
	}
	// The UID keeps the status of a deleted object from being given to a new one of the same name.
	ac := corev1ac.ConfigMap(cm.Name, cm.Namespace).WithUID(cm.UID).WithData(data)
	if now.cloud != "" {
		ac = ac.WithAnnotations(map[string]string{configmap.AnnotationCloud: now.cloud})
	}
	if now.warnings != "" || earlier.warnings != "" { // another owner, as of a backup, would keep what is left out
		ac = ac.WithAnnotations(map[string]string{configmap.AnnotationWarnings: now.warnings})
	}
	err := w.client.Apply(ctx, ac, client.FieldOwner(fieldManager), client.ForceOwnership)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		w.log.Debug("the object is gone", "configmap", keyOf(cm), "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("status of configmap %s: %w", keyOf(cm), err)
	}
	if ac.ResourceVersion != nil {
		now.version = *ac.ResourceVersion
	}
	w.mu.Lock()
	w.written[cm.UID] = now
	w.mu.Unlock()
	w.herald.tell(cm, earlier, now, v)
	return nil
}
