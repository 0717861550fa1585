package software

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// guarded are the load balancers that may be written, and why others stay as they are stored.
type guarded struct {
	want []lb.LoadBalancer
	// refused are those whose users can mend it, by key.
	refused map[lb.Key]lb.Finding
	errs    []error
}

// guard refuses what would put an address into two entries, or take it from a withdrawal that is still open, and what
// is larger than a shard: the plan never asks for it, but this is where it would do harm. Only what is served as its
// last good version can have grown since the plan looked at it, as its certificates are renewed.
func guard(in arrangement) guarded {
	current := make(map[lb.Key]*entry, len(in.snapshot.valid))
	for i := range in.snapshot.valid {
		current[in.snapshot.valid[i].Origin.Key] = &in.snapshot.valid[i]
	}
	owner, alone := in.snapshot.owners(), in.snapshot.alone()
	// Whoever begins or ends to share keeps what is its own under another name, before others join it.
	for _, w := range in.want {
		for _, a := range w.VIPs {
			if key, ok := alone[a]; owner[a] == w.Origin.Key || ok && key == w.Origin.Key {
				owner[a] = w.Owner()
			}
		}
	}
	g := guarded{want: make([]lb.LoadBalancer, 0, len(in.want)), refused: map[lb.Key]lb.Finding{}}
	keep := func(key lb.Key) {
		if e, ok := current[key]; ok {
			g.want = append(g.want, e.LoadBalancer)
		}
	}
	for _, w := range in.want {
		i := slices.IndexFunc(w.VIPs, func(a netip.Addr) bool {
			o, ok := owner[a]
			return ok && o != w.Owner()
		})
		if i >= 0 {
			g.errs = append(g.errs, fmt.Errorf("%s: address %s belongs to %s", w.Origin.Key, w.VIPs[i], owner[w.VIPs[i]]))
			keep(w.Origin.Key)
			continue
		}
		if size := in.sizeOf(w); size > in.hard {
			g.refused[w.Origin.Key] = lb.TooLarge(size, in.hard)
			keep(w.Origin.Key)
			continue
		}
		for _, a := range w.VIPs {
			owner[a] = w.Owner()
		}
		w = w.Clone()
		w.Normalize()
		w.Origin.Created = w.Origin.Created.UTC()
		g.want = append(g.want, w)
	}
	return g
}

// sizeOf returns the size of a load balancer's entry, or 0 where that is surely not too large.
func (in arrangement) sizeOf(w lb.LoadBalancer) int {
	if w.SizeBound()+2*entryOverhead <= in.hard {
		return 0
	}
	return entrySize(nodeconfig.Entry{
		LoadBalancer: w, Group: maxGroups(1), Requires: nodeconfig.Requires(w), Revision: in.revision,
	})
}
