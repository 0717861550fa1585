package controller

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/members"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// appLoadBalancer is the value of the app label of the users' ConfigMaps, as in 2016.
const appLoadBalancer = "loadbalancer"

// cacheOptions restrict the cache to what the controller reads: an informer over everything would hold every ConfigMap
// of the cluster in memory.
func cacheOptions(nodes labels.Selector, tlsNamespace string, cloud bool) (cache.Options, error) {
	ours, err := ourConfigMaps()
	if err != nil {
		return cache.Options{}, err
	}
	o := cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {Label: ours, Transform: stripConfigMap},
			&corev1.Service{}:   {Transform: stripService},
			&corev1.Node{}:      {Label: nodes, Transform: stripNode},
			&corev1.Secret{}:    {Transform: stripSecret, Namespaces: secretsOf(tlsNamespace)},
		},
	}
	if cloud {
		// A cloud sends traffic to all nodes, and must know where the pods are.
		o.ByObject = map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}:          {Label: ours, Transform: stripConfigMap},
			&corev1.Service{}:            {Transform: stripService},
			&corev1.Node{}:               {Transform: stripNode},
			&corev1.Secret{}:             {Transform: stripSecret, Namespaces: secretsOf(tlsNamespace)},
			&discoveryv1.EndpointSlice{}: {Transform: stripSlice},
		}
	}
	return o, nil
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
func watched(cloud bool) []client.Object {
	kinds := []client.Object{&corev1.ConfigMap{}, &corev1.Service{}, &corev1.Node{}, &corev1.Secret{}}
	if cloud {
		kinds = append(kinds, &discoveryv1.EndpointSlice{})
	}
	return kinds
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
	maps.DeleteFunc(cm.Annotations, func(key, _ string) bool {
		return key != configmap.AnnotationCloud && key != configmap.AnnotationWarnings
	})
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

// stripNode keeps a node's addresses, and whether it is well: the heartbeat of its kubelet must not look like news.
func stripNode(in any) (any, error) {
	n, ok := in.(*corev1.Node)
	if !ok {
		return in, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Spec = corev1.NodeSpec{Taints: n.Spec.Taints}
	status := corev1.NodeStatus{Addresses: n.Status.Addresses}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	n.Status = status
	return n, nil
}

// stripSlice keeps where endpoints are and whether they are ready.
func stripSlice(in any) (any, error) {
	s, ok := in.(*discoveryv1.EndpointSlice)
	if !ok {
		return in, nil
	}
	s.ManagedFields, s.Annotations, s.OwnerReferences = nil, nil, nil
	s.Labels = map[string]string{discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		*e = discoveryv1.Endpoint{
			Addresses: e.Addresses, NodeName: e.NodeName,
			Conditions: discoveryv1.EndpointConditions{Ready: e.Conditions.Ready},
		}
	}
	return s, nil
}

// reader gives the source its objects from the cache. What is being deleted counts as deleted: a finalizer of somebody
// else's must not keep an address.
type reader struct{ cache client.Reader }

// ConfigMaps returns the users' ConfigMaps, sorted by key. They are the cache's own and must not be changed.
func (r reader) ConfigMaps(ctx context.Context) ([]*corev1.ConfigMap, error) {
	all, err := r.all(ctx)
	return slices.DeleteFunc(all, func(cm *corev1.ConfigMap) bool { return cm.DeletionTimestamp != nil }), err
}

// all returns the users' ConfigMaps with those that are being deleted.
func (r reader) all(ctx context.Context) ([]*corev1.ConfigMap, error) {
	var list corev1.ConfigMapList
	ours := client.MatchingLabels{nodeconfig.LabelApp: appLoadBalancer}
	err := r.cache.List(ctx, &list, ours, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	out := make([]*corev1.ConfigMap, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
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

// cluster returns what a cloud's members are found in. The objects are the cache's own and must not be changed.
func (r reader) cluster(ctx context.Context) (members.Cluster, error) {
	services, err := r.Services(ctx)
	c := members.Cluster{
		Service: configmap.MapServices(services).Service, Slices: map[lb.Key][]*discoveryv1.EndpointSlice{},
	}
	if err != nil {
		return c, err
	}
	var nodes corev1.NodeList
	if err := r.cache.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return c, err
	}
	for i := range nodes.Items {
		c.Nodes = append(c.Nodes, &nodes.Items[i])
	}
	var endpoints discoveryv1.EndpointSliceList
	if err := r.cache.List(ctx, &endpoints, client.UnsafeDisableDeepCopy); err != nil {
		return c, err
	}
	for i := range endpoints.Items {
		s := &endpoints.Items[i]
		key := serviceOf(s)
		c.Slices[key] = append(c.Slices[key], s)
	}
	return c, nil
}

// serviceOf returns the Service of an EndpointSlice.
func serviceOf(s *discoveryv1.EndpointSlice) lb.Key {
	return lb.Key{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

func keyOf(o client.Object) lb.Key { return lb.Key{Namespace: o.GetNamespace(), Name: o.GetName()} }
