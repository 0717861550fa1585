package software

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// place puts the new load balancers into shards and groups.
func (a *arranger) place() {
	for _, key := range a.keys {
		if _, ok := a.home[key]; ok {
			continue
		}
		e, ok := a.next(*a.want[key], nil)
		if !ok {
			continue
		}
		size := entrySize(e)
		a.roomFor(key, size).add(e, size)
	}
}

// remember notes the group of an entry that shares, or brings an address into a share.
func (a *arranger) remember(e entry) {
	owner := e.Owner()
	if w := a.want[e.Origin.Key]; e.Share == "" && w != nil && len(without(w.VIPs, e.VIPs)) < len(w.VIPs) {
		owner = w.Owner()
	}
	_, noted := a.shared[owner]
	if _, known := a.known[e.Group]; known && !noted {
		a.shared[owner] = e.Group
	}
}

// groupOf returns the group of a load balancer: that of those with whom it shares, else the one that it is in, else the
// one that an address of it is being withdrawn from, else the best one.
func (a *arranger) groupOf(w lb.LoadBalancer, stored *nodeconfig.Entry) int {
	if g, ok := a.shared[w.Owner()]; ok && w.Share != "" {
		return g
	}
	var id int
	known := false
	if stored != nil {
		id = stored.Group
		_, known = a.known[id]
	}
	if !known {
		if id, known = a.formerGroup(w.VIPs); known {
			a.load[id] += len(w.VIPs)
		}
	}
	if !known {
		id = a.group(len(w.VIPs))
	}
	if w.Share != "" {
		a.shared[w.Owner()] = id
	}
	return id
}

// formerGroup returns the group that some node may still hold one of the addresses in: of the newest withdrawal.
func (a *arranger) formerGroup(vips []netip.Addr) (id int, found bool) {
	var newest int64
	for _, d := range a.drafts {
		for _, w := range d.gone {
			_, known := a.known[w.Group]
			if known && w.Revision > newest && len(without(w.VIPs, vips)) < len(w.VIPs) {
				id, found, newest = w.Group, true, w.Revision
			}
		}
	}
	return id, found
}

// group picks the group for new virtual IPs, and counts them: one whose home carries the fewest, of these the one with
// the fewest in it. Homes that are drained or on their way in or out come last.
func (a *arranger) group(vips int) int {
	onHome := map[string]int{}
	for _, g := range a.in.fleet.Groups {
		onHome[g.Home] += a.load[g.ID]
	}
	best := slices.MinFunc(a.in.fleet.Groups, func(x, y nodeconfig.Group) int {
		return cmp.Or(
			cmp.Compare(boolInt(a.shunned[x.Home]), boolInt(a.shunned[y.Home])),
			cmp.Compare(onHome[x.Home], onHome[y.Home]),
			cmp.Compare(a.load[x.ID], a.load[y.ID]),
			cmp.Compare(x.ID, y.ID))
	})
	a.load[best.ID] += vips
	return best.ID
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func entrySize(e nodeconfig.Entry) int {
	text, err := json.Marshal(e)
	if err != nil {
		return 0
	}
	return len(text) + len(",")
}

// roomFor returns the draft for a load balancer that is in none: the one that remembers its addresses, so that taking
// them back is one write; else the first with room; else a new one.
func (a *arranger) roomFor(key lb.Key, size int) *draft {
	remembers := func(d *draft) bool {
		return slices.ContainsFunc(d.gone, func(w nodeconfig.Withdrawal) bool { return w.Key == key })
	}
	for _, d := range a.drafts {
		if remembers(d) && d.size+size <= a.in.hard {
			return d
		}
	}
	for _, d := range a.drafts {
		if d.size+size <= a.in.target {
			return d
		}
	}
	return a.addDraft()
}

// addDraft returns a new empty draft with the lowest free name.
func (a *arranger) addDraft() *draft {
	byName := func(d *draft, name string) int { return cmp.Compare(d.name, name) }
	for n := 0; ; n++ {
		name := nodeconfig.ShardName(n)
		if i, ok := slices.BinarySearchFunc(a.drafts, name, byName); !ok {
			d := &draft{name: name}
			d.size = textSize(nodeconfig.Shard{})
			a.drafts = slices.Insert(a.drafts, i, d)
			return d
		}
	}
}

// add inserts an entry of a given size.
func (d *draft) add(e nodeconfig.Entry, size int) {
	i, _ := slices.BinarySearchFunc(d.entries, e, func(x, y nodeconfig.Entry) int {
		return x.Origin.Compare(y.Origin.Key)
	})
	d.entries = slices.Insert(d.entries, i, e)
	d.size += size
	d.dirty = true
}

// relieve moves load balancers out of shards that have outgrown the hard size, from the last key on. The shard that
// gives one up is written after the one that takes it, so that the load balancer is always in one of them; its higher
// revision makes the new copy the valid one.
func (a *arranger) relieve() {
	for _, d := range slices.Clone(a.drafts) {
		for d.dirty && d.size > a.in.hard && len(d.entries) > 1 {
			last := len(d.entries) - 1
			e := d.entries[last]
			size := entrySize(e)
			d.entries = d.entries[:last]
			d.size -= size
			e.Revision = a.in.revision
			to := a.elsewhere(d, size)
			to.add(e, size)
			if !slices.Contains(d.after, to.name) {
				d.after = append(d.after, to.name)
			}
		}
	}
}

// elsewhere returns another draft with room that nothing moves out of in this round, so that no two wait for each
// other.
func (a *arranger) elsewhere(from *draft, size int) *draft {
	for _, d := range a.drafts {
		if d != from && len(d.after) == 0 && d.size+size <= a.in.target {
			return d
		}
	}
	return a.addDraft()
}
