package controller

import (
	"context"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// watch lets every change of what is read ask for one and the same pass. Addresses are a matter between all load
// balancers, so a pass is about all of them; the queue makes one of many requests, and so batches a burst.
func watch(c controller.Controller, cch cache.Cache, systemNamespace string, p *pulses) error {
	if err := on(c, cch, &corev1.ConfigMap{}, func(older, newer *corev1.ConfigMap) bool {
		return configMapMatters(older, newer, systemNamespace, p)
	}); err != nil {
		return err
	}
	if err := on(c, cch, &corev1.Service{}, serviceMatters); err != nil {
		return err
	}
	if err := on(c, cch, &corev1.Secret{}, secretMatters); err != nil {
		return err
	}
	return on(c, cch, &corev1.Node{}, nodeMatters)
}

func on[T client.Object](c controller.Controller, cch cache.Cache, kind T, matters func(older, newer T) bool) error {
	pass := handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, T) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	changed := predicate.TypedFuncs[T]{
		UpdateFunc: func(e event.TypedUpdateEvent[T]) bool { return matters(e.ObjectOld, e.ObjectNew) },
	}
	return c.Watch(source.Kind(cch, kind, pass, changed))
}

func serviceMatters(older, newer *corev1.Service) bool {
	return !reflect.DeepEqual(older.Spec, newer.Spec) || !reflect.DeepEqual(older.Annotations, newer.Annotations)
}

func secretMatters(older, newer *corev1.Secret) bool {
	return older.UID != newer.UID || !reflect.DeepEqual(older.Data, newer.Data) ||
		!reflect.DeepEqual(older.Annotations, newer.Annotations)
}

func nodeMatters(older, newer *corev1.Node) bool {
	return !reflect.DeepEqual(older.Status, newer.Status) || !reflect.DeepEqual(older.Labels, newer.Labels) ||
		!reflect.DeepEqual(older.Spec.Taints, newer.Spec.Taints) ||
		(older.DeletionTimestamp == nil) != (newer.DeletionTimestamp == nil)
}

// watchCloud lets what is news of a cloud's load balancers ask for a pass: the backend itself, and the endpoints of
// those Services whose endpoints matter. Pods come and go all the time.
func watchCloud(
	c controller.Controller, cch cache.Cache, services *watchedServices, news <-chan event.GenericEvent,
) error {
	pass := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{}}
	})
	if err := c.Watch(source.Channel(news, pass)); err != nil {
		return err
	}
	slicePass := handler.TypedEnqueueRequestsFromMapFunc(
		func(_ context.Context, s *discoveryv1.EndpointSlice) []reconcile.Request {
			if !services.has(serviceOf(s)) {
				return nil
			}
			return []reconcile.Request{{}}
		})
	changed := predicate.TypedFuncs[*discoveryv1.EndpointSlice]{
		UpdateFunc: func(e event.TypedUpdateEvent[*discoveryv1.EndpointSlice]) bool {
			return !reflect.DeepEqual(e.ObjectOld.Endpoints, e.ObjectNew.Endpoints) ||
				!reflect.DeepEqual(e.ObjectOld.Ports, e.ObjectNew.Ports)
		},
	}
	return c.Watch(source.Kind(cch, &discoveryv1.EndpointSlice{}, slicePass, changed))
}

// configMapMatters leaves out what says nothing new: a change of nothing but metadata, and the heartbeat of a report,
// whose time it notes.
func configMapMatters(older, newer *corev1.ConfigMap, systemNamespace string, p *pulses) bool {
	if newer.Labels[nodeconfig.LabelApp] != appLoadBalancer && newer.Namespace != systemNamespace {
		return false
	}
	if older.Labels[nodeconfig.LabelApp] != newer.Labels[nodeconfig.LabelApp] ||
		(older.DeletionTimestamp == nil) != (newer.DeletionTimestamp == nil) ||
		!reflect.DeepEqual(older.Finalizers, newer.Finalizers) {
		return true
	}
	if newer.Labels[nodeconfig.LabelApp] == nodeconfig.AppNode {
		silent := p.silent(older.Name, older.ResourceVersion)
		if older.ResourceVersion != newer.ResourceVersion { // else the informer repeats itself
			p.beat(newer.Name, newer.ResourceVersion)
		}
		return silent || !onlyHeartbeat(older.Data[nodeconfig.KeyStatus], newer.Data[nodeconfig.KeyStatus])
	}
	return !reflect.DeepEqual(older.Data, newer.Data) || !reflect.DeepEqual(older.BinaryData, newer.BinaryData)
}

// onlyHeartbeat reports whether two reports of a node differ in nothing but their time.
func onlyHeartbeat(older, newer string) bool {
	a, errA := nodeconfig.Decode[nodeconfig.Status](older)
	b, errB := nodeconfig.Decode[nodeconfig.Status](newer)
	if errA != nil || errB != nil {
		return false
	}
	a.Reported, b.Reported = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}
