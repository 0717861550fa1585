package controller

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// lagLimit is how long the cache may lag behind a write before the API server itself is asked what became of it.
const lagLimit = 5 * time.Second

// store implements software.Store with ConfigMaps of the system namespace.
//
// The cache lags behind the API server. What has been written, or read from the API server itself, is therefore
// remembered until the cache has caught up with it: a plan made from an older state would give addresses away that are
// no longer free. The first reading is always the API server's own, since the last leader may just have written.
type store struct {
	namespace string
	cache     client.Reader // cached
	api       client.Reader // not cached
	writer    client.Writer
	nodes     labels.Selector // of the load-balancer nodes; nil for all
	pulses    *pulses
	ahead     map[string]ahead // by name; what the cache has not caught up with
	primed    bool
}

// ahead is an object that is newer than the cache's, and since when it is known.
type ahead struct {
	software.Object
	since time.Time
}

var _ software.Store = (*store)(nil)

// Documents implements software.Store.
func (s *store) Documents(ctx context.Context) (software.Documents, error) {
	if !s.primed {
		if err := s.prime(ctx); err != nil {
			return software.Documents{}, err
		}
	}
	var list corev1.ConfigMapList
	if err := s.cache.List(ctx, &list, client.InNamespace(s.namespace)); err != nil {
		return software.Documents{}, err
	}
	var docs software.Documents
	seen := map[string]bool{}
	for i := range list.Items {
		cm := &list.Items[i]
		switch cm.Labels[nodeconfig.LabelApp] {
		case nodeconfig.AppOrders:
			if cm.Name == nodeconfig.OrdersName {
				docs.Orders = cm.Data
			}
		case nodeconfig.AppNode:
			report := object(cm, nodeconfig.KeyStatus)
			report.Heard = s.pulses.at(cm.Name, cm.ResourceVersion)
			docs.Status = append(docs.Status, report)
		case nodeconfig.AppConfig:
			seen[cm.Name] = true
			docs.Config = append(docs.Config, s.newest(object(cm, nodeconfig.KeyConfig)))
		}
	}
	for name := range s.ahead {
		if seen[name] {
			continue
		}
		if o, ok, err := s.settle(ctx, name); err != nil {
			return software.Documents{}, err
		} else if ok {
			docs.Config = append(docs.Config, o)
		}
	}
	return docs, nil
}

func object(cm *corev1.ConfigMap, key string) software.Object {
	return software.Object{Name: cm.Name, Version: cm.ResourceVersion, Text: cm.Data[key]}
}

// prime takes what the API server has as newer than the cache.
func (s *store) prime(ctx context.Context) error {
	var list corev1.ConfigMapList
	err := s.api.List(ctx, &list, client.InNamespace(s.namespace),
		client.MatchingLabels{nodeconfig.LabelApp: nodeconfig.AppConfig})
	if err != nil {
		return err
	}
	s.ahead = map[string]ahead{}
	for i := range list.Items {
		s.remember(object(&list.Items[i], nodeconfig.KeyConfig))
	}
	s.primed = true
	return nil
}

func (s *store) remember(o software.Object) { s.ahead[o.Name] = ahead{Object: o, since: time.Now()} }

// newest returns the newer one of what the cache has and what is remembered, and forgets what the cache has too.
func (s *store) newest(cached software.Object) software.Object {
	a, ok := s.ahead[cached.Name]
	if !ok {
		return cached
	}
	if c, err := resourceversion.CompareResourceVersion(cached.Version, a.Version); err == nil && c < 0 {
		return a.Object
	}
	delete(s.ahead, cached.Name)
	return cached
}

// settle says what became of an object that is remembered but not cached: not cached yet, or deleted by somebody.
func (s *store) settle(ctx context.Context, name string) (software.Object, bool, error) {
	a := s.ahead[name]
	if time.Since(a.since) < lagLimit {
		return a.Object, true, nil
	}
	var cm corev1.ConfigMap
	err := s.api.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &cm)
	if apierrors.IsNotFound(err) || err == nil && cm.Labels[nodeconfig.LabelApp] != nodeconfig.AppConfig {
		delete(s.ahead, name)
		return software.Object{}, false, nil
	}
	if err != nil {
		return software.Object{}, false, err
	}
	s.remember(object(&cm, nodeconfig.KeyConfig))
	return s.ahead[name].Object, true, nil
}

// Nodes implements software.Store. The cache may hold other nodes as well.
func (s *store) Nodes(ctx context.Context) ([]nodeconfig.Node, error) {
	var list corev1.NodeList
	if err := s.cache.List(ctx, &list, client.MatchingLabelsSelector{Selector: s.nodes}); err != nil {
		return nil, err
	}
	out := make([]nodeconfig.Node, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, nodeconfig.Node{Name: list.Items[i].Name, Addresses: internalAddresses(&list.Items[i])})
	}
	return out, nil
}

// internalAddresses returns a node's first internal address of each family, IPv4 first.
func internalAddresses(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, f := range []lb.Family{lb.IPv4, lb.IPv6} {
		for _, a := range n.Status.Addresses {
			ip, err := netip.ParseAddr(a.Address)
			if a.Type == corev1.NodeInternalIP && err == nil && lb.FamilyOf(ip) == f {
				out = append(out, ip.Unmap())
				break
			}
		}
	}
	return out
}

// Write implements software.Store. After a failure the API server's state is read anew: the write may have got through
// even though its answer did not.
func (s *store) Write(ctx context.Context, o software.Object) error {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: o.Name, ResourceVersion: o.Version,
			Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppConfig},
		},
		Data: map[string]string{nodeconfig.KeyConfig: o.Text},
	}
	var err error
	if o.Version == "" {
		err = s.writer.Create(ctx, cm, client.FieldOwner(fieldManager))
	} else {
		err = s.writer.Update(ctx, cm, client.FieldOwner(fieldManager))
	}
	if err != nil {
		s.primed = false
		return fmt.Errorf("configmap %s/%s: %w", s.namespace, o.Name, err)
	}
	s.remember(software.Object{Name: o.Name, Version: cm.ResourceVersion, Text: o.Text})
	return nil
}
