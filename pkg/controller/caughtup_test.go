package controller

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestCaughtUp: a new leader does not trust a cache that has not heard of everything.
func TestCaughtUp(t *testing.T) {
	configMap := func(name, version string) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, ResourceVersion: version,
			Labels: map[string]string{nodeconfig.LabelApp: appLoadBalancer},
		}}
	}
	node := func(name, version string) client.Object {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: name, ResourceVersion: version, Labels: map[string]string{"type": "loadbalancer"},
		}}
	}
	service := func(name, version string) client.Object {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: version}}
	}
	secret := func(namespace, name, version string, app ...string) client.Object {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: version},
			Type: corev1.SecretTypeTLS}
		for _, a := range app {
			s.Labels = map[string]string{nodeconfig.LabelApp: a}
		}
		return s
	}
	endpoints := func(version string) client.Object {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s", ResourceVersion: version}}
	}
	stranger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "any", ResourceVersion: "9"}}
	worker := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", ResourceVersion: "9"}}
	for name, c := range map[string]struct {
		live, cached []client.Object
		behind       string
		cloud        bool
	}{
		"nothing": {nil, nil, "", false},
		"the same": {
			[]client.Object{configMap("a", "5"), node("lb1", "6"), stranger, worker},
			[]client.Object{configMap("a", "5"), node("lb1", "6")}, "", false,
		},
		"the cache is newer": {[]client.Object{configMap("a", "5")}, []client.Object{configMap("a", "7")}, "", false},
		"deleted since":      {nil, []client.Object{configMap("a", "7")}, "", false},
		"missing": {
			[]client.Object{configMap("a", "5"), configMap("b", "6")},
			[]client.Object{configMap("a", "5")}, "default/b", false,
		},
		"older":              {[]client.Object{configMap("a", "10")}, []client.Object{configMap("a", "9")}, "default/a", false},
		"a node is missing":  {[]client.Object{node("lb1", "5")}, nil, "Node /lb1", false},
		"a Service is older": {[]client.Object{service("a", "6")}, []client.Object{service("a", "5")}, "Service default/a", false},
		"a Service is new":   {[]client.Object{service("a", "6")}, nil, "Service default/a", false},
		"a certificate is older": {
			[]client.Object{secret("default", "a", "6")}, []client.Object{secret("default", "a", "5")}, "Secret default/a", false,
		},
		"a copy is older": {
			[]client.Object{secret("copies", "a", "6", nodeconfig.AppTLS)},
			[]client.Object{secret("copies", "a", "5", nodeconfig.AppTLS)}, "Secret copies/a", false,
		},
		// The cache has only the copies there.
		"a certificate of somebody else's in the namespace of copies": {[]client.Object{secret("copies", "a", "6")}, nil, "", false},
		"with a cloud, any node": {[]client.Object{worker}, nil, "Node /w1", true},
		"with a cloud, an EndpointSlice is older": {
			[]client.Object{endpoints("6")}, []client.Object{endpoints("5")}, "EndpointSlice default/s", true,
		},
		"with a cloud, an EndpointSlice is new": {[]client.Object{endpoints("6")}, nil, "EndpointSlice default/s", true},
		"with a cloud, all is there": {
			[]client.Object{endpoints("6"), worker}, []client.Object{endpoints("6"), worker}, "", true,
		},
		"without a cloud nobody watches EndpointSlices": {[]client.Object{endpoints("6")}, nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			api := typeless{fake.NewClientBuilder().WithObjects(c.live...).Build()}
			cached := fake.NewClientBuilder().WithObjects(c.cached...).Build()
			err := caughtUp(t.Context(), api, cached, labels.SelectorFromSet(labels.Set{"type": "loadbalancer"}), "copies",
				c.cloud)
			if c.behind == "" && err != nil || c.behind != "" && (err == nil || !strings.Contains(err.Error(), c.behind)) {
				t.Errorf("error %v, want %q", err, c.behind)
			}
		})
	}
}

// typeless is a fake that takes no selectors of fields: all of its Secrets are of one type.
type typeless struct{ client.Reader }

func (r typeless) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	o.FieldSelector = nil
	return r.Reader.List(ctx, list, &o)
}
