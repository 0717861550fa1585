package drill

import (
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// skewed is the difference at which a node's clock is no longer taken for the same as the others'.
const skewed = 500 * time.Millisecond

// Observation is a report of a node and when it arrived.
type Observation struct {
	Arrived time.Time
	Status  nodeconfig.Status
}

// clocks translate the times of nodes into those of whoever watches. A report arrives some time after it was written,
// so the smallest difference seen is the nearest to the difference of the clocks. Nodes whose clocks are about the same
// (NTP) share the smallest of all; one that is far off has its own.
type clocks struct {
	shared time.Duration
	own    map[string]time.Duration
}

func newClocks(seen []Observation) clocks {
	c := clocks{own: map[string]time.Duration{}}
	first := true
	for _, o := range seen {
		d := o.Arrived.Sub(o.Status.Reported)
		if own, ok := c.own[o.Status.Node]; !ok || d < own {
			c.own[o.Status.Node] = d
		}
		if first || d < c.shared {
			c.shared, first = d, false
		}
	}
	return c
}

// of translates a time of a node.
func (c clocks) of(node string, at time.Time) time.Time {
	own, ok := c.own[node]
	if !ok || own-c.shared <= skewed {
		own = c.shared
	}
	return at.Add(own)
}
