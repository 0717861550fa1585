package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/members"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// clouds is the part of a pass that is about load balancers of OpenStack. Nothing in it waits for OpenStack but a
// moment for one list every so often: the backend does the work meanwhile, and asks for a pass when there is something
// to tell.
type clouds struct {
	backend    *octavia.Backend
	objects    reader
	finalizers *finalizers
	selector   labels.Selector
	metrics    *passMetrics
	log        *slog.Logger
	// watched are the Services whose EndpointSlices matter.
	watched *watchedServices
	// orphans are those that were told of, by id.
	orphans map[string]bool
}

// watchedServices is a set of Services that the watches read and a pass writes.
type watchedServices struct {
	set atomic.Pointer[map[lb.Key]bool]
}

// has reports whether the Service is in the set.
func (w *watchedServices) has(key lb.Key) bool {
	set := w.set.Load()
	return set != nil && (*set)[key]
}

// pass brings the wishes to the backend, and says what became of each, and when to look again.
func (c *clouds) pass(
	ctx context.Context, wishes []lb.Wish, cms []*corev1.ConfigMap,
) (verdicts map[types.UID]verdict, expires time.Time, err error) {
	wishes, err = c.resolve(ctx, wishes)
	if err != nil {
		return nil, expires, err
	}
	before, err := c.backend.State(ctx)
	if err != nil {
		return nil, expires, err
	}
	out := plan.MakeForCloud(plan.CloudInput{
		Wishes: wishes, Current: before.LoadBalancers, Capabilities: c.backend.Capabilities(), Check: c.backend.Check,
	})
	finalizerErr := c.finalizers.hold(ctx, cms, out.LoadBalancers)
	applyErr := c.backend.Apply(ctx, out.LoadBalancers)
	if applyErr != nil {
		c.metrics.applyErrors.Inc()
		c.log.Warn("cannot list the load balancers of OpenStack", "error", applyErr)
	}
	findErr := c.finalizers.find(ctx, c.backend.Orphans())
	releaseErr := errors.Join(findErr, c.finalizers.release(ctx, out.LoadBalancers))
	after, err := c.backend.State(ctx)
	if err != nil {
		return nil, expires, err
	}
	c.tellOrphans()
	verdicts = c.judge(out, after, applyErr)
	maps.Copy(verdicts, judgeGoing(cms, after))
	return verdicts, after.Expires, errors.Join(finalizerErr, releaseErr)
}

// resolve gives the wishes members.
func (c *clouds) resolve(ctx context.Context, wishes []lb.Wish) ([]lb.Wish, error) {
	cluster, err := c.objects.cluster(ctx)
	if err != nil {
		return nil, err
	}
	cluster.Selector = c.selector
	r := members.New(cluster)
	out := make([]lb.Wish, 0, len(wishes))
	watched := map[lb.Key]bool{}
	for _, w := range wishes {
		out = append(out, r.Resolve(w))
		for _, l := range w.LoadBalancer.Listeners {
			for _, route := range l.Routes {
				for _, t := range route.Targets() {
					svc, ok := cluster.Service(t.Service.Key)
					local := ok && svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
					if local || w.LoadBalancer.Cloud.Pods {
						watched[t.Service.Key] = true
					}
				}
			}
		}
	}
	c.watched.set.Store(&watched)
	return out, nil
}

// judge says what became of each wish.
func (c *clouds) judge(out plan.Output, s backend.State, unreachable error) map[types.UID]verdict {
	served := make(map[lb.Key][]netip.Addr, len(s.LoadBalancers))
	for _, l := range s.LoadBalancers {
		served[l.Origin.Key] = l.VIPs
	}
	all := make(map[types.UID]verdict, len(out.Outcomes))
	for _, o := range out.Outcomes {
		h := s.Health[o.Origin.Key]
		if unreachable != nil && h.Reason == "" {
			h.Reason = unreachable.Error()
		}
		all[types.UID(o.Origin.UID)] = judgeCloud(o, served[o.Origin.Key], h)
	}
	return all
}

// judgeGoing says what became of the objects that are being deleted, and wait for what was made for them.
func judgeGoing(cms []*corev1.ConfigMap, s backend.State) map[types.UID]verdict {
	all := map[types.UID]verdict{}
	for _, cm := range cms {
		h, known := s.Health[keyOf(cm)]
		if cm.DeletionTimestamp == nil || !known || !slices.Contains(cm.Finalizers, configmap.Finalizer) {
			continue
		}
		v := verdict{origin: originOf(cm), findings: h.Findings, cloud: h.Cloud, keepIP: true}
		failed := slices.IndexFunc(v.findings, func(f lb.Finding) bool { return f.Severity() == lb.SeverityError })
		if failed >= 0 {
			v.set(conditionInvalid, v.findings[failed].String())
		} else {
			v.set(conditionPending, strings.TrimSuffix("it is being deleted in OpenStack: "+h.Reason, ": "))
		}
		all[cm.UID] = v
	}
	return all
}

// judgeCloud says what became of a wish whose addresses a cloud gives.
func judgeCloud(o plan.Outcome, vips []netip.Addr, h backend.Health) verdict {
	v := verdict{
		origin: o.Origin, findings: slices.Concat(o.Findings, h.Findings), bindIP: joinAddresses(vips), cloud: h.Cloud,
	}
	// Until the cloud has answered, what the object says is the best that is known.
	v.keepIP = len(vips) == 0
	failed := slices.IndexFunc(v.findings, func(f lb.Finding) bool { return f.Severity() == lb.SeverityError })
	switch {
	case failed >= 0:
		v.set(conditionInvalid, v.findings[failed].String())
	case !h.Ready && h.Reason == "":
		v.unknown = true
		v.set(conditionPending, "OpenStack has not been asked yet")
	case !h.Ready:
		v.set(conditionPending, h.Reason)
	default:
		v.set(conditionReady, "")
	}
	return v
}

// tellOrphans logs the load balancers of this cluster that no object is known for, once each.
func (c *clouds) tellOrphans() {
	there := map[string]bool{}
	for _, o := range c.backend.Orphans() {
		there[o.ID] = true
		if !c.orphans[o.ID] {
			c.log.Warn("a load balancer in OpenStack belongs to no object; delete it there, or set octavia.deleteOrphans",
				"id", o.ID, "name", o.Name, "objects", fmt.Sprint(o.Objects()))
		}
	}
	c.orphans = there
	c.metrics.orphans.Set(float64(len(there)))
}
