package agent

import (
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// isolation is what keeps a bad load balancer from harming the others: it is held at the version that runs, and left
// out when that is bad too, or when it has to let go of an address.
type isolation struct {
	asked nodeconfig.Config
	// last is the configuration that runs, nil when nothing does.
	last *nodeconfig.Config
	bad  map[lb.Key]treatment
	// findings are why, in the order found.
	findings []nodeconfig.NodeFinding
}

type treatment int

const (
	hold treatment = iota + 1
	leaveOut
)

// refuse treats a load balancer as bad, or as worse than it was thought. It reports whether that changes anything.
func (i *isolation) refuse(key lb.Key, f lb.Finding) bool {
	if i.bad[key] == leaveOut {
		return false
	}
	if i.bad == nil {
		i.bad = make(map[lb.Key]treatment)
	}
	if i.bad[key] == 0 {
		i.findings = append(i.findings, nodeconfig.NodeFinding{Key: key, Finding: f})
	}
	i.bad[key]++
	return true
}

// refuseVIP refuses the load balancers that have a virtual IP.
func (i *isolation) refuseVIP(all []lb.LoadBalancer, r keepalived.Refusal) bool {
	changed := false
	for _, l := range all {
		if slices.Contains(l.VIPs, r.VIP) {
			changed = i.refuse(l.Origin.Key, r.Finding) || changed
		}
	}
	return changed
}

// config returns what is asked for, with the bad load balancers treated. The revisions of the documents stay.
func (i *isolation) config() nodeconfig.Config {
	if len(i.bad) == 0 {
		return i.asked
	}
	out := i.asked
	out.Shards = make(map[string]nodeconfig.Shard, len(i.asked.Shards))
	for name, shard := range i.asked.Shards {
		var entries []nodeconfig.Entry
		for _, e := range shard.LoadBalancers {
			if e, ok := i.treat(e); ok {
				entries = append(entries, e)
			}
		}
		shard.LoadBalancers = entries
		out.Shards[name] = shard
	}
	return out
}

func (i *isolation) treat(e nodeconfig.Entry) (nodeconfig.Entry, bool) {
	switch i.bad[e.Origin.Key] {
	case hold:
		old, ok := i.running(e.Origin.Key)
		// An address that the new version lacks is being withdrawn; the old version must not keep it.
		if !ok || old.Group != e.Group ||
			slices.ContainsFunc(old.VIPs, func(a netip.Addr) bool { return !slices.Contains(e.VIPs, a) }) {
			return e, false
		}
		old.Revision = e.Revision
		old.Listeners = slices.DeleteFunc(slices.Clone(old.Listeners), func(l lb.Listener) bool {
			return i.needed(old, l)
		})
		return old, len(old.Listeners) > 0
	case leaveOut:
		return e, false
	default:
		return e, true
	}
}

// needed reports whether a good load balancer that is asked for has the socket of an old version's listener by now:
// what is held back must not push it off.
func (i *isolation) needed(old nodeconfig.Entry, l lb.Listener) bool {
	alone := old.LoadBalancer
	alone.Listeners = []lb.Listener{l}
	for _, shard := range i.asked.Shards {
		for _, e := range shard.LoadBalancers {
			if e.Origin.Key == old.Origin.Key || i.bad[e.Origin.Key] != 0 || !slices.ContainsFunc(e.Listeners, l.Clashes) ||
				!slices.ContainsFunc(e.VIPs, func(a netip.Addr) bool { return slices.Contains(old.VIPs, a) }) {
				continue
			}
			if _, collides := alone.Collides(e.LoadBalancer); collides || old.Share == "" || old.Share != e.Share {
				return true
			}
		}
	}
	return false
}

func (i *isolation) running(key lb.Key) (nodeconfig.Entry, bool) {
	if i.last == nil {
		return nodeconfig.Entry{}, false
	}
	for _, e := range i.last.LoadBalancers() {
		if e.Origin.Key == key {
			return e, true
		}
	}
	return nodeconfig.Entry{}, false
}
