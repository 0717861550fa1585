package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

const (
	// redrawInterval is the shortest time between two drawings: a burst of changes is one.
	redrawInterval = 200 * time.Millisecond
	// restaleInterval is how often the picture is drawn anew without a change: a node that falls silent sends none.
	restaleInterval = 5 * time.Second
	// quietLimit is how long nothing is heard before the API server is asked, and askLimit how long it may take then. The
	// nodes' heartbeats come more often.
	quietLimit = 10 * time.Second
	askLimit   = 5 * time.Second
)

// watcher shows one picture after the other: it redraws a terminal, and elsewhere appends what changed.
type watcher struct {
	*statusOptions
	cluster   *cluster
	namespace string
	// documented says that the nodes' documents may be read.
	documented bool
	// lost says that the API server does not answer, which the user knows.
	lost   bool
	redraw bool
	drawn  bool
	headed bool
	// shown is what was last appended of each load balancer.
	shown map[lb.Key]v1alpha1.LoadBalancerStatus
}

// follow shows the load balancers and then every change, until it is interrupted.
func (o *statusOptions) follow(ctx context.Context, c *cluster) error {
	first, err := o.snapshot(ctx, c)
	if err != nil {
		return err
	}
	w := &watcher{
		statusOptions: o, cluster: c, namespace: c.namespace, documented: first.Documents != nil,
		shown: map[lb.Key]v1alpha1.LoadBalancerStatus{},
	}
	if o.allNamespaces {
		w.namespace = metav1.NamespaceAll
	}
	w.redraw = o.output.Human() && printers.IsTerminal(o.Out)
	changed := make(chan struct{}, 1)
	copied := w.copies(ctx, changed)
	// The first picture is the one that was just read: the informers may not have caught up with it.
	snap := first
	return keepUp(ctx, changed, pictures{
		draw: func() error { return w.draw(ctx, c, view.Build(snap)) },
		copy: func() { snap = copied() },
		ask: func() (fresh bool) {
			asked, fresh := w.ask(ctx)
			if fresh {
				snap = asked
			}
			return fresh
		},
	})
}

// pictures are what a command shows one after the other until it is interrupted: draw shows the last one, copy makes
// the next one of what is followed, and ask of what is read anew. ask reports false where there is no answer.
type pictures struct {
	draw func() error
	copy func()
	ask  func() bool
}

// keepUp shows a picture, and another one after each change; every now and then without one, for what is not heard of.
func keepUp(ctx context.Context, changed <-chan struct{}, p pictures) error {
	var quiet time.Duration
	for {
		if err := p.draw(); err != nil {
			return err
		}
		for fresh := false; !fresh; {
			select {
			case <-ctx.Done():
			case <-changed:
				quiet = 0
			case <-time.After(restaleInterval):
				quiet += restaleInterval
			}
			if !pause(ctx, redrawInterval) {
				return ctx.Err()
			}
			if quiet >= quietLimit {
				fresh = p.ask()
			} else {
				p.copy()
				fresh = true
			}
		}
	}
}

// copies follows the ConfigMaps, and returns what makes a snapshot of its copies of them.
func (w *watcher) copies(ctx context.Context, changed chan<- struct{}) func() view.Snapshot {
	selector := configmap.LabelKey + "=" + configmap.LabelValue
	if w.selector != "" {
		selector += "," + w.selector
	}
	objects := follower(ctx, w.cluster, w.namespace, selector, changed)
	documents := func() []corev1.ConfigMap { return nil }
	if w.documented {
		documents = follower(ctx, w.cluster, w.cluster.system, systemSelector, changed)
	}
	return func() view.Snapshot { return w.picture(objects(), documents()) }
}

// picture makes a snapshot.
func (w *watcher) picture(objects, documents []corev1.ConfigMap) view.Snapshot {
	snap := view.Snapshot{Objects: objects, Now: w.now()}
	if w.documented {
		docs := w.cluster.clock.Documents(documents)
		snap.Documents = &docs
	}
	return snap
}

// ask reads everything anew where nothing has been heard for long: so is it also while the API server is away, or for
// users who may list but not watch. It reports false where there is no answer: what was heard last says nothing about
// the nodes then, which have no way to report.
func (w *watcher) ask(ctx context.Context) (view.Snapshot, bool) {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var documents []corev1.ConfigMap
	objects, err := w.cluster.objects(limited, w.namespace, w.selector)
	if err == nil && w.documented {
		documents, err = w.cluster.documents(limited)
	}
	switch {
	case err == nil:
		w.lost = false
		return w.picture(objects, documents), true
	case !w.lost && ctx.Err() == nil:
		w.lost = true
		w.outdated(err)
	}
	return view.Snapshot{}, false
}

// outdated tells that what is shown is no longer so.
func (p *program) outdated(err error) {
	p.note("note: what is shown is no longer up to date: %s", strings.TrimPrefix(explain(err), "error: "))
}

// pause waits, and reports false when it was interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// follower keeps a copy of the ConfigMaps that a selector chooses. It tells of changes once it has all of them.
func follower(ctx context.Context, c *cluster, namespace, selector string,
	changed chan<- struct{}) func() []corev1.ConfigMap {
	return observer(ctx, c, namespace, selector, changed, func(*corev1.ConfigMap) {})
}

// observer is follower that also shows every version of a ConfigMap as it arrives.
func observer(ctx context.Context, c *cluster, namespace, selector string, changed chan<- struct{},
	show func(*corev1.ConfigMap)) func() []corev1.ConfigMap {
	factory := informers.NewSharedInformerFactoryWithOptions(c, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(l *metav1.ListOptions) { l.LabelSelector = selector }))
	informer := factory.Core().V1().ConfigMaps()
	tell := func(obj any) {
		if cm, ok := obj.(*corev1.ConfigMap); ok {
			show(cm)
		}
		if !informer.Informer().HasSynced() {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	_, _ = informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    tell,
		UpdateFunc: func(_, obj any) { tell(obj) },
		DeleteFunc: func(any) { tell(nil) },
	})
	factory.StartWithContext(ctx)
	factory.WaitForCacheSync(ctx.Done())
	return func() []corev1.ConfigMap {
		var out []corev1.ConfigMap
		for _, obj := range informer.Informer().GetStore().List() {
			if cm, ok := obj.(*corev1.ConfigMap); ok {
				out = append(out, *cm)
			}
		}
		return out
	}
}

// draw shows a picture. What was named has to be there at the first one; later it may go and come back.
func (w *watcher) draw(ctx context.Context, c *cluster, list *v1alpha1.LoadBalancerStatusList) error {
	if err := w.pick(list, c.namespace); err != nil && !w.drawn {
		return err
	}
	w.drawn = true
	if w.redraw {
		fmt.Fprint(w.Out, "\x1b[H\x1b[2J")
		return w.show(ctx, c, list)
	}
	return w.appendLines(w.changes(list.Items))
}

// changes returns the load balancers of which there is something new to show, those last that are gone.
func (w *watcher) changes(items []v1alpha1.LoadBalancerStatus) []v1alpha1.LoadBalancerStatus {
	var changed []v1alpha1.LoadBalancerStatus
	there := map[lb.Key]bool{}
	for _, s := range items {
		key := lb.Key{Namespace: s.Namespace, Name: s.Name}
		there[key] = true
		if last, ok := w.shown[key]; !ok || fingerprint(last) != fingerprint(s) {
			w.shown[key] = s
			changed = append(changed, s)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(w.shown), lb.Key.Compare) {
		if !there[key] {
			s := w.shown[key]
			s.Status.State, s.Status.Reason = v1alpha1.Gone, ""
			changed = append(changed, s)
			delete(w.shown, key)
		}
	}
	return changed
}

// appendLines prints load balancers below those that were printed before.
func (w *watcher) appendLines(changed []v1alpha1.LoadBalancerStatus) error {
	switch {
	case len(changed) == 0:
		return nil
	case w.output.Name():
		return w.showNames(changed)
	case w.output.Human():
		options := w.tableOptions(w.output)
		options.NoHeaders = options.NoHeaders || w.headed
		w.headed = true
		if err := w.showTable(changed, options); err != nil {
			return err
		}
		if !w.output.Wide() {
			w.showReasons(changed)
		}
		return nil
	}
	for i := range changed {
		if err := w.output.Print(w.Out, &changed[i]); err != nil {
			return err
		}
	}
	return nil
}

// fingerprint is what makes a change worth a line: what a table shows, but neither ages nor heartbeats.
func fingerprint(s v1alpha1.LoadBalancerStatus) string {
	return fmt.Sprint(vipsOf(s.Status), portsOf(s.Status), activeOf(s.Status), nodesOf(s.Status), s.Status.State,
		s.Status.Reason)
}
