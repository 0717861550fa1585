package octavia

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// bars are those of the sharers of a load balancer that Octavia refuses, so that they do not keep the others waiting:
// whatever there is of them stays as it is until they are tried again, or until somebody wants something else.
type bars struct {
	// version is that of the wish that was refused.
	version int
	// by is keyed by the objects' tags. It is never changed, but replaced.
	by map[string]bar
	// again are those that are being tried again: what users are told of them stays until that has gone well.
	again map[string]bar
	// only is the place of the one sharer that a load balancer is created for, from 1; 0 for all at once.
	only int
}

type bar struct {
	finding lb.Finding
	until   time.Time
	// outside says that there is nothing of the object: what it wants is another one's.
	outside bool
}

func (b bars) any() bool { return len(b.by) > 0 }

// all are those that users are told of.
func (b bars) all() map[string]bar {
	all := maps.Clone(b.again)
	if all == nil {
		all = make(map[string]bar, len(b.by))
	}
	maps.Copy(all, b.by)
	return all
}

// of returns a sharer's bar as its user is told of it.
func (b bars) of(tag string) (bar, bool) {
	x, ok := b.all()[tag]
	return x, ok
}

// equal compares what users are told.
func (b bars) equal(o bars) bool {
	return maps.EqualFunc(b.all(), o.all(), func(x, y bar) bool { return x.finding == y.finding })
}

// next returns them for the next step: all are tried again where the wish is another one. Else it is one whose time has
// come, after the one before it: of several at once nobody could say who is refused.
func (b bars) next(version int, now time.Time) bars {
	if b.version != version {
		return bars{version: version, again: b.all()}
	}
	first := ""
	for _, tag := range slices.Sorted(maps.Keys(b.by)) {
		x := b.by[tag]
		if !now.Before(x.until) && (first == "" || x.until.Before(b.by[first].until)) {
			first = tag
		}
	}
	if first == "" || len(b.again) > 0 {
		return b
	}
	b.again = map[string]bar{first: b.by[first]}
	b.by = maps.Clone(b.by)
	delete(b.by, first)
	return b
}

// wait is how long it is until one of them is tried again.
func (b bars) wait(now time.Time) time.Duration {
	wait := slow
	for _, x := range b.by {
		wait = min(wait, x.until.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// reduce makes the wish one without those who are barred.
func (s *stepper) reduce(now time.Time) {
	w := &s.work
	w.bars = w.bars.next(s.version, now)
	if s.model == nil || !w.bars.any() && w.bars.only == 0 {
		return
	}
	parts := slices.Clone(s.parts)
	for i := range parts {
		_, barred := w.bars.by[parts[i].tag()]
		if barred || w.bars.only > 0 && i != w.bars.only-1 {
			parts[i].Model.Listeners = nil
		}
	}
	t := PlantShared(parts, s.engine.cluster)
	t.Placement, t.Floating = s.want.Placement, s.want.Floating
	t.Left = slices.Compact(sorted(append(t.Left, s.want.Left...)))
	s.want = t
}

// bar notes that one sharer's wish is refused, of those whom the operation is for and whose wish is known, and reports
// whether it was that; what is refused to all is no business of one.
func (s *stepper) bar(o Op, f *failure, seen Seen) bool {
	looked := !f.taken || s.work.failed > 0 // what is there already may be so since we have not looked
	if len(s.parts) < 2 || f.trouble != troubleRefused && f.trouble != troubleQuota || !looked {
		return false
	}
	var tags []string
	switch {
	case o.Pool != nil:
		tags = o.Pool.Tags
	case o.Policy != nil:
		tags = o.Policy.Tags
	case o.Listener != nil:
		tags = o.Listener.Tags
	}
	p := s.blamed(o, tags, f, seen)
	if p == nil {
		return false
	}
	s.engine.log.Warn("refused", "object", p.Model.Origin.Key.String(), "do", o.String(), "error", f)
	s.work.bars.add(p.tag(), bar{finding: f.finding(), until: time.Now().Add(slow)})
	return true
}

// blamed returns the one of those named in tags who is refused: whose certificate Octavia names, else the youngest of
// those who bring a certificate that the listener has not got yet, else the youngest; nil for nobody.
func (s *stepper) blamed(o Op, tags []string, f *failure, seen Seen) *Part {
	var named, fresh, youngest *Part
	for i := range slices.Backward(s.parts) {
		p := &s.parts[i]
		if _, barred := s.work.bars.by[p.tag()]; barred || !p.known() || !slices.Contains(tags, p.tag()) {
			continue
		}
		youngest = cmp.Or(youngest, p)
		if o.Listener == nil {
			continue
		}
		for _, ref := range s.certificatesOf(*p, o.Listener.Port) {
			if id := idOf(ref); id != "" && strings.Contains(f.text, id) {
				named = cmp.Or(named, p)
			}
			h := seen.listener(o.Listener.Protocol, o.Listener.Port)
			if h != nil && h.Certificate != ref && !slices.Contains(h.Certificates, ref) {
				fresh = cmp.Or(fresh, p)
			}
		}
	}
	return cmp.Or(named, fresh, youngest)
}

// certificatesOf returns the URLs of what a sharer brings to a port, as far as they are known.
func (s *stepper) certificatesOf(p Part, port uint16) (refs []string) {
	id := Identity{Cluster: s.engine.cluster, Origin: lb.Origin{Key: s.work.key}}
	for _, l := range p.Model.Listeners {
		if l.Port != port || l.TLS == nil {
			continue
		}
		refs = append(refs, p.Model.Cloud.Certificates...)
		for _, pair := range id.pairs(l, p.Model.Origin.Namespace) {
			if ref := s.work.refs[pair.Container]; ref != "" {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// add bars one more.
func (b *bars) add(tag string, x bar) {
	by := maps.Clone(b.by)
	if by == nil {
		by = map[string]bar{}
	}
	by[tag] = x
	b.by, b.again = by, maps.Clone(b.again)
	delete(b.again, tag)
}

// yield bars those who want what is there of objects whose wish nobody knows, and reports whether there are any: what
// is there stays as it is until somebody knows.
func (s *stepper) yield() (yields bool) {
	for _, l := range s.want.Listeners {
		for _, tags := range s.rivals(l) {
			yields = s.oust(tags, l.Port) || yields
		}
	}
	return yields
}

// rivals returns the tags of those who want of a listener what somebody has there whose wish nobody knows: a port that
// is one's alone, a host, or what is left over.
func (s *stepper) rivals(l Listener) (all [][]string) {
	seen := s.work.seen
	h := seen.listener(l.Protocol, l.Port)
	if h == nil || !s.want.leaves(h.Tags) {
		return nil
	}
	social := h.Protocol == l.Protocol && (l.Protocol == protocolHTTP || l.Protocol == protocolHTTPS)
	if !social && !owned(h.Tags, l.Tags) {
		all = append(all, l.Tags)
	}
	pools := []string{l.DefaultPool}
	for _, p := range l.Policies {
		pools = append(pools, p.Pool)
	}
	for _, name := range pools {
		has, mine := seen.pool(name), s.want.pool(name)
		if name == l.DefaultPool {
			has = seen.pool(h.DefaultPool)
		}
		if has != nil && mine != nil && s.want.leaves(has.Tags) && !owned(has.Tags, mine.Tags) {
			all = append(all, mine.Tags)
		}
	}
	return all
}

// oust bars those of the sharers who are named in tags.
func (s *stepper) oust(tags []string, port uint16) (ousts bool) {
	for _, p := range s.parts {
		if _, barred := s.work.bars.by[p.tag()]; barred || !p.known() || !slices.Contains(tags, p.tag()) {
			continue
		}
		s.work.bars.add(p.tag(), bar{until: time.Now().Add(slow), outside: true, finding: lb.Finding{
			Code: lb.CodeAddressPortTaken, Message: fmt.Sprintf("port %d of the shared load balancer %s serves an object that "+
				"has an error now, and stays as it is until that is right; choose another port, or for HTTP other hosts",
				port, s.work.id)}})
		ousts = true
	}
	return ousts
}

// alone has a refused load balancer of several created for one of them, each in turn; what the others want is then
// refused or made one by one. It returns false when it is none's alone to be refused.
func (s *stepper) alone(f *failure) bool {
	known := 0 // they come first
	for _, p := range s.parts {
		if p.known() {
			known++
		}
	}
	if known < 2 || f.trouble != troubleRefused && f.trouble != troubleQuota {
		return false
	}
	b := &s.work.bars
	b.only++
	if b.only > known {
		b.only = 0
	}
	return b.only > 0
}

// inherit looks for a load balancer that was made for one of the sharers alone, the oldest first.
func (s *stepper) inherit(ctx context.Context) error {
	w := &s.work
	if _, ok := shareOf(w.key); !ok || s.model == nil {
		return nil
	}
	all, err := s.engine.api.list(ctx, tagCluster+s.engine.cluster)
	if err != nil {
		return err
	}
	for _, p := range s.parts {
		for _, r := range all {
			if !p.known() || !slices.Contains(r.Tags, p.tag()) || r.Provisioning == statusPendingDelete ||
				s.engine.has(p.Model.Origin.Key) {
				continue
			}
			s.engine.log.InfoContext(ctx, "load balancer is shared from now on", "object", p.Model.Origin.Key.String(),
				"share", describe(w.key), "id", r.ID)
			w.take(r, time.Now())
			return nil
		}
	}
	return nil
}

// has reports whether there is an item of the key.
func (e *engine) has(key lb.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.items[key] != nil
}

// inherits reports whether a load balancer was made for one of the sharers alone.
func (s *stepper) inherits(r root) bool {
	_, ok := shareOf(s.work.key)
	return ok && slices.ContainsFunc(s.parts, func(p Part) bool {
		return p.known() && owned(r.Tags, []string{tagCluster + s.engine.cluster, p.tag()})
	})
}

// heirlooms are the descriptions of floating IPs that were made for the sharers alone.
func (s *stepper) heirlooms() (owners []string) {
	if _, ok := shareOf(s.work.key); !ok {
		return nil
	}
	for _, p := range s.parts {
		owners = append(owners, floatingOwner(s.engine.cluster, p.Model.Origin.Key))
	}
	return owners
}
