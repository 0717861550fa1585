package controller

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/vault"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
	"github.com/kubectl-lb/kubectl-lb/pkg/source"
)

// reconciler makes one pass over everything, whatever asked for it.
type reconciler struct {
	source  source.Source
	objects reader
	pods    *pods
	// connect returns the backend; it is asked once, when there is an API server and this replica leads.
	connect  func(context.Context) (backend.Backend, error)
	backend  backend.Backend
	vault    *vault.Vault
	pools    []ipam.Pool
	statuses *statusWriter
	metrics  *passMetrics
	log      *slog.Logger
}

// Reconcile implements reconcile.Reconciler. An error asks for another pass soon; what the pass could do is done.
func (r *reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	start := time.Now()
	state, err := r.pass(ctx)
	r.metrics.passed(time.Since(start), err)
	if err != nil {
		return reconcile.Result{}, err
	}
	if state.Expires.IsZero() {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: max(time.Until(state.Expires), time.Millisecond)}, nil
}

func (r *reconciler) pass(ctx context.Context) (backend.State, error) {
	if r.backend == nil {
		b, err := r.connect(ctx)
		if err != nil {
			return backend.State{}, err
		}
		r.backend = b
	}
	wishes, err := r.source.Wishes(ctx)
	if err != nil {
		return backend.State{}, err
	}
	if err := r.vault.Resolve(ctx, wishes); err != nil {
		return backend.State{}, err
	}
	before, err := r.backend.State(ctx)
	if err != nil {
		return backend.State{}, err
	}
	if err := r.pods.fill(ctx, wishes, before.LoadBalancers); err != nil {
		return backend.State{}, err
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
		return backend.State{}, errors.Join(applyErr, err)
	}
	if next := r.vault.Next(); !next.IsZero() && (after.Expires.IsZero() || next.Before(after.Expires)) {
		after.Expires = next
	}
	verdicts := verdicts(out, after)
	r.metrics.observe(verdicts, r.pools, after)
	r.statuses.herald.notice(after.Nodes)
	cms, err := r.objects.ConfigMaps(ctx)
	if err != nil {
		return after, errors.Join(applyErr, err)
	}
	return after, errors.Join(applyErr, r.statuses.report(ctx, cms, verdicts))
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
