package controller

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// lagging is a cache that shows the API server's state of the last sync.
type lagging struct {
	client.Reader
	api  client.Reader
	list corev1.ConfigMapList
}

func (l *lagging) sync(t *testing.T) {
	t.Helper()
	if err := l.api.List(t.Context(), &l.list); err != nil {
		t.Fatal(err)
	}
}

func (l *lagging) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	l.list.DeepCopyInto(into.(*corev1.ConfigMapList))
	return nil
}

func configDocument(name, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "sys", Name: name, Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppConfig},
		},
		Data: map[string]string{nodeconfig.KeyConfig: text},
	}
}

// texts returns "name=text" of the configuration documents.
func texts(t *testing.T, s *store) []string {
	t.Helper()
	docs, err := s.Documents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range docs.Config {
		out = append(out, o.Name+"="+o.Text)
	}
	slices.Sort(out)
	return out
}

func storedVersion(t *testing.T, s *store, name string) string {
	t.Helper()
	docs, err := s.Documents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range docs.Config {
		if o.Name == name {
			return o.Version
		}
	}
	return ""
}

func expect(t *testing.T, s *store, want ...string) {
	t.Helper()
	if got := texts(t, s); !slices.Equal(got, want) {
		t.Errorf("documents %v, want %v", got, want)
	}
}

func TestStoreReadsItsOwnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientBuilder().WithObjects(configDocument("a", "last leader's")).Build()
		cache := &lagging{api: api}
		s := &store{namespace: "sys", pulses: &pulses{}, cache: cache, api: api, writer: api}
		// The cache does not show yet what the last leader wrote.
		expect(t, s, "a=last leader's")
		write := func(o software.Object) {
			t.Helper()
			if err := s.Write(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		write(software.Object{Name: "a", Version: storedVersion(t, s, "a"), Text: "1"})
		write(software.Object{Name: "b", Text: "1"})
		expect(t, s, "a=1", "b=1")
		cache.sync(t)
		write(software.Object{Name: "a", Version: storedVersion(t, s, "a"), Text: "2"})
		expect(t, s, "a=2", "b=1")
		cache.sync(t)
		expect(t, s, "a=2", "b=1")
		if len(s.ahead) > 0 {
			t.Errorf("still remembered: %v", s.ahead)
		}
		// Somebody deletes one that the cache has, and one that it has never had.
		write(software.Object{Name: "c", Text: "1"})
		for _, name := range []string{"a", "c"} {
			if err := api.Delete(t.Context(), configDocument(name, "")); err != nil {
				t.Fatal(err)
			}
		}
		cache.sync(t)
		expect(t, s, "b=1", "c=1")
		time.Sleep(lagLimit)
		expect(t, s, "b=1")
	})
}

func TestStoreConflict(t *testing.T) {
	api := fake.NewClientBuilder().WithObjects(configDocument("a", "1")).Build()
	cache := &lagging{api: api}
	cache.sync(t)
	s := &store{namespace: "sys", pulses: &pulses{}, cache: cache, api: api, writer: api}
	old := storedVersion(t, s, "a")
	other := configDocument("a", "somebody else's")
	if err := api.Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), software.Object{Name: "a", Version: old, Text: "2"}); err == nil {
		t.Fatal("no conflict")
	}
	expect(t, s, "a=somebody else's")
}

// TestStoreLostAnswer: the write got through, its answer did not.
func TestStoreLostAnswer(t *testing.T) {
	lost := errors.New("connection reset")
	api := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := c.Create(ctx, o, opts...); err != nil {
				return err
			}
			return lost
		},
	}).Build()
	s := &store{namespace: "sys", pulses: &pulses{}, cache: &lagging{api: api}, api: api, writer: api}
	expect(t, s)
	if err := s.Write(t.Context(), software.Object{Name: "a", Text: "1"}); !errors.Is(err, lost) {
		t.Fatalf("error %v", err)
	}
	expect(t, s, "a=1")
}

func TestInternalAddresses(t *testing.T) {
	n := &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeExternalIP, Address: "192.0.2.1"},
		{Type: corev1.NodeInternalIP, Address: "fd00::1"},
		{Type: corev1.NodeInternalIP, Address: "no address"},
		{Type: corev1.NodeInternalIP, Address: "10.0.0.1"},
		{Type: corev1.NodeInternalIP, Address: "10.0.0.2"},
	}}}
	got := internalAddresses(n)
	if len(got) != 2 || got[0].String() != "10.0.0.1" || got[1].String() != "fd00::1" {
		t.Errorf("addresses %v", got)
	}
}
