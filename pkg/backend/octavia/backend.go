package octavia

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Name is the backend's name in the configuration.
const Name = "octavia"

const (
	// DefaultWorkers is how many load balancers have a call under way at once.
	DefaultWorkers = 8
	// DefaultStuckAfter is how long Octavia may be at work on a load balancer before that is reported.
	DefaultStuckAfter = 10 * time.Minute
	// DefaultResync is how old the list may get that shows what others have changed.
	DefaultResync = 5 * time.Minute
)

// Options configure the backend.
type Options struct {
	// Cluster is the UID of the kube-system namespace. It is in the tags, and must not be empty.
	Cluster     string
	Credentials Credentials
	// KeyPairs finds the certificates of Secrets, to put them into Barbican; nil for nobody.
	KeyPairs KeyPairs
	// Settings returns what a load balancer has beyond the model; nil means Defaults for all.
	Settings func(lb.Key) Settings
	// Defaults are the settings of load balancers without any of their own.
	Defaults Settings
	// ListEvery is how old the last list may be for a pass without new load balancers to do without one; 0 makes every
	// pass list.
	ListEvery time.Duration
	// Coalesce is how long a change of nothing but members waits for more of its kind.
	Coalesce time.Duration
	// Workers is how many load balancers have a call under way at once; 0 means [DefaultWorkers].
	Workers int
	// StuckAfter is how long Octavia may be at work before that is reported; 0 means [DefaultStuckAfter].
	StuckAfter time.Duration
	// Resync is how old the last list may get before [Backend.State] asks for another pass; 0 means [DefaultResync].
	Resync time.Duration
	// ReadLimit and WriteLimit are how long the answer to a call may take; 0 means [DefaultReadLimit] and
	// [DefaultWriteLimit].
	ReadLimit, WriteLimit time.Duration
	// DeleteOrphans makes a pass delete load balancers that carry our cluster's tag although no object is known that
	// they are for. Otherwise they are only reported; see [Backend.Orphans].
	DeleteOrphans bool
	// Changed is called, from any goroutine, when [Backend.State] has something new to say; nil for nobody.
	Changed func()
	// Log takes what is done and what goes wrong; nil discards it.
	Log *slog.Logger
}

// Orphan is a load balancer with our cluster's tag that no object is known for.
type Orphan struct {
	ID, Name string
	// Key is the object that it was made for, Sharers are those that shared it, as far as its tags say.
	Key     lb.Key
	Sharers []lb.Key
}

// Objects are those that it was for, as far as its tags say.
func (o Orphan) Objects() []lb.Key {
	if o.Key == (lb.Key{}) {
		return o.Sharers
	}
	return append([]lb.Key{o.Key}, o.Sharers...)
}

// Backend implements backend.Backend over OpenStack. Nothing happens before [Backend.Run].
type Backend struct {
	options Options
	engine  *engine
	orphans []Orphan
	// listed is when the last list was made.
	listed time.Time
	lister lister
	// released are the objects of which nothing is to stay, known those of whom it is known what they want, and unknown
	// those of whom it is not.
	released, known map[lb.Key]bool
	unknown         []lb.Origin
	// strays are the shared load balancers that the last list had and nobody is known to want.
	strays []root
}

var _ backend.Backend = (*Backend)(nil)

// New returns a backend. It makes no call.
func New(o Options) (*Backend, error) {
	if o.Cluster == "" {
		return nil, errors.New("octavia: without the cluster's UID nobody could tell whose a load balancer is")
	}
	if strings.Contains(o.Cluster, ",") || len(tagCluster+o.Cluster) > maxText {
		return nil, fmt.Errorf("octavia: no tag that can be found again can hold the cluster's UID %q", o.Cluster)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Backend{
		options: o, engine: newEngine(o), lister: lister{wake: make(chan struct{}, 1)}, released: map[lb.Key]bool{},
	}, nil
}

// Run does the work that [Backend.Apply] and [Backend.Release] ask for, until the context is done.
func (b *Backend) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.runLists(ctx)
	}()
	b.engine.run(ctx)
	<-done
}

// Name implements backend.Backend.
func (b *Backend) Name() string { return Name }

// Capabilities implements backend.Backend.
func (b *Backend) Capabilities() lb.Capabilities {
	return lb.Capabilities{
		Protocols: []lb.Protocol{lb.HTTP, lb.TCP, lb.UDP, lb.SCTP},
		TLS:       true,
		Hosts:     true, Paths: true, Wildcards: true, ExactPaths: true,
		SourceRanges: true, SendProxy: true, SendProxyV2: true, Limits: true, Timeouts: true, IdleTimeout: true, Cloud: true,
		Sharing: true, Endpoints: true, Spread: true,
		Methods:    []lb.Method{lb.RoundRobin, lb.LeastConnections, lb.SourceIPHash},
		Affinities: lb.Affinities(),
		Families:   []lb.Family{lb.IPv4, lb.IPv6},
	}
}

// Apply implements backend.Backend. It hands over what is new, asks for one list where that is due, and does not wait
// for Octavia, but a moment for the list. Its error is that of the last list, which is made again until it goes well.
// A load balancer without virtual IPs gets one of Octavia's choice; one without listeners is left as it is, and not
// made where there is none. What it has been told before, and is no longer told, is deleted.
func (b *Backend) Apply(ctx context.Context, want []lb.LoadBalancer) error {
	e := b.engine
	e.mu.Lock()
	answer := b.askList()
	b.hand(want)
	e.mu.Unlock()
	if answer != nil {
		select {
		case <-answer:
		case <-ctx.Done():
		case <-time.After(patience):
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return b.lister.failed
}

// due reports whether a pass needs a list: there is none that is young enough. What is new asks for its own.
func (b *Backend) due() bool {
	return b.listed.IsZero() || time.Since(b.listed) >= b.options.ListEvery
}

// hand hands over what is wanted.
func (b *Backend) hand(want []lb.LoadBalancer) {
	e := b.engine
	e.told = true
	wanted := make(map[lb.Key]bool, len(want))
	groups := b.groups(want)
	for i := range want {
		key := want[i].Owner()
		if wanted[key] {
			continue
		}
		wanted[key] = true
		if key == want[i].Origin.Key {
			b.want(want[i])
		} else {
			b.wantShared(key, groups[key])
		}
	}
	for key, it := range e.items {
		switch {
		case wanted[key] || it.model == nil:
		case isShare(key) && len(b.unread(it)) > 0:
			b.wantShared(key, b.unread(it)) // it may yet be what they want
		case b.undecided(objectTag(key)):
		case b.joins(key):
			heir, _ := b.sharing(objectTag(key))
			heir.owed = latest(heir.owed, it.lastWord, it.owed)
			delete(e.items, key) // what there is becomes the share's
		case b.alone(key) && b.awaits(key): // it serves until the share does
		default:
			e.wish(key, nil, Tree{}, false)
		}
	}
}

// settings returns what a load balancer has beyond the model, but for what its object asks for.
func (b *Backend) settings(l lb.LoadBalancer) Settings {
	if b.options.Settings != nil {
		return b.options.Settings(l.Origin.Key)
	}
	return b.options.Defaults
}

// want hands a load balancer to the engine, if it differs from what was handed over before.
func (b *Backend) want(l lb.LoadBalancer) {
	e := b.engine
	it := e.items[l.Origin.Key]
	if it != nil && it.model != nil && len(l.Listeners) == 0 {
		return
	}
	l = l.Clone()
	l.Normalize()
	settings := b.settings(l)
	tree := Plant(l, Identity{Cluster: e.cluster, Origin: l.Origin}, settings)
	b.enter(l.Origin.Key, &l, tree, []Part{{Model: l, Settings: settings}})
}

// enter hands a wish to the engine, if it differs from what was handed over before.
func (b *Backend) enter(key lb.Key, l *lb.LoadBalancer, tree Tree, parts []Part) {
	e := b.engine
	it := e.items[key]
	known := it != nil && it.model != nil
	same := known && sameTree(tree, it.want) && (it.id != "" || reflect.DeepEqual(tree.Placement, it.want.Placement)) &&
		slices.Equal(l.VIPs, it.model.VIPs)
	if known && !same && sameTree(memberless(tree), memberless(it.want)) {
		it.hold(b.options.Coalesce)
	}
	e.wish(key, l, tree, same)
	it = e.items[key]
	it.parts = parts
	if same {
		it.model = l
		return
	}
	b.step(key)
}

// memberless returns a tree without its members.
func memberless(t Tree) Tree {
	t.Pools = slices.Clone(t.Pools)
	for i := range t.Pools {
		t.Pools[i].Members = nil
	}
	return t
}

// sameTree compares all but what cannot be changed after the creation, and so counts only as long as there is nothing.
func sameTree(a, b Tree) bool {
	a.Placement, b.Placement = Placement{}, Placement{}
	return reflect.DeepEqual(a, b)
}

// compare takes over what the list says, and wakes the items that it has news of.
func (b *Backend) compare(all []root, now time.Time) {
	e := b.engine
	b.orphans, b.strays, b.listed = nil, nil, now
	byTag := make(map[string]*item, len(e.items))
	for key, it := range e.items {
		byTag[objectTag(key)] = it
		it.looked = now
	}
	found := map[*item][]root{}
	var heirs []root
	for _, r := range all {
		i := slices.IndexFunc(r.Tags, func(t string) bool { return byTag[t] != nil })
		if i < 0 {
			switch it, _ := b.heir(r); {
			case it != nil:
				heirs = append(heirs, r)
			case shared(r.Tags):
				b.strays = append(b.strays, r)
			case slices.ContainsFunc(r.Tags, b.undecided): // it serves, and may go on to do so
			default:
				key, ok := keyOf(r.Tags)
				b.orphan(r, key, ok)
			}
			continue
		}
		it := byTag[r.Tags[i]]
		found[it] = append(found[it], r)
	}
	b.inherit(heirs, found)
	b.clear(now)
	for _, r := range b.strays {
		if key, ok := shareKeyOf(r.Tags); !b.spares(r) {
			b.orphan(r, key, ok)
		}
	}
	for _, it := range e.items {
		if it.ambiguous(found[it]) {
			it.doubt, it.at, it.extras = true, time.Time{}, nil // a step has to ask Neutron
			e.queue.Add(it.key)
			continue
		}
		it.choose(found[it], now, "")
		if it.news(found[it]) {
			e.queue.Add(it.key)
		}
	}
}

// orphan notes a load balancer of this cluster that no object is known for, or makes it go. Its key is that of the
// object or the share, as far as the tags say.
func (b *Backend) orphan(r root, key lb.Key, ok bool) {
	if ok && b.options.DeleteOrphans {
		b.engine.wish(key, nil, Tree{}, false)
		return
	}
	o := Orphan{ID: r.ID, Name: r.Name, Key: key, Sharers: sharersOf(r.Tags)}
	if !ok || isShare(key) {
		o.Key = lb.Key{}
	}
	b.orphans = append(b.orphans, o)
}

// Release makes what was made for these objects go, also where this process has not been told of them before; see
// [Backend.Released]. It is for objects that are being deleted.
func (b *Backend) Release(origins []lb.Origin) {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range origins {
		it := e.items[o.Key]
		e.wish(o.Key, nil, Tree{}, it != nil && it.model == nil)
		if it == nil && b.shares(o.Key) != nil && time.Since(e.started) > afterlife {
			e.items[o.Key].known = true // all that it had is in what it shared
		}
		b.released[o.Key] = true
	}
	b.clear(time.Now())
}

// Released reports whether nothing is left of what was made for the object.
func (b *Backend) Released(key lb.Key) bool {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := b.listed.IsZero() && b.lister.round != nil // what it had a part in nobody knows yet
	done := !asked && e.items[key] == nil && b.shares(key) == nil && b.stray(key) == nil
	if done {
		delete(b.released, key)
	}
	return done
}

// Orphans returns the load balancers of this cluster that the last pass knew no object for, in the order of their
// creation.
func (b *Backend) Orphans() []Orphan {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	return slices.Clone(b.orphans)
}

// State implements backend.Backend. It makes no call.
func (b *Backend) State(context.Context) (backend.State, error) {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	state := backend.State{Health: make(map[lb.Key]backend.Health, len(e.items))}
	if b.lister.round != nil {
		state.Expires = time.Now().Add(orElse(b.options.Resync, DefaultResync)) // it tells when it has news
	} else if !b.listed.IsZero() {
		state.Expires = b.listed.Add(orElse(b.options.Resync, DefaultResync))
	}
	for key, it := range e.items {
		if it.model == nil {
			state.Health[key] = it.farewell()
		}
	}
	b.leaving(&state)
	for key, it := range e.items {
		if it.model != nil && !isShare(key) {
			it.alone(&state)
		}
	}
	for key, it := range e.items {
		if it.model != nil && isShare(key) { // who is to go from its own fares as this one does
			it.shared(&state, e.cluster, b.alone)
		}
	}
	slices.SortFunc(state.LoadBalancers, func(a, b lb.LoadBalancer) int { return a.Origin.Key.Compare(b.Origin.Key) })
	return state, nil
}

// alone enters into a state how an object fares whose load balancer is its own.
func (i *item) alone(state *backend.State) {
	state.Health[i.key] = backend.Health{
		Ready: i.ready, Reason: i.reason, Findings: slices.Clone(i.findings), Cloud: i.cloudStatus(),
	}
	l := i.model.Clone()
	if l.VIPs = i.addresses(); len(l.VIPs) > 0 {
		state.LoadBalancers = append(state.LoadBalancers, l)
	}
}

// farewell is how one fares that is to go.
func (i *item) farewell() backend.Health {
	return backend.Health{Reason: i.reason, Findings: slices.Clone(i.findings), Cloud: i.cloudStatus()}
}

// addresses returns those that clients use, as far as they are known: with a floating IP that one, and not the one
// that it leads to. Where an object's error leaves open which one that is, there are none.
func (i *item) addresses() (all []netip.Addr) {
	first := i.last.Address
	may, _ := floats(i.last.Tags)
	if i.want.Floating != nil || may && len(i.model.Listeners) == 0 {
		if first = i.buoy.address(); first == "" {
			return nil
		}
	}
	texts := []string{first}
	for _, a := range i.last.Additional {
		texts = append(texts, a.Address)
	}
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, a.Unmap())
		}
	}
	return all
}

// Settled reports whether all that was asked for is done, so that no call is due.
func (b *Backend) Settled() bool {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if b.lister.round != nil {
		return false
	}
	for _, it := range e.items {
		if it.model == nil || it.settled != it.version || it.bars.any() || len(it.extras) > 0 || !it.recheck.IsZero() {
			return false
		}
	}
	return true
}
