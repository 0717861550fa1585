package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// otherDrill is a drill that another node is ordered to perform, and until when it may last: by this node's clock, from
// when it was first heard of here, for the clocks may differ.
type otherDrill struct {
	id    string
	until time.Time
}

// otherDrills returns the drills that the other nodes are ordered to perform, given those known before. One that its
// node refuses for what it is, or for its age, is none.
func otherDrills(
	before map[string]otherDrill, orders map[string]nodeconfig.Order, own string, now time.Time,
) map[string]otherDrill {
	next := make(map[string]otherDrill)
	for node, o := range orders {
		if node == own || o.Drill == nil {
			continue
		}
		lasts := time.Duration(o.Drill.Duration)
		old := !o.Drill.Requested.IsZero() && now.Sub(o.Drill.Requested).Abs() > forgotten
		if lasts <= 0 || lasts > nodeconfig.MaxDrill || old || !o.Drill.Kind.Valid() {
			continue
		}
		known := before[node]
		if known.id != o.Drill.ID {
			known = otherDrill{id: o.Drill.ID, until: now.Add(lasts + restoreWithin)}
		}
		next[node] = known
	}
	return next
}

// other returns a node that may be in a drill, empty where there is none.
func (d *drills) other(now time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(d.others)) {
		if now.Before(d.others[node].until) {
			return node
		}
	}
	return ""
}
