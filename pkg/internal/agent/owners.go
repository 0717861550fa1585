package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/neighbor"
)

const (
	// lookEvery is how often peers and owners are asked, and answerIn how long they have to answer.
	lookEvery = 250 * time.Millisecond
	answerIn  = 60 * time.Millisecond
	// repeatAfter is when a node announces what it holds again after a partition: by then the nodes have agreed on who
	// that is.
	repeatAfter = 300 * time.Millisecond
	senseRetry  = time.Second
)

// watchOwners asks who else has the addresses that this node holds, and who of the fleet is there. When a peer that was
// gone is back, or another owner of an address has gone, the neighbours hear again where the addresses are: those who
// were cut off may have learnt otherwise.
func (a *Agent) watchOwners(ctx context.Context) {
	a.senses.follow(ctx, func(s surroundings) string {
		return fmt.Sprint(s.own, s.peers)
	}, func(ctx context.Context, s surroundings) {
		failing := false
		for ctx.Err() == nil {
			if err := a.askOwners(ctx, s); err != nil && ctx.Err() == nil {
				if !failing {
					a.opts.Log.Warn("it cannot be asked who has the addresses", "error", err)
				}
				failing = true
				pause(ctx, senseRetry)
			}
		}
	})
}

// askOwners asks until something fails.
func (a *Agent) askOwners(ctx context.Context, s surroundings) error {
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
			repeat = time.After(repeatAfter)
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
			continue
		}
		due := book.due(time.Now(), lookEvery, a.track.holding())
		found, err := wire.Probe(ctx, slices.Concat(s.own, s.peers, due), answerIn)
		if err != nil {
			return err
		}
		dropProxies(found, s.own)
		now := time.Now()
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

// dropProxies takes those out of the answers who answer for the node's own addresses as well: a router that answers ARP
// for everybody is no owner of anything.
func dropProxies(found map[netip.Addr][]neighbor.Hardware, own []netip.Addr) {
	var proxies []neighbor.Hardware
	for _, o := range own {
		proxies = append(proxies, found[o]...)
	}
	for a, hs := range found {
		found[a] = slices.DeleteFunc(hs, func(h neighbor.Hardware) bool { return slices.Contains(proxies, h) })
	}
}
