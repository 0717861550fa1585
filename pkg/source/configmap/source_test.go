package configmap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type reader struct {
	configMaps               []*corev1.ConfigMap
	services                 []*corev1.Service
	configMapErr, serviceErr error
}

func (r reader) ConfigMaps(context.Context) ([]*corev1.ConfigMap, error) {
	return r.configMaps, r.configMapErr
}
func (r reader) Services(context.Context) ([]*corev1.Service, error) { return r.services, r.serviceErr }

func named(namespace, name string) *corev1.ConfigMap {
	cm := object()
	cm.Namespace, cm.Name = namespace, name
	return cm
}

func TestWishes(t *testing.T) {
	unlabelled, leaving, foreign := named("a", "unlabelled"), named("a", "leaving"), named("a", "foreign")
	unlabelled.Labels = nil
	foreign.Labels = map[string]string{"app": "kubectl-lb-config"}
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	s := New(reader{
		configMaps: []*corev1.ConfigMap{named("b", "a"), unlabelled, named("a", "c"), leaving, foreign, named("a", "b")},
		services:   []*corev1.Service{service("a", "web", "10.96.0.1", "80")},
	})
	if s.Name() != "configmap" {
		t.Errorf("name %q", s.Name())
	}
	wishes, err := s.Wishes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range wishes {
		text := w.LoadBalancer.Origin.Key.String()
		if w.Failed() {
			text += " " + string(w.Findings[0].Code)
		}
		got = append(got, text)
	}
	if want := "a/b, a/c, b/a LB0201"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestWishesErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, r := range []reader{{configMapErr: broken}, {serviceErr: broken}} {
		if w, err := New(r).Wishes(t.Context()); !errors.Is(err, broken) || w != nil {
			t.Errorf("got %v, %v", w, err)
		}
	}
}

// TestLeaves: a wish knows which Services of other namespaces it may target, also when it names none of them.
func TestLeaves(t *testing.T) {
	services := make([]*corev1.Service, 0, len(cluster()))
	for _, s := range cluster() {
		services = append(services, s)
	}
	wishes, err := New(reader{configMaps: []*corev1.ConfigMap{named("default", "a"), named("b", "b")}, services: services}).
		Wishes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(wishes[1].Leaves, wishes[0].Leaves); got != "[other/all other/allowed] [other/all]" {
		t.Errorf("got %s", got)
	}
}
