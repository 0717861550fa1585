package software

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// snapshot is all that is stored and known at one moment.
type snapshot struct {
	fleet  nodeconfig.Fleet
	shards map[string]shard
	// statuses are the nodes' reports, by node. Reported is when they came here, by this process's clock: the nodes' own
	// may be wrong, and a wrong one must not make a living node look dead. said is what they had in its place.
	statuses map[string]nodeconfig.Status
	said     map[string]time.Time
	// doubtful are the nodes whose reports nobody has seen to come, and look old: nothing is said about their present.
	doubtful map[string]bool
	nodes    []nodeconfig.Node // of the next fleet, sorted by name
	drained  map[string]bool   // nodes that are to be kept free of addresses, by order
	// rebalance is the ID of the last rebalancing that was ordered, empty for none.
	rebalance string
	now       time.Time         // when it was read
	revision  int64             // what is written next gets; above all that is stored
	versions  map[string]string // of the objects, by name
	damaged   map[string]bool   // objects whose text is unreadable, served from memory
	valid     []entry           // the entry of each key, sorted by key
	stale     []entry           // copies that a move to another shard has left behind, sorted by key
}

// shard is a stored shard and the size of its text in bytes.
type shard struct {
	nodeconfig.Shard
	size int
}

// memory holds the last good reading of each object, so that an unchanged one is not decoded again and a damaged one
// is written anew.
type memory struct {
	fleet    reading[nodeconfig.Fleet]
	shards   map[string]reading[nodeconfig.Shard]
	statuses map[string]reading[nodeconfig.Status]
	// heard is when each report came, by the object's name.
	heard map[string]heard
}

// heard is when a version of a report came.
type heard struct {
	version string
	at      time.Time
	// seen says that it was seen to come: of one that was there before, at is when it was found.
	seen bool
}

// hear returns when a report came. One that was there already may be as old as it is: it counts as fresh until nothing
// has come for as long as it takes to call a node silent.
func (m memory) hear(o Object, now time.Time) heard {
	before, known := m.heard[o.Name]
	switch {
	case !o.Heard.IsZero():
		return heard{version: o.Version, at: o.Heard, seen: true}
	case known && before.version == o.Version:
		return before
	default:
		return heard{version: o.Version, at: now, seen: known}
	}
}

type reading[D nodeconfig.Document] struct {
	version string
	size    int
	doc     D
}

// read decodes an object unless the earlier reading is of the same version.
func read[D nodeconfig.Document](earlier reading[D], o Object) (reading[D], error) {
	if earlier.version != "" && earlier.version == o.Version {
		return earlier, nil
	}
	d, err := nodeconfig.Decode[D](o.Text)
	if err != nil {
		return earlier, fmt.Errorf("%s: %w", o.Name, err)
	}
	return reading[D]{version: o.Version, size: len(o.Text), doc: d}, nil
}

// load reads the store. It fails where a document is unreadable and no earlier reading of it is remembered: planning
// without it would give its addresses away.
func (b *Backend) load(ctx context.Context) (snapshot, error) {
	docs, err := b.store.Documents(ctx)
	if err != nil {
		return snapshot{}, fmt.Errorf("read the nodes' configuration: %w", err)
	}
	nodes, err := b.store.Nodes(ctx)
	if err != nil {
		return snapshot{}, fmt.Errorf("list load-balancer nodes: %w", err)
	}
	s := snapshot{
		shards:   map[string]shard{},
		statuses: map[string]nodeconfig.Status{},
		said:     map[string]time.Time{},
		doubtful: map[string]bool{},
		versions: map[string]string{},
		damaged:  map[string]bool{},
		drained:  map[string]bool{},
		now:      time.Now(),
	}
	next := memory{
		shards: map[string]reading[nodeconfig.Shard]{}, statuses: map[string]reading[nodeconfig.Status]{},
		heard: map[string]heard{},
	}
	if err := b.readConfig(docs.Config, &s, &next); err != nil {
		return snapshot{}, err
	}
	b.readStatuses(docs.Status, &s, &next)
	b.memory = next
	b.readOrders(docs.Orders, &s)
	s.revision = s.nextRevision(s.now)
	s.nodes = nextNodes(nodesInput{
		current: s.fleet, nodes: speaking(nodes, s.statuses), statuses: s.statuses, now: s.now, revision: s.revision,
	})
	s.valid, s.stale = s.entries()
	return s, nil
}

func (b *Backend) readConfig(objects []Object, s *snapshot, next *memory) error {
	var errs []error
	for _, o := range objects {
		var err error
		var known bool
		switch {
		case o.Name == nodeconfig.FleetName:
			known = b.memory.fleet.version != ""
			next.fleet, err = read(b.memory.fleet, o)
			s.fleet = next.fleet.doc
		case strings.HasPrefix(o.Name, nodeconfig.ShardPrefix):
			var r reading[nodeconfig.Shard]
			r, err = read(b.memory.shards[o.Name], o)
			known = r.version != ""
			next.shards[o.Name] = r
			s.shards[o.Name] = shard{Shard: r.doc, size: r.size}
		default:
			continue
		}
		s.versions[o.Name] = o.Version
		switch {
		case err == nil:
		case known:
			s.damaged[o.Name] = true
			b.log.Warn("a document is unreadable and is written anew from memory", "name", o.Name, "error", err)
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readStatuses takes the nodes' reports. An unreadable one, or one in another node's name, is no report at all: its
// node then counts as silent, which holds addresses back rather than giving them away.
func (b *Backend) readStatuses(objects []Object, s *snapshot, next *memory) {
	for _, o := range objects {
		r, err := read(b.memory.statuses[o.Name], o)
		if err != nil {
			b.log.Warn("a node's report is unreadable", "name", o.Name, "error", err)
			continue
		}
		if o.Name != nodeconfig.StatusName(r.doc.Node) {
			b.log.Warn("a report speaks for another node", "name", o.Name, "node", r.doc.Node)
			continue
		}
		next.statuses[o.Name] = r
		h := b.memory.hear(o, s.now)
		next.heard[o.Name] = h
		status := r.doc
		s.said[status.Node] = status.Reported
		s.doubtful[status.Node] = !h.seen && status.Stale(s.now)
		status.Reported = h.at
		s.statuses[status.Node] = status
	}
}

// maxRebalanceID is how long the ID of a rebalancing may be, in bytes.
const maxRebalanceID = 64

// readOrders takes what people ask of the nodes. Their daemons obey; here an unreadable order is none.
func (b *Backend) readOrders(orders map[string]string, s *snapshot) {
	for key, text := range orders {
		var err error
		if key == nodeconfig.KeyRebalance {
			var r nodeconfig.Rebalance
			r, err = nodeconfig.Decode[nodeconfig.Rebalance](text)
			// It is written into the fleet's document, which has to fit into an object whatever people order.
			if len(r.ID) > maxRebalanceID {
				b.log.Warn("an order has too long an id", "key", key, "bytes", len(r.ID), "limit", maxRebalanceID)
				continue
			}
			s.rebalance = r.ID
		} else if node, ok := strings.CutPrefix(key, nodeconfig.KeyOrderPrefix); ok {
			var o nodeconfig.Order
			o, err = nodeconfig.Decode[nodeconfig.Order](text)
			s.drained[node] = o.Drain != nil
		}
		if err != nil {
			b.log.Warn("an order is unreadable", "key", key, "error", err)
		}
	}
}

// pending returns the nodes of the fleet, sorted, that have not reported yet that they run a shard at a revision or a
// later one. The fleet is what the cluster says and who is still leaving, not just what is stored: a deleted document
// must not make an address look free, and a node that is gone for good must not hold it for ever.
func (s snapshot) pending(name string, revision int64) []string {
	var out []string
	for _, n := range s.nodes {
		if s.statuses[n.Name].Running.Shards[name] < revision {
			out = append(out, n.Name)
		}
	}
	return out
}

// nextRevision returns a revision above all that are stored. It follows the clock in milliseconds, so that it is above
// those of deleted documents too, which nodes may still report.
func (s snapshot) nextRevision(now time.Time) int64 {
	r := max(s.fleet.Revision+1, now.UnixMilli())
	for _, sh := range s.shards {
		r = max(r, sh.Revision+1)
	}
	return r
}

// entry is a stored entry, which nobody changes, and the shard that it is in.
type entry struct {
	*nodeconfig.Entry
	shard string
}

// entries sorts out which entry of each key is the valid one.
func (s snapshot) entries() (valid, stale []entry) {
	home := map[lb.Key]string{}
	for name, sh := range s.shards {
		for i := range sh.LoadBalancers {
			e := &sh.LoadBalancers[i]
			if h, ok := home[e.Origin.Key]; !ok || s.newer(name, h) {
				home[e.Origin.Key] = name
			}
		}
	}
	valid = make([]entry, 0, len(home))
	for name, sh := range s.shards {
		for i := range sh.LoadBalancers {
			e := &sh.LoadBalancers[i]
			if home[e.Origin.Key] == name {
				valid = append(valid, entry{Entry: e, shard: name})
			} else {
				stale = append(stale, entry{Entry: e, shard: name})
			}
		}
	}
	byKey := func(a, b entry) int { return a.Origin.Compare(b.Origin.Key) }
	slices.SortFunc(valid, byKey)
	slices.SortFunc(stale, func(a, b entry) int {
		if c := byKey(a, b); c != 0 {
			return c
		}
		return strings.Compare(a.shard, b.shard)
	})
	return valid, stale
}

// newer reports whether shard a is the younger of two; nodeconfig.Config.LoadBalancers decides likewise.
func (s snapshot) newer(a, b string) bool {
	if ra, rb := s.shards[a].Revision, s.shards[b].Revision; ra != rb {
		return ra > rb
	}
	return a < b
}
