package cli

import (
	"context"
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/endpoints"
)

// backing knows which Services have pods that serve, by one List for each namespace that is asked for.
type backing struct {
	cluster *cluster
	// serving are a namespace's Services with pods; nil where they may not be read.
	serving map[string]map[lb.Key]bool
}

func newBacking(c *cluster) *backing {
	return &backing{cluster: c, serving: map[string]map[lb.Key]bool{}}
}

// podless returns a warning for each Service that a wish leads to and that has no pod that serves, as the controller
// does. Services that are still to be made, for a file has them, are passed over.
func (b *backing) podless(ctx context.Context, w *lb.Wish, made func(lb.Key) bool) ([]lb.Finding, error) {
	var found []lb.Finding
	told := map[lb.Key]bool{}
	for _, l := range w.LoadBalancer.Listeners {
		for _, r := range l.Routes {
			for _, t := range r.Targets() {
				key := t.Service.Key
				if told[key] || !made(key) || len(r.Others) > 0 && t.Weight == 0 {
					continue
				}
				told[key] = true
				serving, err := b.of(ctx, key.Namespace)
				if err != nil {
					return nil, err
				}
				if serving != nil && !serving[key] {
					found = append(found, podless(key, w.Fields.Service))
				}
			}
		}
	}
	return found, nil
}

// podless is the finding about a Service that has no pod that serves.
func podless(service lb.Key, field string) lb.Finding {
	return lb.Finding{Code: lb.CodeNoEndpoints, Field: field, Message: fmt.Sprintf(
		"no pod of Service %s is ready; see that its selector finds pods and that they are ready", service)}
}

// of returns the Services of a namespace that have pods; nil where that is forbidden.
func (b *backing) of(ctx context.Context, namespace string) (map[lb.Key]bool, error) {
	if serving, known := b.serving[namespace]; known {
		return serving, nil
	}
	serving := map[lb.Key]bool{}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := b.cluster.DiscoveryV1().EndpointSlices(namespace).List(ctx, options)
		if apierrors.IsForbidden(err) {
			b.serving[namespace] = nil
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			if s := &page.Items[i]; endpoints.Serves(s) {
				serving[lb.Key{Namespace: namespace, Name: s.Labels[discoveryv1.LabelServiceName]}] = true
			}
		}
		if page.Continue == "" {
			b.serving[namespace] = serving
			return serving, nil
		}
		options.Continue = page.Continue
	}
}
