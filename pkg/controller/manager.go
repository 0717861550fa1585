package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/config"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/vault"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/version"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// leaseName is the name of the leader's Lease.
const leaseName = "lb-controller"

// Failed passes are repeated after retryFirst, then twice as late each time up to retryLast.
const (
	retryFirst = 20 * time.Millisecond
	retryLast  = 5 * time.Second
)

// run runs the controller until the context ends.
func run(ctx context.Context, rc *rest.Config, c config.Configuration, log *slog.Logger) error {
	mgr, err := newManager(rc, c, log)
	if err != nil {
		return err
	}
	if err := addReadiness(ctx, mgr); err != nil {
		return err
	}
	reports := &pulses{}
	r, err := newReconciler(ctx, mgr, c, reports, log)
	if err != nil {
		return err
	}
	unique := true
	ctl, err := controller.New("lb-controller", mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: 1,
		SkipNameValidation:      &unique,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
			retryFirst, retryLast),
	})
	if err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	if err := watch(ctl, mgr.GetCache(), c.SystemNamespace, reports); err != nil {
		return fmt.Errorf("set up the watches: %w", err)
	}
	if err := r.pods.drive(ctl); err != nil {
		return fmt.Errorf("set up the watches of pods: %w", err)
	}
	return mgr.Start(ctx)
}

func newManager(rc *rest.Config, c config.Configuration, log *slog.Logger) (manager.Manager, error) {
	rc = rest.CopyConfig(rc)
	// A client-side limit would hold 200 new statuses up for ten seconds; the API server has its own fair queueing.
	rc.QPS = -1
	rc.UserAgent = "lb-controller/" + version.String()
	nodes, err := c.NodeSelector()
	if err != nil {
		return nil, err
	}
	caches, err := cacheOptions(nodes, c.TLSNamespace)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the types: %w", err)
	}
	l := c.LeaderElection
	lock, err := newLock(rc, c.SystemNamespace, l)
	if err != nil {
		return nil, err
	}
	grace := 5 * time.Second
	mgr, err := manager.New(rc, manager.Options{
		Scheme:                        scheme,
		Cache:                         caches,
		Logger:                        logr.FromSlogHandler(log.Handler()),
		LeaderElection:                l.Enabled,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       c.SystemNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &l.LeaseDuration.Duration,
		RenewDeadline:                 &l.RenewDeadline.Duration,
		RetryPeriod:                   &l.RetryPeriod.Duration,
		Metrics:                       server.Options{BindAddress: c.MetricsBindAddress},
		HealthProbeBindAddress:        c.HealthProbeBindAddress,
		GracefulShutdownTimeout:       &grace,

		LeaderElectionResourceLockInterface: lock,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, nil
}

// newLock returns the Lease as seen by a replica that keeps its name over restarts, nil for one that has none. While
// the API server is away a leader ends, and is started again: under a new name it would have to wait for the lease of
// its old one.
func newLock(rc *rest.Config, namespace string, l config.LeaderElection) (resourcelock.Interface, error) {
	if !l.Enabled || l.Identity == "" {
		return nil, nil //nolint:nilnil // nil is manager.Options' word for its own lock
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: l.Identity}, rc, l.RenewDeadline.Duration)
	if err != nil {
		return nil, fmt.Errorf("set up the leader's lease: %w", err)
	}
	return lock, nil
}

// addReadiness starts the informers and makes the replica ready when they have synced, whether it leads or not: a
// standby is ready to take over.
func addReadiness(ctx context.Context, mgr manager.Manager) error {
	var informers []cache.Informer
	for _, kind := range watched() {
		inf, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("set up the cache of %T: %w", kind, err)
		}
		informers = append(informers, inf)
	}
	synced := func(*http.Request) error {
		for _, inf := range informers {
			if !inf.HasSynced() {
				return errors.New("the caches have not synced yet")
			}
		}
		return nil
	}
	return errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", synced))
}

func newReconciler(
	ctx context.Context, mgr manager.Manager, c config.Configuration, reports *pulses, log *slog.Logger,
) (*reconciler, error) {
	pools, err := c.Pools()
	if err != nil {
		return nil, err
	}
	metrics := newMetrics()
	if err := metrics.register(ctrlmetrics.Registry); err != nil {
		return nil, fmt.Errorf("register the metrics: %w", err)
	}
	pods, err := newPods(ctx, mgr, log)
	if err != nil {
		return nil, err
	}
	objects := reader{cache: mgr.GetCache()}
	return &reconciler{
		source:  configmap.New(objects),
		objects: objects,
		pods:    pods,
		vault: vault.New(vault.Options{
			Cache: mgr.GetCache(), API: mgr.GetAPIReader(), Writer: mgr.GetClient(), Namespace: c.TLSNamespace,
			Owner: fieldManager, Log: log,
		}),
		connect:  connectSoftware(mgr, c, reports, log),
		pools:    pools,
		statuses: newStatusWriter(mgr, log),
		metrics:  metrics,
		log:      log,
	}, nil
}

// connectSoftware returns a function that sets the software backend up. It names the cluster by its kube-system
// namespace, so it needs the API server.
func connectSoftware(
	mgr manager.Manager, c config.Configuration, reports *pulses, log *slog.Logger,
) func(context.Context) (backend.Backend, error) {
	return func(ctx context.Context) (backend.Backend, error) {
		var ns corev1.Namespace
		if err := mgr.GetAPIReader().Get(ctx, client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
			return nil, fmt.Errorf("read the cluster's UID: %w", err)
		}
		nodes, err := c.NodeSelector()
		if err != nil {
			return nil, err
		}
		if err := caughtUp(ctx, mgr.GetAPIReader(), mgr.GetCache(), nodes, c.TLSNamespace); err != nil {
			return nil, err
		}
		timing, err := c.Software.Timing.Times()
		if err != nil {
			return nil, err
		}
		witness, err := c.Software.Witness.Witness()
		if err != nil {
			return nil, err
		}
		st := &store{
			namespace: c.SystemNamespace, cache: mgr.GetCache(), api: mgr.GetAPIReader(), writer: mgr.GetClient(),
			pulses: reports,
		}
		return software.New(st, software.Options{
			Cluster: string(ns.UID), VRIDBase: c.Software.VRIDBase, Timing: timing, Witness: witness,
			NodeSelector: c.Software.NodeSelector, Log: log,
		}), nil
	}
}
