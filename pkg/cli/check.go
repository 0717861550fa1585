package cli

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/software"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/members"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// checker judges load balancers by the controller's own code: the source reads the wish, the plan finds what stands
// against it.
type checker struct {
	services *services
	hosts    *hosts
	certs    *certificates
	// backing is nil offline, where nothing is known of pods.
	backing *backing
	// docs are what is served now; nil where that is unknown.
	docs *view.Documents
	// pools are the address pools where poolsKnown.
	pools      []ipam.Pool
	poolsKnown bool
	// provider makes the load balancers of objects that do not choose, as far as the configuration can be read.
	provider lb.Provider
	now      time.Time
}

// offlineChecker judges without a cluster.
func (p *program) offlineChecker(ctx context.Context) *checker {
	return &checker{
		services: newServices(ctx, nil), hosts: newHosts(ctx, nil), certs: newCertificates(nil), now: p.now(),
	}
}

// liveChecker judges by what is in the cluster, as far as it may be read.
func (p *program) liveChecker(ctx context.Context, c *cluster) (*checker, error) {
	k := &checker{
		services: newServices(ctx, c), hosts: newHosts(ctx, c), certs: newCertificates(c), backing: newBacking(c),
		now: p.now(),
	}
	var err error
	if k.docs, err = p.readDocuments(ctx, c, "conflicts with others are not looked for"); err != nil {
		return nil, err
	}
	config, known, err := c.controllerConfig(ctx)
	k.pools, k.poolsKnown, k.provider = config.pools, known, config.provider
	return k, err
}

// check returns what is wrong with each load balancer, keyed by it. Load balancers are judged beside each other and
// beside all that is served, of which they replace the ones of their own name.
func (k *checker) check(ctx context.Context, cms []corev1.ConfigMap) (map[lb.Key][]lb.Finding, error) {
	in := plan.Input{Pools: k.pools, Capabilities: new(software.Backend).Capabilities()}
	asked := map[lb.Key]bool{}
	var clouded []lb.Wish
	for _, cm := range cms {
		w := k.wish(cm)
		if err := k.certs.judge(ctx, &w, k.now); err != nil {
			return nil, err
		}
		if cmp.Or(w.LoadBalancer.Provider, k.provider) == lb.ProviderOctavia {
			clouded = append(clouded, w)
			continue
		}
		asked[w.LoadBalancer.Origin.Key] = true
		in.Wishes = append(in.Wishes, w)
	}
	if k.services.err != nil {
		return nil, k.services.err
	}
	judged := slices.Clone(in.Wishes)
	if k.docs != nil {
		for _, e := range k.docs.Config.LoadBalancers() {
			in.Current = append(in.Current, e.LoadBalancer)
			if !asked[e.Origin.Key] {
				in.Wishes = append(in.Wishes, served(e.LoadBalancer))
			}
		}
		in.Withdrawn = k.docs.Holds()
	}
	invitations, err := k.hosts.invitations(judged, in.Current)
	if err != nil {
		return nil, err
	}
	in.Wishes = append(in.Wishes, invitations...)
	if !k.poolsKnown {
		in.Pools = anyPool()
		for i := range in.Wishes {
			in.Wishes[i].Address.Pool = ""
		}
	}
	found := map[lb.Key][]lb.Finding{}
	for _, o := range plan.Make(in).Outcomes {
		if asked[o.Origin.Key] {
			found[o.Origin.Key] = o.Findings
		}
	}
	return found, k.checkClouded(clouded, found)
}

// podless warns of the Services of a load balancer that have no pods, as far as that can be known.
func (k *checker) podless(ctx context.Context, cm corev1.ConfigMap) ([]lb.Finding, error) {
	if k.backing == nil {
		return nil, nil
	}
	w := k.wish(cm)
	return k.backing.podless(ctx, &w, func(service lb.Key) bool { return k.services.given[service] == nil })
}

// checkClouded adds what is wrong with load balancers of Octavia. Where the address would be is the controller's
// business: its configuration may say so.
func (k *checker) checkClouded(wishes []lb.Wish, found map[lb.Key][]lb.Finding) error {
	b, err := octavia.New(octavia.Options{
		Cluster:  "unknown",
		Defaults: octavia.Settings{Placement: octavia.Placement{SubnetID: "unknown"}, SubnetIPv6: "unknown"},
	})
	if err != nil {
		return err
	}
	r := members.New(members.Cluster{Service: k.services.Service})
	for i := range wishes {
		wishes[i] = r.Resolve(wishes[i])
	}
	invitations, err := k.hosts.invitations(wishes, nil)
	if err != nil {
		return err
	}
	asked := map[lb.Key]bool{}
	for i := range wishes {
		asked[wishes[i].LoadBalancer.Origin.Key] = true
	}
	in := plan.CloudInput{Wishes: append(wishes, invitations...), Capabilities: b.Capabilities(), Check: b.Check}
	for _, o := range plan.MakeForCloud(in).Outcomes {
		if asked[o.Origin.Key] {
			found[o.Origin.Key] = o.Findings
		}
	}
	return nil
}

// wish reads what an object asks for. Where nothing can be said about the Service, nothing is.
func (k *checker) wish(object corev1.ConfigMap) lb.Wish {
	cm := object.DeepCopy()
	if cm.CreationTimestamp.IsZero() {
		// What does not exist yet is the youngest: it never takes anything from what is there.
		cm.CreationTimestamp = metav1.Time{Time: k.now}
	}
	before := len(k.services.unknown)
	key := targetOf(cm)
	if w := configmap.Parse(cm, k.services); len(k.services.unknown) == before && k.services.unknown[key] == "" {
		return w
	}
	return configmap.Parse(cm, nil)
}

// targetOf returns the Service that an object names.
func targetOf(cm *corev1.ConfigMap) lb.Key {
	key := lb.Key{Namespace: cm.Data[configmap.KeyNamespace], Name: cm.Data[configmap.KeyService]}
	if key.Namespace == "" {
		key.Namespace = cm.Namespace
	}
	return key
}

// served is the wish of a load balancer that is served: to stay as it is.
func served(l lb.LoadBalancer) lb.Wish {
	return lb.Wish{LoadBalancer: l.Clone(), Address: lb.AddressWish{Recorded: slices.Clone(l.VIPs)}}
}
