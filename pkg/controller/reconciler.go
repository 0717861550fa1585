package controller

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/vault"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
	"github.com/kubectl-lb/kubectl-lb/pkg/source"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// reconciler makes one pass over everything, whatever asked for it.
type reconciler struct {
	source  source.Source
	objects reader
	pods    *pods
	// connect returns the backend; it is asked once, when there is an API server and this replica leads.
	connect func(context.Context) (backend.Backend, error)
	backend backend.Backend
	// connectCloud does so for the backend of OpenStack; nil where that is not used.
	connectCloud func(context.Context) (*clouds, error)
	cloud        *clouds
	// provider makes the load balancers of objects that do not choose.
	provider lb.Provider
	vault    *vault.Vault
	pools    []ipam.Pool
	statuses *statusWriter
	metrics  *passMetrics
	log      *slog.Logger
}

// Reconcile implements reconcile.Reconciler. An error asks for another pass soon; what the pass could do is done.
func (r *reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	start := time.Now()
	expires, err := r.pass(ctx)
	r.metrics.passed(time.Since(start), err)
	if err != nil {
		return reconcile.Result{}, err
	}
	if expires.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Until(expires), time.Millisecond)}, nil
}

// pass makes one pass, and says when the next one is due without anybody asking; zero for never.
func (r *reconciler) pass(ctx context.Context) (expires time.Time, err error) {
	if err := r.setUp(ctx); err != nil {
		return expires, err
	}
	wishes, err := r.source.Wishes(ctx)
	if err != nil {
		return expires, err
	}
	if err := r.vault.Resolve(ctx, wishes); err != nil {
		return expires, err
	}
	cms, err := r.objects.all(ctx)
	if err != nil {
		return expires, err
	}
	own, clouded := r.split(wishes, cms)
	verdicts, after, applyErr := r.passSoftware(ctx, own)
	if verdicts == nil {
		return expires, applyErr
	}
	expires = earlier(after.Expires, r.vault.Next())
	var cloudErr error
	if r.cloud != nil {
		var more map[types.UID]verdict
		var again time.Time
		more, again, cloudErr = r.cloud.pass(ctx, clouded, cms)
		maps.Copy(verdicts, more)
		expires = earlier(expires, again)
	}
	r.metrics.observe(verdicts, r.pools, after)
	r.statuses.herald.notice(after.Nodes)
	there := slices.DeleteFunc(cms, func(cm *corev1.ConfigMap) bool {
		_, judged := verdicts[cm.UID]
		return cm.DeletionTimestamp != nil && !judged
	})
	return expires, errors.Join(applyErr, cloudErr, r.statuses.report(ctx, there, verdicts))
}

// setUp connects the backends that are not connected yet. The software backend is the first: it makes sure that the
// cache has caught up, without which a load balancer might look deleted.
func (r *reconciler) setUp(ctx context.Context) error {
	if r.backend == nil {
		b, err := r.connect(ctx)
		if err != nil {
			return err
		}
		r.backend = b
	}
	if r.cloud == nil && r.connectCloud != nil {
		c, err := r.connectCloud(ctx)
		if err != nil {
			return err
		}
		r.cloud = c
	}
	return nil
}

// passSoftware brings the wishes to the software backend, and says what became of each; nil where nobody can say.
func (r *reconciler) passSoftware(
	ctx context.Context, wishes []lb.Wish,
) (map[types.UID]verdict, backend.State, error) {
	before, err := r.backend.State(ctx)
	if err != nil {
		return nil, backend.State{}, err
	}
	backed := r.pods.backing.settled()
	if err := r.pods.fill(ctx, wishes, before.LoadBalancers); err != nil {
		return nil, backend.State{}, err
	}
	out := plan.Make(plan.Input{
		Wishes: wishes, Current: before.LoadBalancers, Withdrawn: before.Withdrawn,
		Pools: r.pools, Capabilities: r.backend.Capabilities(),
	})
	// The copies come first: a node that hears of a certificate is to find it.
	handErr := r.vault.HandOut(ctx, out.LoadBalancers)
	applyErr := errors.Join(handErr, r.backend.Apply(ctx, out.LoadBalancers))
	if applyErr != nil {
		r.metrics.applyErrors.Inc()
	}
	after, err := r.backend.State(ctx)
	if err != nil {
		return nil, backend.State{}, errors.Join(applyErr, err)
	}
	all := verdicts(out, after)
	if !backed {
		for uid, v := range all {
			v.stay = append(v.stay, lb.CodeNoEndpoints)
			all[uid] = v
		}
	}
	return all, after, applyErr
}

// split says which wishes are for a cloud. An object whose provider cannot be read stays where it is, and so does one
// that asks for a backend that is not configured.
func (r *reconciler) split(wishes []lb.Wish, cms []*corev1.ConfigMap) (own, clouded []lb.Wish) {
	held := map[types.UID]bool{}
	for _, cm := range cms {
		held[cm.UID] = slices.Contains(cm.Finalizers, configmap.Finalizer)
	}
	own = make([]lb.Wish, 0, len(wishes)) // they are large
	for _, w := range wishes {
		provider := cmp.Or(w.LoadBalancer.Provider, r.provider)
		if slices.ContainsFunc(w.Findings, func(f lb.Finding) bool { return f.Field == w.Fields.Provider }) {
			provider = lb.ProviderSoftware
			if held[types.UID(w.LoadBalancer.Origin.UID)] {
				provider = lb.ProviderOctavia
			}
		}
		switch {
		case provider != lb.ProviderOctavia:
			own = append(own, w)
		case r.cloud != nil:
			clouded = append(clouded, w)
		default:
			w.Findings = append(slices.Clone(w.Findings), lb.Finding{Code: lb.CodeBackendAbsent, Field: w.Fields.Provider,
				Message: "the controller is not configured for octavia; have its configuration's octavia.enabled set, or choose " +
					"provider software"})
			own = append(own, w)
		}
	}
	return own, clouded
}

// earlier returns the earlier one of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// verdicts says what became of each wish, by the UID of its object.
func verdicts(out plan.Output, s backend.State) map[types.UID]verdict {
	served := make(map[lb.Key]*lb.LoadBalancer, len(s.LoadBalancers))
	for i := range s.LoadBalancers {
		served[s.LoadBalancers[i].Origin.Key] = &s.LoadBalancers[i]
	}
	all := make(map[types.UID]verdict, len(out.Outcomes))
	for _, o := range out.Outcomes {
		all[types.UID(o.Origin.UID)] = judge(o, served[o.Origin.Key], s.Health[o.Origin.Key])
	}
	return all
}
