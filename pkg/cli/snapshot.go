package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/endpoints"
)

// take reads the load balancers of a namespace ("" for all) and the nodes' documents. Whoever may not read the
// documents gets what the objects themselves say, and a note.
func (p *program) take(ctx context.Context, c *cluster, namespace, selector string) (view.Snapshot, error) {
	objects, err := c.objects(ctx, namespace, selector)
	if err != nil {
		return view.Snapshot{}, err
	}
	docs, err := p.readDocuments(ctx, c, "what the nodes report is not shown")
	return view.Snapshot{Objects: objects, Documents: docs, Now: p.now()}, err
}

// readDocuments reads the nodes' documents; nil where that is forbidden, with a note on what that costs.
func (p *program) readDocuments(ctx context.Context, c *cluster, cost string) (*view.Documents, error) {
	cms, err := c.documents(ctx)
	if apierrors.IsForbidden(err) {
		p.note("note: you may not list configmaps in namespace %q, so %s", c.system, cost)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.decode(c, cms), nil
}

// decode reads the documents and tells what is odd about them.
func (p *program) decode(c *cluster, cms []corev1.ConfigMap) *view.Documents {
	docs := c.clock.Documents(cms)
	for _, problem := range docs.Problems {
		p.note("note: %s", problem)
	}
	if !docs.HasFleet {
		p.note("note: namespace %q has no %s document: is lb-controller running there? (see --system-namespace)",
			c.system, "fleet")
	}
	return &docs
}

// countEndpoints fills in how many pods stand behind each route of a load balancer. Where that can't be read, the
// counts stay unset.
func (p *program) countEndpoints(ctx context.Context, c *cluster, s *v1alpha1.LoadBalancerStatus) {
	services := map[lb.Key]*counter{}
	for _, l := range s.Status.Listeners {
		for i := range l.Routes {
			r := &l.Routes[i]
			if services[r.Service.Key] == nil {
				services[r.Service.Key] = p.newCounter(ctx, c, r.Service.Key)
			}
			r.Endpoints = services[r.Service.Key].count(r.Service.Port, lb.Listener{Protocol: l.Protocol}.Transport())
		}
	}
}

// counter counts a Service's endpoints.
type counter struct {
	service *corev1.Service
	slices  []*discoveryv1.EndpointSlice
}

func (p *program) newCounter(ctx context.Context, c *cluster, key lb.Key) *counter {
	svc, err := c.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		p.note("note: service %s does not exist", key)
		return &counter{}
	}
	if err != nil {
		p.note("note: service %s: %s", key, strings.TrimPrefix(explain(err), "error: "))
		return &counter{}
	}
	list, err := c.DiscoveryV1().EndpointSlices(key.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("%s=%s", discoveryv1.LabelServiceName, key.Name),
	})
	if err != nil {
		p.note("note: endpoints of %s: %s", key, strings.TrimPrefix(explain(err), "error: "))
		return &counter{}
	}
	out := &counter{service: svc}
	for i := range list.Items {
		out.slices = append(out.slices, &list.Items[i])
	}
	return out
}

// count counts the endpoints behind one port of the Service, as the controller sees them.
func (n *counter) count(port uint16, t lb.Transport) *v1alpha1.Endpoints {
	if n.service == nil || !slices.ContainsFunc(n.service.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == int32(port)
	}) {
		return nil
	}
	pods := endpoints.Of(n.service, n.slices, port, t)
	return &v1alpha1.Endpoints{Ready: pods.Ready, Terminating: pods.Terminating, Total: pods.Total}
}
