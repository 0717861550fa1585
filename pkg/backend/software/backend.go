package software

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Name is the backend's name in the configuration.
const Name = "software"

// DefaultVRIDBase is the VRID of the first group unless the configuration says otherwise. It leaves the low numbers,
// which other routers of a segment tend to use, alone.
const DefaultVRIDBase = 51

// Options configure the backend.
type Options struct {
	// Cluster is the UID of the kube-system namespace.
	Cluster string
	// VRIDBase is the VRID of the first group, 1 to 255; 0 means [DefaultVRIDBase].
	VRIDBase uint8
	// Timing is how fast VRRP notices and acts; zero means nodeconfig.DefaultTiming.
	Timing nodeconfig.Timing
	// Witness is what a node asks whether it still has the network; zero means nothing.
	Witness nodeconfig.Witness
	// NodeSelector is the label selector of the nodes, for messages; empty means "type=loadbalancer".
	NodeSelector string
	// Log takes what is wrong with the documents; nil discards it.
	Log *slog.Logger
}

// Backend implements backend.Backend over a [Store]. Its methods must not run at the same time.
type Backend struct {
	store   Store
	options Options
	log     *slog.Logger
	memory  memory
	// sightings are since when something that must last to count has been seen.
	sightings sightings
	// refused says why load balancers were not taken the last time, by key.
	refused map[lb.Key]lb.Finding
	// target and hard are the sizes of a shard's text in bytes.
	target, hard int
}

var _ backend.Backend = (*Backend)(nil)

// New returns a backend over a store.
func New(store Store, o Options) *Backend {
	if o.VRIDBase == 0 {
		o.VRIDBase = DefaultVRIDBase
	}
	if o.Timing == (nodeconfig.Timing{}) {
		o.Timing = nodeconfig.DefaultTiming()
	}
	if o.NodeSelector == "" {
		o.NodeSelector = "type=loadbalancer"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{store: store, options: o, log: o.Log, target: targetSize, hard: hardSize}
}

// Name implements backend.Backend.
func (b *Backend) Name() string { return Name }

// Capabilities implements backend.Backend.
func (b *Backend) Capabilities() lb.Capabilities {
	return lb.Capabilities{
		Protocols: []lb.Protocol{lb.HTTP, lb.TCP, lb.UDP, lb.Passthrough},
		TLS:       true, ClientAuth: true, BackendTLS: true,
		Sharing: true,
		Hosts:   true, Paths: true, Wildcards: true, ExactPaths: true, Weights: true,
		SourceRanges: true, TrustedProxies: true, Limits: true, ClientLimits: true, AcceptProxy: true, SendProxy: true,
		Timeouts: true, SendTimeout: true, IdleTimeout: true, Responses: true, Retries: true, AccessLog: true,
		Endpoints: true, Methods: lb.Methods(), Affinities: lb.Affinities(),
		Rewrite: true, Redirect: true, GRPC: true, Headers: true, MaxBody: true, Gzip: true,
		Families: []lb.Family{lb.IPv4, lb.IPv6},
		MaxSize:  hardSize - entryOverhead,
	}
}

// State implements backend.Backend.
func (b *Backend) State(ctx context.Context) (backend.State, error) {
	s, err := b.load(ctx)
	if err != nil {
		return backend.State{}, err
	}
	j := newJudge(s, b.options, b.sightings)
	state := backend.State{
		LoadBalancers: make([]lb.LoadBalancer, 0, len(s.valid)),
		Withdrawn:     s.holds(),
		Health:        make(map[lb.Key]backend.Health, len(s.valid)),
		Nodes:         j.nodes(),
	}
	for _, e := range s.valid {
		state.LoadBalancers = append(state.LoadBalancers, e.Clone())
		state.Health[e.Origin.Key] = j.health(e)
	}
	for key, f := range b.refused {
		h := state.Health[key]
		h.Findings = append(h.Findings, f)
		state.Health[key] = h
	}
	b.sightings = j.seen
	state.Expires = j.expires
	return state, nil
}

// Apply implements backend.Backend. The fleet is written before the shards, so that no load balancer is in a group that
// the nodes have not been told of; a group goes only after the last load balancer has left it. A shard that cannot be
// written keeps no other from being written, unless load balancers move between the two.
func (b *Backend) Apply(ctx context.Context, want []lb.LoadBalancer) error {
	s, err := b.load(ctx)
	if err != nil {
		return err
	}
	fleet, err := b.applyFleet(ctx, s)
	if err != nil && len(fleet.Groups) == 0 {
		return err
	}
	errs := []error{err}
	out, err := arrange(arrangement{
		snapshot: s, want: want, fleet: fleet, revision: s.revision, target: b.target, hard: b.hard,
	})
	errs = append(errs, err)
	b.refused = out.refused
	failed := map[string]bool{}
	for _, c := range out.changes {
		if i := slices.IndexFunc(c.after, func(n string) bool { return failed[n] }); i >= 0 {
			failed[c.name] = true
			errs = append(errs, fmt.Errorf("%s waits for %s", c.name, c.after[i]))
			continue
		}
		if err := write(ctx, b.store, c.name, s.versions[c.name], c.shard); err != nil {
			failed[c.name] = true
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// applyFleet writes the fleet if it differs from what is stored. It returns the one that is stored afterwards.
func (b *Backend) applyFleet(ctx context.Context, s snapshot) (nodeconfig.Fleet, error) {
	load := map[int]int{}
	for _, e := range s.valid {
		load[e.Group] += len(e.VIPs)
	}
	next := nextFleet(fleetInput{
		current: s.fleet, nodes: s.nodes, known: s.fleet.Known(s.statuses, s.now), load: load,
		cluster: b.options.Cluster, vridBase: b.options.VRIDBase,
		timing: b.options.Timing, witness: b.options.Witness, rebalance: s.rebalance, revision: s.revision,
	})
	if next.Revision == s.fleet.Revision && !s.damaged[nodeconfig.FleetName] {
		return s.fleet, nil
	}
	next.Revision = s.revision
	if err := write(ctx, b.store, nodeconfig.FleetName, s.versions[nodeconfig.FleetName], next); err != nil {
		return s.fleet, err
	}
	return next, nil
}

func write[D nodeconfig.Document](ctx context.Context, store Store, name, version string, d D) error {
	text, err := nodeconfig.Encode(d)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := store.Write(ctx, Object{Name: name, Version: version, Text: text}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
