package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/config"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// coalesce is how long changes of nodes wait for more of their kind, as they come in bursts.
const coalesce = time.Second

// clusterUID returns what names the cluster: the UID of its kube-system namespace.
func clusterUID(ctx context.Context, api client.Reader) (string, error) {
	var ns corev1.Namespace
	if err := api.Get(ctx, client.ObjectKey{Name: "kube-system"}, &ns); err != nil {
		return "", fmt.Errorf("read the cluster's UID: %w", err)
	}
	return string(ns.UID), nil
}

// connectSoftware returns a function that sets the software backend up. It needs the API server.
func connectSoftware(
	mgr manager.Manager, c config.Configuration, reports *pulses, log *slog.Logger,
) func(context.Context) (backend.Backend, error) {
	return func(ctx context.Context) (backend.Backend, error) {
		cluster, err := clusterUID(ctx, mgr.GetAPIReader())
		if err != nil {
			return nil, err
		}
		nodes, err := c.NodeSelector()
		if err != nil {
			return nil, err
		}
		if err := caughtUp(ctx, mgr.GetAPIReader(), mgr.GetCache(), nodes, c.TLSNamespace, c.UsesOctavia()); err != nil {
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
			namespace: c.SystemNamespace, cache: mgr.GetCache(), api: mgr.GetAPIReader(), writer: mgr.GetClient(), nodes: nodes,
			pulses: reports,
		}
		return software.New(st, software.Options{
			Cluster: cluster, VRIDBase: c.Software.VRIDBase, Timing: timing, Witness: witness,
			NodeSelector: c.Software.NodeSelector, Log: log,
		}), nil
	}
}

// connector sets the backend of OpenStack up, and lets it work while this replica leads.
type connector struct {
	mgr      manager.Manager
	config   config.Configuration
	log      *slog.Logger
	metrics  *passMetrics
	services *watchedServices
	// news asks for a pass; ready hands the backend to who runs it.
	news  chan event.GenericEvent
	ready chan *octavia.Backend
}

// newConnector returns a connector whose backend asks the controller for passes.
func newConnector(
	mgr manager.Manager, c config.Configuration, metrics *passMetrics, log *slog.Logger,
) (*connector, error) {
	k := &connector{
		mgr: mgr, config: c, log: log, metrics: metrics, services: &watchedServices{},
		news: make(chan event.GenericEvent, 1), ready: make(chan *octavia.Backend, 1),
	}
	return k, mgr.Add(manager.RunnableFunc(k.run))
}

// run works for the backend as soon as there is one; the manager calls it when this replica leads.
func (k *connector) run(ctx context.Context) error {
	select {
	case b := <-k.ready:
		b.Run(ctx)
	case <-ctx.Done():
	}
	return nil
}

// watch adds the watches that a cloud needs beside those of all backends.
func (k *connector) watch(ctl controller.Controller) error {
	return watchCloud(ctl, k.mgr.GetCache(), k.services, k.news)
}

// keyPairs returns a function that reads certificates from the cache, for the backend to put them where its cloud has
// them.
func keyPairs(cache client.Reader) octavia.KeyPairs {
	return func(ctx context.Context, secret lb.Key) (certs.KeyPair, error) {
		var s corev1.Secret
		at := client.ObjectKey{Namespace: secret.Namespace, Name: secret.Name}
		if err := cache.Get(ctx, at, &s, client.UnsafeDisableDeepCopy); err != nil { // it is only read
			return certs.KeyPair{}, fmt.Errorf("cannot be read: %w", err)
		}
		pair, err := certs.ParseKeyPair(s.Data[certs.KeyCert], s.Data[certs.KeyKey])
		if err != nil {
			return certs.KeyPair{}, err //nolint:wrapcheck // who asks says which Secret it is about
		}
		return pair, nil
	}
}

// changed asks for a pass. One that is asked for already is enough.
func (k *connector) changed() {
	select {
	case k.news <- event.GenericEvent{Object: &corev1.ConfigMap{}}:
	default:
	}
}

// connect sets the backend up. It makes no call to OpenStack.
func (k *connector) connect(ctx context.Context) (*clouds, error) {
	cluster, err := clusterUID(ctx, k.mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	o := k.config.Octavia
	selector, err := o.Selector()
	if err != nil {
		return nil, err
	}
	b, err := octavia.New(octavia.Options{
		Cluster: cluster, Credentials: o.Credentials(), KeyPairs: keyPairs(k.mgr.GetCache()), Defaults: o.Settings(),
		Workers:    o.Parallel,
		StuckAfter: o.StuckAfter.Duration, Resync: o.Resync.Duration, ListEvery: o.Resync.Duration - time.Second/2,
		Coalesce: coalesce, DeleteOrphans: o.DeleteOrphans, Changed: k.changed, Log: k.log,
	})
	if err != nil {
		return nil, err
	}
	k.ready <- b
	return &clouds{
		backend: b, objects: reader{cache: k.mgr.GetCache()}, selector: selector, metrics: k.metrics, log: k.log,
		watched: k.services,
		finalizers: &finalizers{
			client: k.mgr.GetClient(), api: k.mgr.GetAPIReader(), backend: b, log: k.log, held: map[types.UID]lb.Origin{},
			releasing: map[types.UID]bool{}, versions: map[types.UID]string{},
			begun: map[types.UID]bool{}, asked: map[string]bool{},
		},
	}, nil
}
