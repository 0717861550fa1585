package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// caughtUp fails while the cache lacks what the API server has, or has it in an older version. A standby's watch may
// have been broken for a minute when it comes to lead, and a load balancer or a node that it has not heard of would
// look deleted: it would be withdrawn, or sent away. The pods of a Service that it has not heard of would be taken from
// what is served, and a certificate that was renewed meanwhile replaced by the one of before.
//
// Where a cloud is used it is about all nodes and the EndpointSlices as well: the members come of them, and one that is
// not there is taken from the load balancer.
//
// Of Services, Secrets and EndpointSlices it asks for the metadata only.
func caughtUp(
	ctx context.Context, api, cached client.Reader, nodes labels.Selector, tlsNamespace string, cloud bool,
) error {
	ours, err := ourConfigMaps()
	if err != nil {
		return err
	}
	copies := labels.SelectorFromSet(labels.Set{nodeconfig.LabelApp: nodeconfig.AppTLS})
	if cloud {
		nodes = labels.Everything()
	}
	kinds := []comparedKind{
		{"ConfigMap", &corev1.ConfigMapList{}, &corev1.ConfigMapList{}, client.MatchingLabelsSelector{Selector: ours}, ""},
		{"Node", &corev1.NodeList{}, &corev1.NodeList{}, client.MatchingLabelsSelector{Selector: nodes}, ""},
		{"Service", metadataOf("ServiceList"), &corev1.ServiceList{}, client.InNamespace(""), ""},
		// As in secretsOf.
		{"Secret", metadataOf("SecretList"), &corev1.SecretList{},
			client.MatchingFields{"type": certs.TypeTLS}, tlsNamespace},
		{"Secret", metadataOf("SecretList"), &corev1.SecretList{},
			&client.ListOptions{Namespace: tlsNamespace, LabelSelector: copies}, ""},
	}
	if cloud {
		list := metadataOf("EndpointSliceList")
		list.GetObjectKind().SetGroupVersionKind(discoveryv1.SchemeGroupVersion.WithKind("EndpointSliceList"))
		everywhere := client.InNamespace("")
		kinds = append(kinds, comparedKind{"EndpointSlice", list, &discoveryv1.EndpointSliceList{}, everywhere, ""})
	}
	for _, kind := range kinds {
		if err := api.List(ctx, kind.live, kind.selected); err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		if err := cached.List(ctx, kind.cached, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		behind, err := firstBehind(kind.live, kind.cached, kind.but)
		if err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		if behind != "" {
			return fmt.Errorf("the cache is behind the API server at %s %s; waiting for it", kind.name, behind)
		}
	}
	return nil
}

// comparedKind is a kind of objects, of which the cache must have all that are there.
type comparedKind struct {
	name         string
	live, cached client.ObjectList
	selected     client.ListOption
	// but is a namespace that does not count.
	but string
}

// metadataOf returns a list of nothing but metadata.
func metadataOf(kind string) client.ObjectList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return list
}

// firstBehind returns the name of an object, of any namespace but one, that the cache lacks or has in an older version;
// empty for none.
func firstBehind(live, cached client.ObjectList, but string) (string, error) {
	versions := map[string]string{}
	err := meta.EachListItem(cached, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err == nil {
			versions[m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
		}
		return err
	})
	behind := ""
	if err != nil {
		return behind, err
	}
	err = meta.EachListItem(live, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err != nil || but != "" && m.GetNamespace() == but {
			return err
		}
		name := m.GetNamespace() + "/" + m.GetName()
		if have, ok := versions[name]; !ok {
			behind = name
		} else if c, err := resourceversion.CompareResourceVersion(have, m.GetResourceVersion()); err != nil || c < 0 {
			behind = name
		}
		return nil
	})
	return behind, err
}
