package agent

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// lookEvery is how often peers and owners are asked, and answerIn how long they have to answer.
	lookEvery  = 250 * time.Millisecond
	answerIn   = 60 * time.Millisecond
	senseRetry = time.Second
	// repeatAtLeast is the time that a busy machine may take to do what an advert has made it do.
	repeatAtLeast = 300 * time.Millisecond
)

// repeatAfter is when a node announces what it holds again after a partition: by then the nodes have agreed on who that
// is. A master that hears a better one gives way at its next advert; one that had given way, and is missed, is replaced
// after three adverts and a skew (RFC 5798, 6.1), which is less than one.
func repeatAfter(t nodeconfig.Timing) time.Duration {
	return repeatAtLeast + 4*time.Duration(t.AdvertInterval)
}

// watchOwners asks who else has the addresses that this node holds, and who of the fleet is there. When a peer that was
// gone is back, or another owner of an address has gone, the neighbours hear again where the addresses are: those who
// were cut off may have learnt otherwise.
func (a *Agent) watchOwners(ctx context.Context) {
	a.senses.follow(ctx, func(s surroundings) string {
		return fmt.Sprint(s.own, s.peers, s.timing.AdvertInterval)
	}, func(ctx context.Context, s surroundings) {
		failing := false
		for ctx.Err() == nil {
			err := a.askOwners(ctx, s, func() { failing = false })
			// What was known may be over, and nobody would hear of it.
			a.owners.forget()
			a.track.conflicts("owners", nil)
			if err != nil && ctx.Err() == nil {
				if !failing {
					a.opts.Log.Warn("it cannot be asked who has the addresses", "error", err)
				}
				failing = true
				pause(ctx, senseRetry)
			}
		}
	})
}

// askOwners asks until something fails. It calls well after every time that nothing has.
func (a *Agent) askOwners(ctx context.Context, s surroundings, well func()) error {
	wire, err := neighbor.Open(s.iface)
	if err != nil {
		return err
	}
	defer wire.Close()
	book, peers := a.owners, peerBook{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var repeat <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.senses.repeat:
			repeat = time.After(repeatAfter(s.timing))
			continue
		case <-repeat:
			repeat = nil
			if err := wire.Announce(ctx, a.track.holding()); err != nil {
				return err
			}
			continue
		case <-tick.C:
		}
		if a.senses.muted.Load() {
			book.forget()
			a.track.conflicts("owners", nil)
			continue
		}
		due := book.due(time.Now(), a.track.holding())
		found, err := wire.Probe(ctx, slices.Concat(s.own, s.peers, due), answerIn)
		if err != nil {
			return err
		}
		well()
		now := time.Now()
		a.senses.dropProxies(now, found, s.own)
		a.senses.met(found, s.peers)
		back := peers.heard(now, s.peers, found)
		healed := book.heard(now, due, found)
		if back || healed {
			poke(a.senses.repeat)
		}
		conflicts := book.conflicts(a.senses.surroundings().instances)
		if len(conflicts) > 0 || healed {
			poke(a.senses.compare)
		}
		a.track.conflicts("owners", conflicts)
	}
}

// proxyFor is how long a proxy is known as one: on a busy machine it may be late with the one answer that tells.
const proxyFor = time.Minute

// dropProxies takes those out of the answers who answer for the node's own addresses as well, or did lately: a router
// that answers ARP for everybody is no owner of anything.
func (s *senses) dropProxies(now time.Time, found map[netip.Addr][]neighbor.Hardware, own []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.proxies, func(_ neighbor.Hardware, at time.Time) bool { return now.Sub(at) > proxyFor })
	for _, o := range own {
		for _, h := range found[o] {
			s.proxies[h] = now
		}
	}
	for a, hs := range found {
		found[a] = slices.DeleteFunc(hs, func(h neighbor.Hardware) bool { _, proxy := s.proxies[h]; return proxy })
	}
}
