package cli

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// services are the Services that wishes are judged by: those among the files first, then the cluster's, read by one
// List for each namespace that is asked for. It implements configmap.Services.
type services struct {
	given map[lb.Key]*corev1.Service
	// cluster is nil offline.
	cluster *cluster
	ctx     context.Context //nolint:containedctx // lives as long as one validation, whose calls pass no context
	listed  map[string]map[string]*corev1.Service
	// unknown are the Services that nothing can be said about, and why.
	unknown map[lb.Key]string
	// err is the first failure to read.
	err error
}

func newServices(ctx context.Context, c *cluster) *services {
	return &services{
		given: map[lb.Key]*corev1.Service{}, cluster: c, ctx: ctx,
		listed: map[string]map[string]*corev1.Service{}, unknown: map[lb.Key]string{},
	}
}

// add takes a Service from a file.
func (s *services) add(svc *corev1.Service) {
	s.given[lb.Key{Namespace: svc.Namespace, Name: svc.Name}] = svc
}

// Service implements configmap.Services.
func (s *services) Service(key lb.Key) (*corev1.Service, bool) {
	if svc, ok := s.given[key]; ok {
		return svc, true
	}
	if s.cluster == nil {
		s.unknown[key] = "it is not among the files"
		return nil, false
	}
	if _, ok := s.listed[key.Namespace]; !ok {
		s.listed[key.Namespace] = s.list(key.Namespace)
	}
	names := s.listed[key.Namespace]
	if names == nil {
		s.unknown[key] = "you may not list services in namespace " + key.Namespace
		return nil, false
	}
	svc, ok := names[key.Name]
	return svc, ok
}

// list returns a namespace's Services by name; nil where that is forbidden.
func (s *services) list(namespace string) map[string]*corev1.Service {
	names := map[string]*corev1.Service{}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := s.cluster.CoreV1().Services(namespace).List(s.ctx, options)
		if apierrors.IsForbidden(err) {
			return nil
		}
		if err != nil {
			if s.err == nil {
				s.err = err
			}
			return nil
		}
		for i := range page.Items {
			names[page.Items[i].Name] = &page.Items[i]
		}
		if page.Continue == "" {
			return names
		}
		options.Continue = page.Continue
	}
}
