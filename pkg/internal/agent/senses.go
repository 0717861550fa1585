package agent

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/witness"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// surroundings are what the senses look at: the segment that the virtual IPs are on. They are not changed once made.
type surroundings struct {
	// iface is empty where nothing is announced.
	iface string
	// own are the node's addresses in the fleet, peers those of all other nodes.
	own, peers []netip.Addr
	timing     nodeconfig.Timing
	witness    nodeconfig.Witness
	instances  []nodeconfig.Instance
}

// senses tell what a node cannot know from its own state: whether its network is there, who else answers for its
// addresses, who else sends adverts. They may be used from everywhere at once.
type senses struct {
	// muted senses hear nothing, as those of a node that is cut off; for a drill.
	muted atomic.Bool
	// repeat holds a token when the addresses that are held are to be announced again.
	repeat chan struct{}
	// compare holds a token when the peers' adverts are to be read soon: an address has a second owner.
	compare chan struct{}

	mu       sync.Mutex
	now      surroundings
	watchers []chan struct{}
	witness  witness.State
	// hardware are the MAC addresses of the other nodes, as far as they have answered.
	hardware map[netip.Addr][]neighbor.Hardware
	// proxies are those that answer for everybody, and when they were last seen to.
	proxies map[neighbor.Hardware]time.Time
}

func newSenses() *senses {
	return &senses{
		repeat: make(chan struct{}, 1), compare: make(chan struct{}, 1), hardware: make(map[netip.Addr][]neighbor.Hardware),
		proxies: make(map[neighbor.Hardware]time.Time),
	}
}

// configure says what runs.
func (s *senses) configure(c *candidate) {
	now := surroundings{
		iface: c.iface, own: c.view.Node.Addresses, timing: c.view.Timing, witness: c.view.Witness, instances: c.announced(),
	}
	for _, n := range c.config.Fleet.Nodes {
		if n.Name != c.view.Node.Name {
			now.peers = append(now.peers, n.Addresses...)
		}
	}
	if len(now.own) == 0 {
		now = surroundings{} // the fleet does not have the node
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
	for _, w := range s.watchers {
		poke(w)
	}
}

func (s *senses) surroundings() surroundings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// follow runs a function for as long as the surroundings have the same key, and again with the next ones; not while
// there is no interface.
func (s *senses) follow(
	ctx context.Context, key func(surroundings) string, run func(context.Context, surroundings),
) {
	changed := make(chan struct{}, 1)
	s.mu.Lock()
	s.watchers = append(s.watchers, changed)
	s.mu.Unlock()
	for ctx.Err() == nil {
		now := s.surroundings()
		inner, cancel := context.WithCancel(ctx)
		var wait sync.WaitGroup
		if now.iface != "" {
			wait.Go(func() { run(inner, now) })
		}
		for ctx.Err() == nil {
			if next := s.surroundings(); next.iface != now.iface || key(next) != key(now) {
				break
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
		cancel()
		wait.Wait()
	}
}

// met remembers who answers for the nodes' own addresses.
func (s *senses) met(found map[netip.Addr][]neighbor.Hardware, peers []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range peers {
		if len(found[p]) > 0 {
			s.hardware[p] = found[p]
		}
	}
}

// strangers returns those that are no node of the fleet.
func (s *senses) strangers(hs []neighbor.Hardware, peers []netip.Addr) []neighbor.Hardware {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(hs), func(h neighbor.Hardware) bool {
		return slices.ContainsFunc(peers, func(p netip.Addr) bool { return slices.Contains(s.hardware[p], h) })
	})
}

// conflicts replaces the conflicts of a source.
func (t *tracker) conflicts(source string, cs []nodeconfig.Conflict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(t.conflict[source], cs) {
		return
	}
	t.conflict[source] = cs
	var all []nodeconfig.Conflict
	for _, cs := range t.conflict {
		all = append(all, cs...)
	}
	slices.SortFunc(all, func(a, b nodeconfig.Conflict) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Family, b.Family),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Other, b.Other))
	})
	t.status.Conflicts = boundConflicts(all)
	poke(t.changed)
}

// holding returns the virtual IPs that the node has, sorted.
func (t *tracker) holding() []netip.Addr {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.status.Holding)
}
