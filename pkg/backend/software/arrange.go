package software

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The sizes of a shard's text in bytes. A new load balancer goes to a shard that stays below targetSize with it; one
// that grows in place may take its shard up to hardSize, beyond which it moves. Withdrawals come on top, smaller than
// the entries they were, so that a removal never moves anything. An object ends at 1 MiB.
const (
	targetSize = 128 << 10
	hardSize   = 384 << 10
	// entryOverhead is what an entry has beside what was asked for, at most: its addresses, its group and its revision.
	entryOverhead = 1 << 10
)

// arrangement is everything that the shards depend on.
type arrangement struct {
	snapshot snapshot
	// want are the load balancers to serve, sorted by key.
	want []lb.LoadBalancer
	// fleet is what the nodes know.
	fleet nodeconfig.Fleet
	// revision is what a changed shard gets.
	revision int64
	// target and hard are the sizes of a shard's text.
	target, hard int
}

// change is a shard to write.
type change struct {
	name  string
	shard nodeconfig.Shard
	// after are the shards that must have been written before: load balancers move from this one to them.
	after []string
}

// draft is a shard on its way to the next version.
type draft struct {
	name    string
	entries []nodeconfig.Entry // sorted by key
	gone    []nodeconfig.Withdrawal
	dirty   bool
	size    int
	after   []string
}

// arranged is what comes of an arrangement.
type arranged struct {
	// changes are the shards to write, in their order.
	changes []change
	// refused says of load balancers, by key, why they stay as they are, where their users can mend it.
	refused map[lb.Key]lb.Finding
}

// arrange returns what to write so that exactly the wanted load balancers are served. It returns an error for each that
// would take another's address; such a one stays as it is.
func arrange(in arrangement) (arranged, error) {
	g := guard(in)
	a := newArranger(in, g.want)
	a.update()
	a.place()
	a.relieve()
	return arranged{a.changes(), g.refused}, errors.Join(g.errs...)
}

type arranger struct {
	in     arrangement
	want   map[lb.Key]*lb.LoadBalancer
	keys   []lb.Key // of want, sorted
	drafts []*draft // sorted by name
	home   map[lb.Key]string
	load   map[int]int // virtual IPs by group
	known  map[int]nodeconfig.Group
	// shared are the groups of those that share addresses, by owner: an address is in one group only.
	shared map[lb.Key]int
	// shunned are the nodes that new virtual IPs do not go to while there is another.
	shunned map[string]bool
	// carried are the groups that a node may have an address in, by what is stored; nil until somebody asks.
	carried map[netip.Addr][]int
}

func newArranger(in arrangement, want []lb.LoadBalancer) *arranger {
	a := &arranger{
		in: in, want: make(map[lb.Key]*lb.LoadBalancer, len(want)),
		home: make(map[lb.Key]string, len(in.snapshot.valid)), load: map[int]int{}, known: map[int]nodeconfig.Group{}, shared: map[lb.Key]int{}, shunned: map[string]bool{"": true},
	}
	for _, n := range in.fleet.Nodes {
		a.shunned[n.Name] = n.Phase != "" || in.snapshot.drained[n.Name]
	}
	for i := range want {
		l := &want[i]
		a.want[l.Origin.Key] = l
		a.keys = append(a.keys, l.Origin.Key)
	}
	for _, g := range in.fleet.Groups {
		a.known[g.ID] = g
	}
	for _, e := range in.snapshot.valid {
		a.home[e.Origin.Key] = e.shard
		if w, ok := a.want[e.Origin.Key]; ok {
			a.load[e.Group] += len(w.VIPs)
		}
		a.remember(e)
	}
	for _, name := range slices.Sorted(maps.Keys(in.snapshot.shards)) {
		a.drafts = append(a.drafts, &draft{name: name, dirty: in.snapshot.damaged[name]})
	}
	return a
}

// update carries the entries that are stored over to the drafts: changed, unchanged or withdrawn.
func (a *arranger) update() {
	for _, d := range a.drafts {
		stored := a.in.snapshot.shards[d.name]
		d.size = stored.size
		d.gone = slices.Clone(stored.Withdrawn)
		entries := make([]nodeconfig.Entry, 0, len(stored.LoadBalancers)+1)
		for i := range stored.LoadBalancers {
			e := &stored.LoadBalancers[i]
			w, wanted := a.want[e.Origin.Key]
			if !wanted || a.home[e.Origin.Key] != d.name {
				var kept []netip.Addr
				if wanted {
					kept = w.VIPs
				}
				d.withdraw(*e, kept, a.in.revision)
				d.dirty = true
				continue
			}
			next, ok := a.next(*w, e)
			d.withdraw(*e, next.VIPs, a.in.revision)
			if !ok {
				d.dirty = true
				continue
			}
			entries = append(entries, a.carryOver(d, e, next))
		}
		if len(entries) > 0 {
			d.entries = entries
		}
		if d.dirty {
			d.size = textSize(nodeconfig.Shard{LoadBalancers: d.entries})
		}
	}
}

// carryOver returns a stored entry as it is to be, with the revision in which it last changed.
func (a *arranger) carryOver(d *draft, e *nodeconfig.Entry, next nodeconfig.Entry) nodeconfig.Entry {
	if same(e, &next) {
		return *e
	}
	d.dirty = true
	before, after := podless(*e), podless(next)
	if !same(&before, &after) {
		next.Revision = a.in.revision
	}
	return next
}

// withdraw leaves a withdrawal for the entry's addresses that are not kept.
func (d *draft) withdraw(e nodeconfig.Entry, keep []netip.Addr, revision int64) {
	lost := without(e.VIPs, keep)
	if len(lost) == 0 {
		return
	}
	d.gone = append(d.gone, nodeconfig.Withdrawal{
		Key: e.Origin.Key, VIPs: lost, Group: e.Group, Revision: revision,
	})
	d.dirty = true
}

// podless returns an entry without the addresses of pods. They come and go while it is served as written: they reach
// the nodes with the shard, but the entry's revision, which its readiness is judged by, stays.
func podless(e nodeconfig.Entry) nodeconfig.Entry {
	if e.ByEndpoints() {
		e.LoadBalancer = e.Clone()
		e.EachEndpointTarget(func(t *lb.Target, _ lb.Transport) { t.Endpoints = nil })
	}
	return e
}

// same reports whether two entries are the same text. Where they may differ it compares what is written, so that no
// field of a later model is forgotten.
func same(a, b *nodeconfig.Entry) bool {
	if a.Group == b.Group && a.Revision == b.Revision && slices.Equal(a.Requires, b.Requires) &&
		a.SameText(&b.LoadBalancer) {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func textSize(s nodeconfig.Shard) int {
	text, err := nodeconfig.Encode(s)
	if err != nil {
		return 0
	}
	return len(text)
}

// without returns the addresses of a that are not in b.
func without(a, b []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// shard returns the draft as a document.
func (d *draft) shard(revision int64) nodeconfig.Shard {
	return nodeconfig.Shard{
		Version: nodeconfig.Version, Revision: revision, LoadBalancers: d.entries, Withdrawn: d.gone,
	}
}

// changes returns the drafts that differ from what is stored: those that others wait for first, else by name. Where
// nothing else is to be written, it forgets the withdrawals that every node has confirmed.
func (a *arranger) changes() []change {
	var out []change
	for _, d := range a.drafts {
		open := a.open(d)
		if d.dirty {
			d.gone = open
			out = append(out, change{name: d.name, shard: d.shard(a.in.revision), after: d.after})
		}
	}
	if len(out) == 0 {
		for _, d := range a.drafts {
			if open := a.open(d); len(open) < len(d.gone) {
				d.gone = open
				out = append(out, change{name: d.name, shard: d.shard(a.in.revision)})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y change) int { return len(x.after) - len(y.after) })
	return out
}

// open returns the withdrawals of a draft, sorted, that not every node has confirmed, without the addresses that their
// load balancer has got back in the same shard.
func (a *arranger) open(d *draft) []nodeconfig.Withdrawal {
	has := map[lb.Key][]netip.Addr{}
	if len(d.gone) > 0 {
		for _, e := range d.entries {
			has[e.Origin.Key] = e.VIPs
		}
	}
	var out []nodeconfig.Withdrawal
	for _, w := range d.gone {
		w.VIPs = without(w.VIPs, has[w.Key])
		if len(w.VIPs) > 0 && len(a.in.snapshot.pending(d.name, w.Revision)) > 0 {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(x, y nodeconfig.Withdrawal) int { return x.Key.Compare(y.Key) })
	return out
}
