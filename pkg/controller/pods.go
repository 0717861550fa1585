package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	discovery "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/endpoints"
)

// pods gives load balancers that go by endpoints the addresses of now: those that are asked for, and those that are
// served, for a load balancer whose object has become invalid must not go on with pods of yesterday.
type pods struct {
	services client.Reader
	watch    *podWatch
	backing  *backing
}

// newPods returns pods whose changes ask for passes once [pods.drive] was called. The context is that of the watches.
func newPods(ctx context.Context, mgr manager.Manager, log *slog.Logger) (*pods, error) {
	c, err := discovery.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("set up the client for endpoints: %w", err)
	}
	return &pods{
		services: mgr.GetCache(),
		backing:  newBacking(c, log),
		watch:    &podWatch{lifetime: ctx, client: c, log: log, services: map[lb.Key]*sliceStore{}},
	}, nil
}

// drive lets changes of pods ask the controller for passes.
func (p *pods) drive(c controller.Controller) error {
	return c.Watch(source.Func(func(
		_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request],
	) error {
		p.watch.changed = newPacer(func() {
			p.watch.due.Store(true)
			queue.Add(reconcile.Request{})
		}).nudge
		p.backing.changed = newPacer(func() { queue.Add(reconcile.Request{}) }).nudge
		go p.backing.run(p.watch.lifetime) //nolint:contextcheck // the watch outlives the start of its source
		return nil
	}))
}

// answer is what is known about a port.
type answer struct {
	addresses []netip.AddrPort
	err       error
}

// fill gives the load balancers their addresses. What cannot be read keeps those that it has; without any, the wish has
// a finding, and with it its last good version goes on.
func (p *pods) fill(ctx context.Context, wishes []lb.Wish, served []lb.LoadBalancer) error {
	asked, services := map[endpoints.Port]answer{}, map[lb.Key]bool{}
	ask := func(l *lb.LoadBalancer) {
		for _, port := range endpoints.Ports(l) {
			asked[port], services[port.Key] = answer{}, true
		}
	}
	for i := range wishes {
		if !wishes[i].Failed() { // nobody watches what will not be served
			ask(&wishes[i].LoadBalancer)
		}
	}
	for i := range served {
		ask(&served[i])
	}
	p.watch.follow(ctx, services)
	last := lastOf(served)
	for port := range asked {
		a, err := p.answer(ctx, port)
		if err != nil {
			return err
		}
		if known, ok := last[port]; a.err != nil && ok {
			a = answer{addresses: known}
		}
		asked[port] = a
	}
	of := func(port endpoints.Port) []netip.AddrPort { return asked[port].addresses }
	for i := range served {
		endpoints.Fill(&served[i], "", of)
	}
	for i := range wishes {
		w := &wishes[i]
		if w.Failed() {
			continue
		}
		for _, port := range endpoints.Ports(&w.LoadBalancer) {
			if err := asked[port].err; err != nil {
				w.Findings = append(w.Findings, lb.Finding{
					Code: lb.CodeEndpointsUnread, Field: w.Fields.Upstream,
					Message: fmt.Sprintf("the endpoints of Service %s can't be read: %v; see that the lb-controller may list and "+
						"watch endpointslices", port.Key, err),
				})
			}
		}
		if !w.Failed() {
			w.Findings = append(w.Findings, endpoints.Fill(&w.LoadBalancer, w.Fields.Upstream, of)...)
			w.Findings = append(w.Findings, p.backing.podless(w)...)
		}
	}
	return nil
}

// answer returns what is known about a port now. The error is that of the cache.
func (p *pods) answer(ctx context.Context, port endpoints.Port) (answer, error) {
	all, err := p.watch.slices(port.Key)
	if err != nil {
		return answer{err: err}, nil //nolint:nilerr // it is in the answer: the other ports go on
	}
	var svc corev1.Service
	err = p.services.Get(ctx, client.ObjectKey{Namespace: port.Namespace, Name: port.Name}, &svc)
	if apierrors.IsNotFound(err) {
		return answer{}, nil
	}
	if err != nil {
		return answer{}, err
	}
	return answer{addresses: endpoints.Of(&svc, all, port.Port, port.Transport).Serving}, nil
}

// lastOf returns the addresses that are served.
func lastOf(served []lb.LoadBalancer) map[endpoints.Port][]netip.AddrPort {
	out := map[endpoints.Port][]netip.AddrPort{}
	for i := range served {
		served[i].EachEndpointTarget(func(t *lb.Target, transport lb.Transport) {
			port := endpoints.Port{Service: t.Service, Transport: transport}
			if len(t.Endpoints) >= len(out[port]) {
				out[port] = t.Endpoints
			}
		})
	}
	return out
}
