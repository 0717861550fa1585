package agent

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/vrrp"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// forgetStranger is how long a stranger that is heard no more is remembered, unless its adverts are rarer.
	forgetStranger = 10 * time.Second
	forgetAdverts  = 4
	// maxStrangers bounds how many senders are remembered: anybody on the segment may make some up.
	maxStrangers = 64
	// skewEvery is how often the peers' adverts are read, for so many intervals.
	skewEvery   = 10 * time.Second
	skewSoon    = time.Second
	skewAdverts = 3
	skewAtLeast = 150 * time.Millisecond
)

// advertBook remembers adverts that should not be.
type advertBook struct {
	kind nodeconfig.ConflictKind

	mu   sync.Mutex
	seen map[advertKey]advertSeen
}

type advertKey struct {
	sender netip.Addr
	vrid   uint8
}

type advertSeen struct{ since, until time.Time }

// put notes an advert, which counts until a time.
func (b *advertBook) put(now, until time.Time, s vrrp.Sighting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = make(map[advertKey]advertSeen)
	}
	key := advertKey{s.Sender, s.VRID}
	seen, known := b.seen[key]
	if !known && len(b.seen) >= maxStrangers {
		return // those that are known say enough
	}
	if !known {
		seen.since = now
	}
	seen.until = until
	b.seen[key] = seen
}

// conflicts returns what is known at that time, sorted, and forgets what is over.
func (b *advertBook) conflicts(now time.Time, instances []nodeconfig.Instance) []nodeconfig.Conflict {
	b.mu.Lock()
	defer b.mu.Unlock()
	var cs []nodeconfig.Conflict
	for key, seen := range b.seen {
		if now.After(seen.until) {
			delete(b.seen, key)
			continue
		}
		if i, ok := instanceOf(instances, key.vrid, key.sender); ok {
			cs = append(cs, nodeconfig.Conflict{
				Kind: b.kind, Group: i.Group, Family: i.Family, Other: key.sender.String(), Since: seen.since,
			})
		}
	}
	slices.SortFunc(cs, func(x, y nodeconfig.Conflict) int {
		return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Family, y.Family), cmp.Compare(x.Other, y.Other))
	})
	return cs
}

// instanceOf returns the instance that an advert is for.
func instanceOf(instances []nodeconfig.Instance, vrid uint8, sender netip.Addr) (nodeconfig.Instance, bool) {
	for _, i := range instances {
		if i.VRID == vrid && i.Family == lb.FamilyOf(sender) {
			return i, true
		}
	}
	return nodeconfig.Instance{}, false
}

// skewed returns the VRIDs of the instances in which a peer's advert contradicts this node: the nodes' configurations
// differ, and both become master. Either it names other addresses than the group's anchor, and keepalived refuses it
// (and counts it in addr_list_err); or it names the anchor under another VRID, and keepalived does not listen to it.
// Reading the advert costs keepalived nothing; having it write its counters keeps it from sending its own.
func skewed(instances []nodeconfig.Instance, s vrrp.Sighting) []uint8 {
	var ids []uint8
	for _, i := range instances {
		same, ours := i.VRID == s.VRID, slices.Contains(s.Addresses, i.Anchor)
		alike := same && slices.Equal(s.Addresses, []netip.Addr{i.Anchor})
		if i.Family == lb.FamilyOf(s.Sender) && (same || ours) && !alike {
			ids = append(ids, i.VRID)
		}
	}
	return ids
}

// watchAdverts hears who outside of the fleet sends adverts of our groups, and whether a peer's are about something
// else.
func (a *Agent) watchAdverts(ctx context.Context) {
	a.senses.follow(ctx, func(s surroundings) string {
		return fmt.Sprint(s.own, s.peers, s.timing.AdvertInterval, constants(s.instances))
	}, func(ctx context.Context, s surroundings) {
		var wait sync.WaitGroup
		defer wait.Wait()
		wait.Go(func() { a.hearStrangers(ctx, s) })
		wait.Go(func() { a.comparePeers(ctx, s) })
	})
}

// constants returns what does not come and go in the instances, sorted as they are.
func constants(instances []nodeconfig.Instance) []nodeconfig.Instance {
	out := make([]nodeconfig.Instance, len(instances))
	for i, in := range instances {
		out[i] = nodeconfig.Instance{Group: in.Group, Family: in.Family, VRID: in.VRID, Anchor: in.Anchor}
	}
	return out
}

func vrids(instances []nodeconfig.Instance) []uint8 {
	var ids []uint8
	for _, i := range instances {
		ids = append(ids, i.VRID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (a *Agent) hearStrangers(ctx context.Context, s surroundings) {
	book := advertBook{kind: nodeconfig.ConflictVRID}
	publish := func() { a.track.conflicts("strangers", book.conflicts(time.Now(), s.instances)) }
	defer a.track.conflicts("strangers", nil)
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		failing := false
		for ctx.Err() == nil {
			begun := time.Now()
			err := vrrp.Listener{
				Interface: s.iface, VRIDs: vrids(s.instances), Known: slices.Concat(s.own, s.peers),
				Report: func(heard vrrp.Sighting) {
					now := time.Now()
					book.put(now, now.Add(max(forgetStranger, forgetAdverts*heard.Interval)), heard)
				},
			}.Listen(ctx)
			failing = failing && time.Since(begun) < forgetStranger
			if err != nil && !failing {
				a.opts.Log.Warn("strangers' adverts are not heard", "error", err)
			}
			failing = err != nil
			pause(ctx, senseRetry)
		}
	})
	for ctx.Err() == nil {
		pause(ctx, lookEvery)
		publish()
	}
}

// comparePeers reads the peers' adverts for a moment now and then.
func (a *Agent) comparePeers(ctx context.Context, s surroundings) {
	book := advertBook{kind: nodeconfig.ConflictSkew}
	defer a.track.conflicts("skew", nil)
	sample := max(skewAdverts*time.Duration(s.timing.AdvertInterval), skewAtLeast)
	for ctx.Err() == nil {
		pause(ctx, skewSoon) // the others may be about to get the same configuration
		inner, cancel := context.WithTimeout(ctx, sample)
		err := vrrp.Listener{
			Interface: s.iface, EveryVRID: true, Report: func(heard vrrp.Sighting) {
				if !slices.Contains(s.peers, heard.Sender) {
					return
				}
				now := time.Now()
				for _, heard.VRID = range skewed(s.instances, heard) {
					book.put(now, now.Add(sample+skewSoon), heard)
				}
			},
		}.Listen(inner)
		cancel()
		if err != nil && ctx.Err() == nil {
			a.opts.Log.Debug("the peers' adverts are not compared", "error", err)
		}
		a.track.conflicts("skew", book.conflicts(time.Now(), s.instances))
		next := time.NewTimer(skewEvery)
		select {
		case <-ctx.Done():
		case <-a.senses.compare:
		case <-next.C:
		}
		next.Stop()
	}
}
