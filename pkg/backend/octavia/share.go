package octavia

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Part is what one object wants of the load balancer that it has, alone or with others.
type Part struct {
	// Model has no listeners where nobody knows what is wanted; what is there of the object then stays as it is.
	Model    lb.LoadBalancer
	Settings Settings
}

// known reports whether anybody knows what is wanted.
func (p Part) known() bool { return len(p.Model.Listeners) > 0 }

// tag is the object's on whatever is made for it.
func (p Part) tag() string { return objectTag(p.Model.Origin.Key) }

// PlantShared makes the tree of a load balancer that several objects share, or one alone that might be joined: the
// listeners of all, those of a common port as one. The oldest of those of whom anything is known says what can be said
// only once. It is pure, and the order of the parts means nothing.
func PlantShared(parts []Part, cluster string) Tree {
	parts = bySeniority(parts)
	id := Identity{Cluster: cluster, Origin: lb.Origin{Key: parts[0].Model.Owner()}}
	for _, p := range parts {
		if p.known() {
			id.Sharers = append(id.Sharers, p.Model.Origin)
		}
	}
	return plantAll(parts, id)
}

// bySeniority returns the parts in the order of their rights: what is known first, then the older.
func bySeniority(parts []Part) []Part {
	unknown := func(p Part) int {
		if p.known() {
			return 0
		}
		return 1
	}
	return slices.SortedFunc(slices.Values(parts), func(a, b Part) int {
		x, y := a.Model.Origin, b.Model.Origin
		return cmp.Or(unknown(a)-unknown(b), x.Created.Compare(y.Created), x.Key.Compare(y.Key))
	})
}

// leftOf returns the tags of the objects whose wish nobody knows, sorted.
func leftOf(parts []Part) (tags []string) {
	for _, p := range parts {
		if !p.known() {
			tags = append(tags, tagsOfSharer(p.Model.Origin)...)
		}
	}
	return sorted(tags)
}

// sockets returns what the parts want, put together where it is one socket's, the first part's first.
func sockets(parts []Part, id Identity) (all [][]planter) {
	for _, part := range parts {
		s := part.Settings.with(part.Model.Cloud)
		tags := Identity{Cluster: id.Cluster, Origin: part.Model.Origin}.ChildTags()
		for _, l := range part.Model.Listeners {
			p := planter{
				listener: l, settings: s.of(l, part.Model.Cloud), tags: tags, certificates: part.Model.Cloud.Certificates,
			}
			if len(p.certificates) == 0 {
				p.pairs = id.pairs(l, part.Model.Origin.Namespace)
			}
			i := slices.IndexFunc(all, func(o []planter) bool { return o[0].listener.Clashes(l) })
			if i < 0 {
				all = append(all, []planter{p})
			} else {
				all[i] = append(all[i], p)
			}
		}
	}
	return all
}

// join adds to a listener what each of those at its socket brings: certificates, and whose it is.
func (l *Listener) join(p planter) {
	l.Tags = sorted(slices.Concat(l.Tags, p.tags))
	l.Tags = slices.Compact(l.Tags)
	if p.secure() {
		l.certify(p.certificates...)
	}
	for _, pair := range p.pairs {
		if !slices.ContainsFunc(l.Pairs, func(o Pair) bool { return o.Container == pair.Container }) {
			l.Pairs = append(slices.Clone(l.Pairs), pair)
		}
	}
}

// certify adds certificates that the listener has not got yet.
func (l *Listener) certify(refs ...string) {
	for _, ref := range refs {
		if ref != "" && ref != l.Certificate && !slices.Contains(l.Certificates, ref) {
			l.Certificates = sorted(append(slices.Clone(l.Certificates), ref))
		}
	}
}

// leaves reports whether what carries the tags is of an object whose wish nobody knows.
func (t *Tree) leaves(tags []string) bool {
	return slices.ContainsFunc(t.Left, func(tag string) bool { return slices.Contains(tags, tag) })
}

// beside returns the tree with what a common listener has for those whose wish nobody knows.
func (t Tree) beside(s Seen) Tree {
	if len(t.Left) == 0 {
		return t
	}
	t.Tags = t.withLeft(t.Tags, s.Tags)
	t.Listeners = slices.Clone(t.Listeners)
	for i := range t.Listeners {
		w := &t.Listeners[i]
		h := s.listener(w.Protocol, w.Port)
		if h == nil || h.Protocol != w.Protocol || !t.leaves(h.Tags) {
			continue
		}
		w.Tags = t.withLeft(w.Tags, h.Tags)
		if p := s.pool(h.DefaultPool); w.DefaultPool == "" && p != nil && t.leaves(p.Tags) {
			w.DefaultPool = h.DefaultPool
		}
		if h.Certificate != "" {
			w.certify(append([]string{h.Certificate}, h.Certificates...)...)
		}
	}
	return t
}

// withLeft returns tags with those of the others that are of somebody whose wish nobody knows.
func (t *Tree) withLeft(tags, others []string) []string {
	tags = slices.Clone(tags)
	for _, tag := range others {
		if slices.Contains(t.Left, tag) && !slices.Contains(tags, tag) {
			tags = sorted(append(tags, tag))
		}
	}
	return tags
}

// before counts the policies that stay, of objects whose wish nobody knows, and that a new one has to come after. They
// have hosts of their own, so that one for a single host may come before all of them.
func (d *differ) before(p Policy, h *SeenListener) (n int) {
	first := p.Rules[0]
	single := first.Type == "HOST_NAME" && (first.Compare == "EQUAL_TO" || strings.HasPrefix(first.Value, "^"))
	if h == nil || single {
		return 0
	}
	for _, o := range h.Policies {
		if d.leftPool(o.Name) {
			n++
		}
	}
	return n
}

// shared reports whether a load balancer with these tags may have several objects.
func shared(tags []string) bool {
	return slices.ContainsFunc(tags, func(t string) bool { return strings.HasPrefix(t, tagShare) })
}
