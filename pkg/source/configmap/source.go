package configmap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source"
)

// Reader reads the objects that wishes depend on. The objects are not changed.
type Reader interface {
	// ConfigMaps returns those with the label app=loadbalancer, of all namespaces, in any order.
	ConfigMaps(ctx context.Context) ([]*corev1.ConfigMap, error)
	// Services returns all Services, in any order.
	Services(ctx context.Context) ([]*corev1.Service, error)
}

// Source yields what the labelled ConfigMaps ask for.
type Source struct{ reader Reader }

var _ source.Source = (*Source)(nil)

// New returns a source over a reader.
func New(r Reader) *Source { return &Source{reader: r} }

// Name implements [source.Source].
func (s *Source) Name() string { return "configmap" }

// Wishes implements [source.Source]. A ConfigMap that is being deleted wishes nothing any more.
func (s *Source) Wishes(ctx context.Context) ([]lb.Wish, error) {
	cms, err := s.reader.ConfigMaps(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the labelled ConfigMaps: %w", err)
	}
	list, err := s.reader.Services(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the Services: %w", err)
	}
	services, open := MapServices(list), leaves{}
	for _, s := range list {
		open.add(s)
	}
	sorted := slices.SortedFunc(slices.Values(cms), func(a, b *corev1.ConfigMap) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	wishes := make([]lb.Wish, 0, len(cms))
	for _, cm := range sorted {
		if cm.Labels[LabelKey] == LabelValue && cm.DeletionTimestamp == nil {
			w := Parse(cm, services)
			w.Leaves = open.of(cm.Namespace)
			wishes = append(wishes, w)
		}
	}
	return wishes, nil
}

// leaves are the Services that namespaces have the leave of, "*" those that all have.
type leaves map[string][]lb.Key

func (l leaves) add(s *corev1.Service) {
	for namespace := range strings.SplitSeq(s.Annotations[AnnotationAllowFrom], ",") {
		if namespace = strings.TrimSpace(namespace); namespace != "" {
			l[namespace] = append(l[namespace], lb.Key{Namespace: s.Namespace, Name: s.Name})
		}
	}
}

// of returns those that a namespace may target, sorted.
func (l leaves) of(namespace string) []lb.Key {
	all := slices.Concat(l[namespace], l["*"])
	slices.SortFunc(all, lb.Key.Compare)
	return slices.Compact(all)
}
