package octavia

import (
	"maps"
	"slices"
	"strings"
)

// Diff returns what must be done to make what there is what is wanted, in the order that interrupts the least: what is
// stuck or in the way goes first, new pools are complete before a listener sends anything to them, and old ones go when
// nothing uses them any more. It is pure, and gives nothing where nothing differs.
//
// Children of ours that nobody wants go; those that others have added to the load balancer stay, unless they have a
// port or a name that is wanted.
func Diff(want Tree, have Seen) []Op {
	d := differ{want: want.beside(have), have: have}
	// Who comes to share it is named before there is anything of it, who leaves it after that has gone.
	tags := tagsOf(have.Tags, d.want)
	late := owned(have.Tags, tags) || !shared(want.Tags)
	if !late {
		d.rename()
	}
	d.removeListeners()
	d.removePolicies()
	d.removeStuck()
	d.makePools()
	d.changePools()
	d.makeListeners()
	d.makePolicies()
	d.removePools()
	if late && (have.Name != want.Name || !slices.Equal(tags, sorted(slices.Clone(have.Tags)))) {
		d.rename()
	}
	return d.ops
}

type differ struct {
	want Tree
	have Seen
	ops  []Op
}

func (d *differ) add(o Op) { d.ops = append(d.ops, o) }

// rename gives the load balancer its name and tags.
func (d *differ) rename() {
	d.add(Op{Verb: Update, Kind: KindLoadBalancer, Name: d.want.Name, ID: d.have.ID})
}

// kept returns the listener of the port if it can stay.
func (d *differ) kept(w Listener) *SeenListener {
	h := d.have.listener(w.Protocol, w.Port)
	if h == nil || h.Protocol != w.Protocol || h.Status != statusActive {
		return nil
	}
	return h
}

// keptPool returns the pool of the name if it can stay. One that has forgotten a child cannot be mended in place: it
// takes no calls.
func (d *differ) keptPool(name string) *SeenPool {
	h := d.have.pool(name)
	w := d.want.pool(name)
	if h == nil || w == nil || h.Protocol != w.Protocol || h.Status != statusActive || h.Stuck {
		return nil
	}
	if h.Monitor != nil && h.MonitorStatus != statusActive {
		return nil
	}
	return h
}

// ours reports whether what carries the tags is of this cluster's making, for an object whose wish is known.
func (d *differ) ours(tags []string) bool {
	made := slices.ContainsFunc(tags, func(t string) bool {
		return strings.HasPrefix(t, tagCluster) && slices.Contains(d.want.Tags, t)
	})
	return made && !d.want.leaves(tags)
}

// leftPool reports whether a pool is of an object whose wish nobody knows, and with it the policy of its name.
func (d *differ) leftPool(name string) bool {
	p := d.have.pool(name)
	return p != nil && d.want.leaves(p.Tags)
}

func (d *differ) removeListeners() {
	for _, h := range d.have.Listeners {
		i := slices.IndexFunc(d.want.Listeners, func(w Listener) bool {
			return w.Port == h.Port && carrier(w.Protocol) == carrier(h.Protocol)
		})
		if i >= 0 && (d.kept(d.want.Listeners[i]) != nil || d.replaced(d.want.Listeners[i]) != nil) {
			continue
		}
		if i < 0 && !d.ours(h.Tags) {
			continue
		}
		d.add(Op{Verb: Delete, Kind: KindListener, Name: h.Name, ID: h.ID, Port: h.Port})
	}
}

// replaced returns the listener of the port that serves until the one of another protocol can take its place: nil for
// none, and where a pool has to go that it has policies for.
func (d *differ) replaced(w Listener) *SeenListener {
	h := d.have.listener(w.Protocol, w.Port)
	if h == nil || h.Protocol == w.Protocol || h.Status != statusActive ||
		slices.ContainsFunc(h.Policies, func(p SeenPolicy) bool {
			return d.want.pool(p.Name) != nil && d.keptPool(p.Name) == nil
		}) {
		return nil
	}
	return h
}

// removeStuck removes pools that cannot be mended, after the policies that use them.
func (d *differ) removeStuck() {
	for _, h := range d.have.Pools {
		if d.want.pool(h.Name) != nil && d.keptPool(h.Name) == nil && !d.twin(h) {
			d.add(Op{Verb: Delete, Kind: KindPool, Name: h.Name, ID: h.ID})
		}
	}
}

// twin reports whether a pool has the name of another one that comes before it, and thus is not in use.
func (d *differ) twin(p SeenPool) bool { return d.have.pool(p.Name).ID != p.ID }

func (d *differ) removePolicies() {
	for _, w := range d.want.Listeners {
		h := d.kept(w)
		if h == nil {
			continue
		}
		for i, p := range h.Policies {
			twin := slices.ContainsFunc(h.Policies[:i], func(o SeenPolicy) bool { return o.Name == p.Name })
			kept := slices.ContainsFunc(w.Policies, func(o Policy) bool { return d.keeps(o, p) })
			if twin || !kept && !d.leftPool(p.Name) {
				d.add(Op{Verb: Delete, Kind: KindPolicy, Name: p.Name, ID: p.ID, NeedsID: p.ID == "", Port: w.Port})
			}
		}
	}
	d.removeDeserted()
}

// removeDeserted removes the policies of those who have left a listener that stays for somebody whose wish nobody
// knows: Octavia deletes no pool that a policy needs.
func (d *differ) removeDeserted() {
	for _, h := range d.have.Listeners {
		wanted := slices.ContainsFunc(d.want.Listeners, func(w Listener) bool {
			return w.Port == h.Port && carrier(w.Protocol) == carrier(h.Protocol)
		})
		if wanted || !d.want.leaves(h.Tags) {
			continue
		}
		for _, p := range h.Policies {
			if pool := d.have.pool(p.Name); pool != nil && d.ours(pool.Tags) && d.want.pool(p.Name) == nil {
				d.add(Op{Verb: Delete, Kind: KindPolicy, Name: p.Name, ID: p.ID, NeedsID: p.ID == "", Port: h.Port})
			}
		}
	}
}

// keeps reports whether a policy stays. It goes with its pool: Octavia deletes no pool that a policy needs.
func (d *differ) keeps(w Policy, h SeenPolicy) bool {
	return w.Name == h.Name && h.Status == statusActive && h.Rules <= len(w.Rules) && d.keptPool(w.Pool) != nil
}

func (d *differ) makePools() {
	for i := range d.want.Pools {
		w := &d.want.Pools[i]
		if d.keptPool(w.Name) != nil {
			continue
		}
		d.add(Op{Verb: Create, Kind: KindPool, Name: w.Name, Pool: w})
		if len(w.Members) > 0 {
			d.add(Op{Verb: Fill, Kind: KindPool, Name: w.Name, Pool: w})
		}
		if w.Monitor != nil {
			d.add(Op{Verb: Create, Kind: KindMonitor, Name: w.Name, Pool: w})
		}
	}
}

func (d *differ) makeListeners() {
	for i := range d.want.Listeners {
		w := &d.want.Listeners[i]
		h := d.kept(*w)
		switch {
		case h == nil:
			if old := d.replaced(*w); old != nil {
				d.add(Op{Verb: Delete, Kind: KindListener, Name: old.Name, ID: old.ID, Port: old.Port})
			}
			d.add(Op{Verb: Create, Kind: KindListener, Name: w.Name, Listener: w})
		case !sameListener(*w, h.Listener) || d.want.pool(w.DefaultPool) != nil && d.keptPool(w.DefaultPool) == nil:
			d.add(Op{Verb: Update, Kind: KindListener, Name: w.Name, ID: h.ID, Listener: w})
		}
	}
}

// successor returns the operation that makes a listener of HTTPS in place of the one that the first one deletes; nil
// where that is something else.
func successor(ops []Op) *Op {
	if len(ops) < 2 {
		return nil
	}
	old, next := ops[0], &ops[1]
	if old.Kind != KindListener || old.Verb != Delete || next.Kind != KindListener || next.Verb != Create ||
		next.Listener.Port != old.Port || next.Listener.Protocol != protocolHTTPS {
		return nil
	}
	return next
}

func sameListener(w, h Listener) bool {
	return w.Name == h.Name && w.DefaultPool == h.DefaultPool && w.ConnectionLimit == h.ConnectionLimit &&
		w.ClientTimeout == h.ClientTimeout && w.ConnectTimeout == h.ConnectTimeout &&
		w.MemberTimeout == h.MemberTimeout && w.Certificate == h.Certificate &&
		slices.Equal(w.Certificates, sorted(slices.Clone(h.Certificates))) && w.InspectTimeout == h.InspectTimeout &&
		slices.Equal(w.AllowedCIDRs, sorted(slices.Clone(h.AllowedCIDRs))) && maps.Equal(w.InsertHeaders, h.InsertHeaders) &&
		sameTags(w.Tags, h.Tags)
}

// sameTags reports whether a child says whose it is. One without any tag of ours says nothing wrong.
func sameTags(w, h []string) bool {
	return slices.Equal(withTags(h, w), sorted(slices.Clone(h))) || !slices.ContainsFunc(h, func(t string) bool {
		return !isForeign(t)
	})
}

func (d *differ) changePools() {
	for i := range d.want.Pools {
		w := &d.want.Pools[i]
		h := d.keptPool(w.Name)
		if h == nil {
			continue
		}
		if w.Method != h.Method || !samePersistence(w.Persistence, h.Persistence) || !sameTags(w.Tags, h.Tags) {
			d.add(Op{Verb: Update, Kind: KindPool, Name: w.Name, ID: h.ID, Pool: w})
		}
		if !slices.EqualFunc(w.Members, h.Members, func(a, b Member) bool { return a.compare(b) == 0 }) {
			d.add(Op{Verb: Fill, Kind: KindPool, Name: w.Name, ID: h.ID, Pool: w})
		}
		d.changeMonitor(w, h)
	}
}

func (d *differ) changeMonitor(w *Pool, h *SeenPool) {
	unlike := w.Monitor != nil && h.Monitor != nil && w.Monitor.Type != h.Monitor.Type
	if h.Monitor != nil && (w.Monitor == nil || unlike) {
		d.add(Op{Verb: Delete, Kind: KindMonitor, Name: w.Name, ID: h.MonitorID, NeedsID: h.MonitorID == "", Pool: w})
	}
	switch {
	case w.Monitor == nil:
	case h.Monitor == nil || unlike:
		d.add(Op{Verb: Create, Kind: KindMonitor, Name: w.Name, Pool: w})
	case !sameMonitor(*w.Monitor, *h.Monitor):
		d.add(Op{Verb: Update, Kind: KindMonitor, Name: w.Name, ID: h.MonitorID, NeedsID: h.MonitorID == "", Pool: w})
	}
}

func sameMonitor(w, h Monitor) bool {
	w.Name, w.Tags, h.Name, h.Tags = "", nil, "", nil
	return w.Type == h.Type && w.Delay == h.Delay && w.Timeout == h.Timeout && w.Retries == h.Retries &&
		w.RetriesDown == h.RetriesDown && w.Method == h.Method && w.Path == h.Path && w.Codes == h.Codes
}

func samePersistence(a, b *Persistence) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// makePolicies makes what is missing. A policy of several rules is off until it has them all: with some of them only it
// would take what is not for it.
func (d *differ) makePolicies() {
	for i := range d.want.Listeners {
		w := &d.want.Listeners[i]
		h := d.kept(*w)
		for j := range w.Policies {
			p, at := &w.Policies[j], -1
			if h != nil {
				at = slices.IndexFunc(h.Policies, func(o SeenPolicy) bool { return d.keeps(*p, o) })
			}
			has := SeenPolicy{Off: len(p.Rules) > 1}
			if at >= 0 {
				has = h.Policies[at]
			} else {
				d.add(Op{
					Verb: Create, Kind: KindPolicy, Name: p.Name, Policy: p, Port: w.Port, Position: j + 1 + d.before(*p, h),
				})
			}
			unknown := at >= 0 && has.ID == ""
			for r := has.Rules; r < len(p.Rules); r++ {
				d.add(Op{Verb: Create, Kind: KindRule, Name: p.Name, ID: has.ID, NeedsID: unknown, Policy: p, Port: w.Port,
					Position: r + 1})
			}
			if has.Off {
				d.add(Op{Verb: Update, Kind: KindPolicy, Name: p.Name, ID: has.ID, NeedsID: unknown, Policy: p, Port: w.Port})
			}
		}
	}
}

func (d *differ) removePools() {
	for _, h := range d.have.Pools {
		if (d.want.pool(h.Name) == nil || d.twin(h)) && d.ours(h.Tags) {
			d.add(Op{Verb: Delete, Kind: KindPool, Name: h.Name, ID: h.ID})
		}
	}
}
