package octavia

import (
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// groups returns those who share, by their owner, and notes of whom nobody knows what is wanted.
func (b *Backend) groups(want []lb.LoadBalancer) map[lb.Key][]lb.LoadBalancer {
	all := map[lb.Key][]lb.LoadBalancer{}
	b.unknown, b.known = nil, map[lb.Key]bool{}
	for _, l := range want {
		delete(b.released, l.Origin.Key)
		if len(l.Listeners) == 0 {
			b.unknown = append(b.unknown, l.Origin)
		} else {
			b.known[l.Origin.Key] = true
		}
		if l.Share != "" {
			all[l.Owner()] = append(all[l.Owner()], l)
		}
	}
	return all
}

// wantShared hands a load balancer of several to the engine. One of them whose wish nobody knows keeps what this
// process has been told of it before, or whatever there is of it.
func (b *Backend) wantShared(key lb.Key, members []lb.LoadBalancer) {
	it := b.engine.items[key]
	parts := make([]Part, 0, len(members))
	for _, l := range members {
		if old := it.part(l.Origin.Key); len(l.Listeners) == 0 && old != nil {
			l = old.Model
		}
		l = l.Clone()
		l.Normalize()
		parts = append(parts, Part{Model: l, Settings: b.settings(l)})
	}
	parts = bySeniority(parts)
	tree := PlantShared(parts, b.engine.cluster)
	for _, o := range b.unknown {
		if !slices.ContainsFunc(parts, func(p Part) bool { return p.known() && p.Model.Origin.Key == o.Key }) {
			tree.Left = append(tree.Left, tagsOfSharer(o)...)
		}
	}
	tree.Left = slices.Compact(sorted(tree.Left))
	model := parts[0].Model.Clone()
	model.Origin = lb.Origin{Key: key}
	for _, p := range parts[1:] {
		model.Listeners = append(model.Listeners, p.Model.Listeners...)
	}
	b.enter(key, &model, tree, parts)
}

// part returns what is known of an object's wish, nil where that is nothing.
func (i *item) part(key lb.Key) *Part {
	if i == nil || i.model == nil {
		return nil
	}
	n := slices.IndexFunc(i.parts, func(p Part) bool {
		return p.Model.Origin.Key == key && len(p.Model.Listeners) > 0
	})
	if n < 0 {
		return nil
	}
	return &i.parts[n]
}

// undecided reports whether an object's tag is that of one whose wish nobody knows.
func (b *Backend) undecided(tag string) bool {
	return slices.ContainsFunc(b.unknown, func(o lb.Origin) bool { return objectTag(o.Key) == tag })
}

// unread returns those who share a load balancer and whose wish nobody knows any more.
func (b *Backend) unread(it *item) (all []lb.LoadBalancer) {
	for _, p := range it.parts {
		if b.undecided(p.tag()) {
			l := p.Model.Clone()
			l.Listeners = nil
			all = append(all, l)
		}
	}
	return all
}

// alone reports whether an object has a load balancer of its own.
func (b *Backend) alone(key lb.Key) bool {
	it := b.engine.items[key]
	return it != nil && it.model != nil && it.id != ""
}

// joins reports whether an object has come to share a load balancer that is not there yet: it is to be the one that the
// object has.
func (b *Backend) joins(key lb.Key) bool {
	it, _ := b.sharing(objectTag(key))
	return it != nil && it.id == ""
}

// awaits reports whether an object has come to share a load balancer that does not serve it yet.
func (b *Backend) awaits(key lb.Key) bool {
	it, _ := b.sharing(objectTag(key))
	return it != nil && !it.serves(objectTag(key))
}

// serves reports whether all that a sharer wants of a load balancer is there. Where a step has begun to look again, or
// has failed, nobody knows: it may be about one who was barred.
func (i *item) serves(tag string) bool {
	_, barred := i.bars.of(tag)
	return !barred && i.settled == i.version && i.last.Provisioning == statusActive && i.seen != nil && i.failed == 0
}

// sharing returns the wanted item that an object shares, and its place there; nil for none.
func (b *Backend) sharing(tag string) (*item, int) {
	for key, it := range b.engine.items {
		if _, ok := shareOf(key); !ok || it.model == nil {
			continue
		}
		if n := slices.IndexFunc(it.parts, func(p Part) bool { return p.known() && p.tag() == tag }); n >= 0 {
			return it, n
		}
	}
	return nil, 0
}

// heir returns the wanted item whose sharer a load balancer was made for alone, and that one's place; nil for none.
func (b *Backend) heir(r root) (*item, int) {
	for _, tag := range r.Tags {
		if it, n := b.sharing(tag); it != nil {
			return it, n
		}
	}
	return nil, 0
}

// inherit gives load balancers that were made for one object alone to those with whom it shares by now, where they have
// none: the oldest's. The others go as soon as that one serves their objects.
func (b *Backend) inherit(all []root, found map[*item][]root) {
	slices.SortStableFunc(all, func(x, y root) int {
		_, m := b.heir(x)
		_, n := b.heir(y)
		return m - n
	})
	for _, r := range all {
		it, n := b.heir(r)
		switch {
		case it == nil || r.Provisioning == statusPendingDelete:
		case len(found[it]) > 0:
			if p := it.parts[n]; it.serves(p.tag()) {
				b.engine.wish(p.Model.Origin.Key, nil, Tree{}, false)
			}
		case it.id == "" || it.id == r.ID:
			found[it] = []root{r}
		}
	}
}

// clear makes those shared load balancers go that nobody wants any more: some who shared them are known to want others
// or none, and nobody is left whose wish nobody knows.
func (b *Backend) clear(now time.Time) {
	b.strays = slices.DeleteFunc(b.strays, func(r root) bool {
		has := func(k lb.Key) bool { return slices.Contains(r.Tags, sharerTag(k)) }
		key, ok := shareKeyOf(r.Tags)
		if !ok || b.spares(r) || !hasAny(b.released, has) && !hasAny(b.known, has) {
			return false
		}
		if b.engine.items[key] == nil {
			b.engine.wish(key, nil, Tree{}, false)
			b.engine.items[key].take(r, now)
		}
		return true
	})
}

// spares reports whether a load balancer may be shared by somebody whose wish nobody knows.
func (b *Backend) spares(r root) bool {
	return slices.ContainsFunc(b.unknown, func(o lb.Origin) bool { return slices.Contains(r.Tags, sharerTag(o.Key)) })
}

func hasAny(keys map[lb.Key]bool, has func(lb.Key) bool) bool {
	for k := range keys {
		if has(k) {
			return true
		}
	}
	return false
}

// shares returns the item of a load balancer that says that the object shares it, nil for none.
func (b *Backend) shares(key lb.Key) *item {
	for k, it := range b.engine.items {
		if isShare(k) && slices.Contains(it.last.Tags, sharerTag(key)) {
			return it
		}
	}
	return nil
}

// stray returns the shared load balancer that nobody is known to want and of which the object had a part, nil for none.
func (b *Backend) stray(key lb.Key) *root {
	if i := slices.IndexFunc(b.strays, func(r root) bool { return slices.Contains(r.Tags, sharerTag(key)) }); i >= 0 {
		return &b.strays[i]
	}
	return nil
}

// shared enters into a state how those fare who share a load balancer. Who has one alone as well is served there; where
// nobody knows what somebody wants of this one, what another one says counts.
func (i *item) shared(state *backend.State, cluster string, alone func(lb.Key) bool) {
	vips := i.addresses()
	for _, p := range i.parts {
		o := p.Model.Origin
		if _, told := state.Health[o.Key]; told && !p.known() {
			continue
		}
		state.Health[o.Key] = i.health(p, cluster)
		bar, barred := i.bars.of(p.tag())
		outside := barred && bar.outside || !p.known() && !slices.Contains(i.last.Tags, sharerTag(o.Key))
		if outside || alone(o.Key) || len(vips) == 0 {
			continue
		}
		l := p.Model.Clone()
		l.VIPs = slices.Clone(vips)
		state.LoadBalancers = append(state.LoadBalancers, l)
	}
}

// health is how the load balancer fares for one of those who share it.
func (i *item) health(p Part, cluster string) backend.Health {
	h := backend.Health{Ready: i.ready, Reason: i.reason, Cloud: i.cloudStatus()}
	if !p.known() && !slices.Contains(i.last.Tags, sharerTag(p.Model.Origin.Key)) {
		return backend.Health{Reason: "it has no part in the load balancer yet"}
	}
	h.Cloud = own(h.Cloud, plantAll([]Part{p}, Identity{Cluster: cluster, Origin: p.Model.Origin}))
	for _, f := range i.findings {
		if f.Code != lb.CodeCloudDegraded {
			h.Findings = append(h.Findings, f)
		} else if failing := h.Cloud.Failing(); len(failing) > 0 {
			h.Findings = append(h.Findings, i.degraded("members do not answer the health monitor", failing))
		}
	}
	if bar, ok := i.bars.of(p.tag()); ok {
		h.Findings = append(h.Findings, bar.finding)
	}
	i.lacked(&h, p, cluster)
	if h.Cloud != nil {
		h.Cloud.Findings = slices.Clone(h.Findings)
	}
	return h
}

// leaving enters into a state how those fare that are to go, and of which something is in what they shared.
func (b *Backend) leaving(state *backend.State) {
	for key := range b.released {
		if it := b.shares(key); it != nil {
			state.Health[key] = backend.Health{
				Reason: "it leaves load balancer " + it.id + ": " + it.reason, Findings: slices.Clone(it.findings),
			}
		} else if r := b.stray(key); r != nil {
			state.Health[key] = backend.Health{Reason: "load balancer " + r.ID + " stays as it is, for an object that shares " +
				"it has an error"}
		}
	}
}

// own leaves of a status what is of the tree.
func own(s *lb.CloudStatus, t Tree) *lb.CloudStatus {
	if s == nil {
		return nil
	}
	s.Listeners = slices.DeleteFunc(s.Listeners, func(l lb.CloudListener) bool {
		return !slices.ContainsFunc(t.Listeners, func(w Listener) bool { return w.Name == l.Name })
	})
	for i := range s.Listeners {
		l := &s.Listeners[i]
		l.Pools = slices.DeleteFunc(l.Pools, func(p lb.CloudPool) bool { return t.pool(p.Name) == nil })
	}
	return s
}
