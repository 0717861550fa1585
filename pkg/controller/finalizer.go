package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// finalizerManager owns the finalizer, apart from what fieldManager owns, so that it can be taken away again alone.
const finalizerManager = "lb-controller-finalizer"

// finalizers keep an object from going before what was made for it in OpenStack has gone. Only objects that something
// is made for have one.
type finalizers struct {
	client client.Client
	// api reads from the API server: the cache has none of those whose label was taken away.
	api     client.Reader
	backend *octavia.Backend
	log     *slog.Logger
	// held are the objects that have one, as far as this process knows; the cache may lag behind. An object that is no
	// longer among the users' ones, since its label was taken away, is in it until it is let go.
	held map[types.UID]lb.Origin
	// releasing are those that the backend has been told to make go.
	releasing map[types.UID]bool
	// versions are those in which the objects were seen with the finalizer, or got it.
	versions map[types.UID]string
	// begun are the objects that had the finalizer when this process first saw them.
	begun map[types.UID]bool
	// asked are the orphans, by id, whose objects were looked for.
	asked map[string]bool
}

// find looks for the objects of load balancers that nobody is known for: one whose label was taken away while no
// controller ran is in no cache, and its finalizer would keep it for ever. It is held from then on, and thus released.
func (f *finalizers) find(ctx context.Context, orphans []octavia.Orphan) error {
	var errs []error
	for _, o := range orphans {
		if f.asked[o.ID] {
			continue
		}
		f.asked[o.ID] = true
		for _, key := range o.Objects() {
			if err := f.findOne(ctx, key); err != nil {
				f.asked[o.ID] = false
				errs = append(errs, fmt.Errorf("look for configmap %s of load balancer %s: %w", key, o.ID, err))
			}
		}
	}
	return errors.Join(errs...)
}

// findOne holds an object if it is there, with our finalizer, and in no cache.
func (f *finalizers) findOne(ctx context.Context, key lb.Key) error {
	var cm corev1.ConfigMap
	err := f.api.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, &cm)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	ours := cm.DeletionTimestamp == nil && cm.Labels[nodeconfig.LabelApp] == appLoadBalancer // the cache will have it
	if !ours && slices.Contains(cm.Finalizers, configmap.Finalizer) {
		f.held[cm.UID] = originOf(&cm)
	}
	return nil
}

// hold puts the finalizer on the objects that something is to be made for. What cannot be held is not made: the load
// balancer loses its listeners, which leaves alone what there is.
func (f *finalizers) hold(ctx context.Context, cms []*corev1.ConfigMap, want []lb.LoadBalancer) error {
	for _, cm := range cms {
		if slices.Contains(cm.Finalizers, configmap.Finalizer) {
			if _, known := f.held[cm.UID]; !known {
				f.begun[cm.UID] = true
			}
			f.held[cm.UID], f.versions[cm.UID] = originOf(cm), cm.ResourceVersion
			continue
		}
		newer, err := resourceversion.CompareResourceVersion(cm.ResourceVersion, f.versions[cm.UID])
		if err == nil && newer > 0 {
			delete(f.held, cm.UID) // somebody has taken it away
			delete(f.versions, cm.UID)
		}
	}
	var errs []error
	for i := range want {
		o := want[i].Origin
		want[i].Cloud.Begun = f.begun[types.UID(o.UID)]
		if _, ok := f.held[types.UID(o.UID)]; ok || len(want[i].Listeners) == 0 {
			continue
		}
		if err := f.write(ctx, o, configmap.Finalizer); err != nil {
			errs = append(errs, err)
			want[i].Listeners = nil
			continue
		}
		f.held[types.UID(o.UID)] = o
	}
	return errors.Join(errs...)
}

// release makes go what was made for objects that want nothing of it any more, and takes the finalizer away when it has
// gone.
func (f *finalizers) release(ctx context.Context, want []lb.LoadBalancer) error {
	wanted := make(map[types.UID]bool, len(want))
	keys := make(map[lb.Key]bool, len(want))
	for _, l := range want {
		wanted[types.UID(l.Origin.UID)], keys[l.Origin.Key] = true, true
	}
	var errs []error
	for uid, o := range f.held {
		switch {
		case wanted[uid]:
			delete(f.releasing, uid)
		case keys[o.Key]:
			// Its name has a new object by now, which has taken over what there was.
			delete(f.held, uid)
			delete(f.begun, uid)
		case !f.releasing[uid]:
			f.releasing[uid] = true
			f.backend.Release([]lb.Origin{o})
		case f.backend.Released(o.Key):
			if err := f.write(ctx, o); err != nil {
				errs = append(errs, err)
				continue
			}
			f.log.Info("nothing is left of it in OpenStack", "object", o.Key.String())
			delete(f.held, uid)
			delete(f.releasing, uid)
			delete(f.versions, uid)
			delete(f.begun, uid)
		}
	}
	return errors.Join(errs...)
}

// write applies the finalizers of ours that an object shall have. One that is gone needs none.
func (f *finalizers) write(ctx context.Context, o lb.Origin, names ...string) error {
	ac := corev1ac.ConfigMap(o.Name, o.Namespace).WithUID(types.UID(o.UID)).WithFinalizers(names...)
	err := f.client.Apply(ctx, ac, client.FieldOwner(finalizerManager), client.ForceOwnership)
	if err == nil && ac.ResourceVersion != nil {
		f.versions[types.UID(o.UID)] = *ac.ResourceVersion
	}
	gone := apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsForbidden(err) && len(names) == 0
	if err == nil || gone && len(names) == 0 {
		return nil
	}
	return fmt.Errorf("finalizer of configmap %s: %w", o.Key, err)
}

// originOf says which object it is.
func originOf(cm *corev1.ConfigMap) lb.Origin {
	return lb.Origin{Kind: "ConfigMap", Key: keyOf(cm), UID: string(cm.UID), Created: cm.CreationTimestamp.UTC()}
}
