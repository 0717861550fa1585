package controller

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// appLoadBalancer is the value of the app label of the users' ConfigMaps, as in 2016.
const appLoadBalancer = "loadbalancer"

// cacheOptions restrict the cache to what the controller reads: an informer over everything would hold every ConfigMap
// of the cluster in memory.
func cacheOptions(nodes labels.Selector, tlsNamespace string) (cache.Options, error) {
	ours, err := ourConfigMaps()
	if err != nil {
		return cache.Options{}, err
	}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {Label: ours, Transform: stripConfigMap},
			&corev1.Service{}:   {Transform: stripService},
			&corev1.Node{}:      {Label: nodes, Transform: stripNode},
			&corev1.Secret{}:    {Transform: stripSecret, Namespaces: secretsOf(tlsNamespace)},
		},
	}, nil
}

// ourConfigMaps selects the ConfigMaps of users and of this project.
func ourConfigMaps() (labels.Selector, error) {
	ours, err := labels.NewRequirement(nodeconfig.LabelApp, selection.In,
		[]string{appLoadBalancer, nodeconfig.AppConfig, nodeconfig.AppNode, nodeconfig.AppOrders})
	if err != nil {
		return nil, err
	}
	return labels.NewSelector().Add(*ours), nil
}

// secretsOf selects the Secrets that can hold a certificate, and the copies in their namespace.
func secretsOf(tlsNamespace string) map[string]cache.Config {
	copies := labels.SelectorFromSet(labels.Set{nodeconfig.LabelApp: nodeconfig.AppTLS})
	return map[string]cache.Config{
		cache.AllNamespaces: {FieldSelector: fields.OneTermEqualSelector("type", certs.TypeTLS)},
		tlsNamespace:        {LabelSelector: copies},
	}
}

// watched returns the kinds that have informers.
func watched() []client.Object {
	return []client.Object{&corev1.ConfigMap{}, &corev1.Service{}, &corev1.Node{}, &corev1.Secret{}}
}

// stripConfigMap cuts what a user may have filled up to 1 MiB, one byte behind what a key takes: the source still sees
// that it is too long, and never takes a part for the whole.
func stripConfigMap(in any) (any, error) {
	cm, ok := in.(*corev1.ConfigMap)
	if !ok {
		return in, nil
	}
	cm.ManagedFields = nil
	if cm.Labels[nodeconfig.LabelApp] != appLoadBalancer {
		return cm, nil
	}
	cm.Annotations = nil
	for k, v := range cm.Data {
		if most := configmap.MaxValue(k) + 1; len(v) > most {
			cm.Data[k] = string([]byte(v[:most]))
		}
	}
	for k := range cm.BinaryData {
		cm.BinaryData[k] = nil
	}
	return cm, nil
}

// stripService keeps what a load balancer's target is made from.
func stripService(in any) (any, error) {
	s, ok := in.(*corev1.Service)
	if !ok {
		return in, nil
	}
	s.ManagedFields, s.Labels, s.OwnerReferences = nil, nil, nil
	for k := range s.Annotations {
		if k == corev1.LastAppliedConfigAnnotation {
			delete(s.Annotations, k)
		}
	}
	s.Spec.Selector = nil
	s.Status = corev1.ServiceStatus{}
	return s, nil
}

// stripSecret keeps what a certificate is made from, or a copy.
func stripSecret(in any) (any, error) {
	s, ok := in.(*corev1.Secret)
	if !ok {
		return in, nil
	}
	s.ManagedFields, s.OwnerReferences = nil, nil
	if s.Labels[nodeconfig.LabelApp] == nodeconfig.AppTLS {
		return s, nil
	}
	s.Annotations, s.Labels = nil, nil
	for key := range s.Data {
		if key != certs.KeyCert && key != certs.KeyKey {
			delete(s.Data, key)
		}
	}
	return s, nil
}

// stripNode keeps a node's addresses: the heartbeat of its kubelet must not look like news.
func stripNode(in any) (any, error) {
	n, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Spec = corev1.NodeSpec{}
	n.Status = corev1.NodeStatus{Addresses: n.Status.Addresses}
	return n, nil
}

// reader gives the source its objects from the cache. What is being deleted counts as deleted: a finalizer of somebody
// else's must not keep an address.
type reader struct{ cache client.Reader }

// ConfigMaps returns the users' ConfigMaps, sorted by key. They are the cache's own and must not be changed.
func (r reader) ConfigMaps(ctx context.Context) ([]*corev1.ConfigMap, error) {
	var list corev1.ConfigMapList
	ours := client.MatchingLabels{nodeconfig.LabelApp: appLoadBalancer}
	err := r.cache.List(ctx, &list, ours, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	out := make([]*corev1.ConfigMap, 0, len(list.Items))
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			out = append(out, &list.Items[i])
		}
	}
	slices.SortFunc(out, func(a, b *corev1.ConfigMap) int { return keyOf(a).Compare(keyOf(b)) })
	return out, nil
}

// Services returns every Service, in any order. They are the cache's own and must not be changed.
func (r reader) Services(ctx context.Context) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	if err := r.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	out := make([]*corev1.Service, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}

func keyOf(o client.Object) lb.Key { return lb.Key{Namespace: o.GetNamespace(), Name: o.GetName()} }
