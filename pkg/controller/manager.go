package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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
	if err := addReadiness(ctx, mgr, c.UsesOctavia()); err != nil {
		return err
	}
	reports := &pulses{}
	r, cloud, err := newReconciler(ctx, mgr, c, reports, log)
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
	if cloud != nil {
		if err := cloud.watch(ctl); err != nil {
			return fmt.Errorf("set up the watches: %w", err)
		}
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
	caches, err := cacheOptions(nodes, c.TLSNamespace, c.UsesOctavia())
	if err != nil {
		return nil, err
	}
	caches.NewInformer = newInformers(log)
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
func addReadiness(ctx context.Context, mgr manager.Manager, cloud bool) error {
	var informers []cache.Informer
	for _, kind := range watched(cloud) {
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

// newReconciler returns the reconciler, and what connects it with OpenStack, nil where that is not used.
func newReconciler(
	ctx context.Context, mgr manager.Manager, c config.Configuration, reports *pulses, log *slog.Logger,
) (*reconciler, *connector, error) {
	pools, err := c.Pools()
	if err != nil {
		return nil, nil, err
	}
	metrics := newMetrics()
	if err := metrics.register(ctrlmetrics.Registry); err != nil {
		return nil, nil, fmt.Errorf("register the metrics: %w", err)
	}
	pods, err := newPods(ctx, mgr, log)
	if err != nil {
		return nil, nil, err
	}
	objects := reader{cache: mgr.GetCache()}
	r := &reconciler{
		source:  configmap.New(objects),
		objects: objects,
		pods:    pods,
		vault: vault.New(vault.Options{
			Cache: mgr.GetCache(), API: mgr.GetAPIReader(), Writer: mgr.GetClient(), Namespace: c.TLSNamespace,
			Owner: fieldManager, Log: log,
		}),
		connect:  connectSoftware(mgr, c, reports, log),
		provider: c.Provider(),
		pools:    pools,
		statuses: newStatusWriter(mgr, log),
		metrics:  metrics,
		log:      log,
	}
	if !c.UsesOctavia() {
		return r, nil, nil
	}
	cloud, err := newConnector(mgr, c, metrics, log)
	if err != nil {
		return nil, nil, fmt.Errorf("set up the backend of OpenStack: %w", err)
	}
	r.connectCloud = cloud.connect
	return r, cloud, nil
}
