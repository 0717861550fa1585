package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// withheldBy is how much lower the priorities of withheld groups are: the bands do not overlap (nodeconfig, Group).
const withheldBy = 127

// drained starts the problem of a node that is well, but was asked to carry nothing.
const drained = "is drained"

// inDrill is the problem of a node that fails on purpose.
const inDrill = "is in a drill"

// Problem says in half a sentence why a node could not take addresses over at that time, such as "is drained"; empty
// when it could.
func (d Documents) Problem(node string, now time.Time) string {
	i := slices.IndexFunc(d.Config.Fleet.Nodes, func(n nodeconfig.Node) bool { return n.Name == node })
	if i < 0 {
		return "is no load-balancer node"
	}
	switch d.Config.Fleet.Nodes[i].Phase {
	case nodeconfig.PhaseJoining:
		return "is joining"
	case nodeconfig.PhaseLeaving:
		return "is leaving"
	}
	s, ok := d.Status(node)
	switch {
	case !ok:
		return "has never reported"
	case s.Stale(now):
		return "has been silent for " + duration.HumanDuration(now.Sub(s.Reported))
	case s.Running.Generation == "":
		return "runs no configuration yet"
	case d.Config.Orders[node].Drain != nil:
		return drained
	case d.Drilled(node, now):
		return inDrill
	}
	return shareProblem(s.Share)
}

// Drilled reports whether a drill is under way on a node, or may be any moment: one that was ordered and of which the
// node has not reported the end. Orders that nobody has taken back stay behind; a node is done with each after
// [nodeconfig.MaxDrill], whatever it says.
func (d Documents) Drilled(node string, now time.Time) bool {
	s, ok := d.Status(node)
	if ok && s.Drill != nil && s.Drill.State == nodeconfig.DrillRunning && !s.Stale(now) {
		return true
	}
	order := d.Config.Orders[node].Drill
	if order == nil || now.Sub(order.Requested) > nodeconfig.MaxDrill+nodeconfig.StaleAfter {
		return false
	}
	return !ok || s.Drill == nil || s.Drill.ID != order.ID
}

// shareProblem is Problem's part of a node's own word. A node that waits for its hold time would take over, if need be.
func shareProblem(s nodeconfig.Share) string {
	because := ""
	if s.Reason != "" {
		because = ": " + s.Reason
	}
	switch s.State {
	case nodeconfig.ShareDraining, nodeconfig.ShareDrained:
		return drained + because
	case nodeconfig.ShareUnfit:
		return "is unfit" + because
	case nodeconfig.ShareSilent:
		return "announces nothing" + because
	}
	return ""
}

// Standbys returns the nodes that would take over, sorted by name, and for each other node except the one named why it
// would not.
func (d Documents) Standbys(except string, now time.Time) (fit []string, problems []string) {
	for _, n := range d.Config.Fleet.Nodes {
		switch problem := d.Problem(n.Name, now); {
		case n.Name == except:
		case problem != "":
			problems = append(problems, n.Name+" "+problem)
		default:
			fit = append(fit, n.Name)
		}
	}
	return fit, problems
}

// Successor returns the node that would carry a group if the nodes named were gone: the fit one of the highest
// priority, as VRRP would choose it. Empty means that there is none.
func (d Documents) Successor(group int, family lb.Family, now time.Time, gone ...string) string {
	return d.successor(group, family, gone, func(node string) bool { return d.Problem(node, now) == "" })
}

// LastResort is Successor where no fit node is left: drained nodes serve rather than nobody.
func (d Documents) LastResort(group int, family lb.Family, now time.Time, gone ...string) string {
	return d.successor(group, family, gone, func(node string) bool {
		return strings.HasPrefix(d.Problem(node, now), drained)
	})
}

func (d Documents) successor(group int, family lb.Family, gone []string, can func(node string) bool) string {
	i := slices.IndexFunc(d.Config.Fleet.Groups, func(g nodeconfig.Group) bool { return g.ID == group })
	if i < 0 {
		return ""
	}
	best, highest := "", 0
	for _, p := range d.Config.Fleet.Groups[i].Priorities {
		if slices.Contains(gone, p.Node) || !can(p.Node) || !d.speaks(p.Node, family) {
			continue
		}
		priority := int(p.Priority)
		if d.withholds(p.Node, group, family) {
			priority -= withheldBy
		}
		if best == "" || priority > highest {
			best, highest = p.Node, priority
		}
	}
	return best
}

// speaks reports whether a node has an address of the family, without which it takes no part.
func (d Documents) speaks(node string, family lb.Family) bool {
	for _, n := range d.Config.Fleet.Nodes {
		if n.Name == node {
			_, ok := n.Address(family)
			return ok
		}
	}
	return false
}

func (d Documents) withholds(node string, group int, family lb.Family) bool {
	s, _ := d.Status(node)
	return slices.ContainsFunc(s.Groups, func(g nodeconfig.GroupStatus) bool {
		return g.ID == group && g.Family == family && g.Withheld
	})
}

// Placed is a virtual IP, what it belongs to, and who has it.
type Placed struct {
	Address netip.Addr
	Key     lb.Key
	Group   int
	// Listeners are those of the load balancer.
	Listeners []lb.Listener
	// Holders are the nodes that report it, sorted; those that are silent do not count.
	Holders []string
}

// Placed returns every virtual IP that is served, sorted by address.
func (d Documents) Placed(now time.Time) []Placed {
	holders := newFleetView(&d, now).holders
	var out []Placed
	for _, e := range d.Config.LoadBalancers() {
		for _, a := range e.VIPs {
			out = append(out, Placed{
				Address: a, Key: e.Origin.Key, Group: e.Group, Listeners: e.Listeners, Holders: holders[a],
			})
		}
	}
	slices.SortFunc(out, func(a, b Placed) int {
		return cmp.Or(a.Address.Compare(b.Address), a.Key.Compare(b.Key))
	})
	return out
}

// Homes returns the home of every group, by ID.
func (d Documents) Homes() map[int]string {
	homes := map[int]string{}
	for _, g := range d.Config.Fleet.Groups {
		homes[g.ID] = g.Home
	}
	return homes
}

// Astray says of the first virtual IP that is not on the node where its group is at home, or on more, where it is; it
// passes over the groups of nodes that can't carry any. Empty means that all are at home. With a node named, only that
// node's groups count.
func (d Documents) Astray(node string, now time.Time) string {
	homes := d.Homes()
	for _, p := range d.Placed(now) {
		home := homes[p.Group]
		if node != "" && home != node || d.Problem(home, now) != "" || !d.speaks(home, lb.FamilyOf(p.Address)) {
			continue
		}
		if !slices.Equal(p.Holders, []string{home}) {
			return fmt.Sprintf("%s is on %s, not yet on %s", p.Address, someNodes(p.Holders), home)
		}
	}
	return ""
}

func someNodes(names []string) string {
	if len(names) == 0 {
		return "no node"
	}
	return strings.Join(names, " and ")
}
