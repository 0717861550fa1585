package software

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// twoOwnersAfter is how long two nodes must hold an address before it is said: while it moves, the reports of the two
// arrive one after the other.
const twoOwnersAfter = 2 * time.Second

// wellAfter is how long an address must have had one owner for what was before to be forgotten.
const wellAfter = 10 * time.Second

// noOwnerAfter is how long nobody may hold an address: the time to notice a death, keepalived's preemption delay and
// the reports' way.
func noOwnerAfter(t nodeconfig.Timing) time.Duration {
	return 3*time.Second + 4*time.Duration(t.AdvertInterval)
}

// sighting is something about an address that must last to count.
type sighting struct {
	address netip.Addr
	kind    string
}

// sightings are since when each has been seen, by the controller's own clock: the nodes' clocks may differ. They are
// no memory that anything is planned from; a controller that starts anew merely says so a little later.
type sightings map[sighting]glimpse

type glimpse struct {
	since time.Time
	// earlier is how long it had lasted before, and well is since when it is no more; zero while it is. What comes and
	// goes adds up, until it has stayed away for wellAfter.
	earlier time.Duration
	well    time.Time
	// reported is when the report of each node concerned had come then.
	reported map[string]time.Time
}

// sight notes a sighting and returns it as it was first seen.
func (j *judge) sight(a netip.Addr, kind string, nodes []string) glimpse {
	s := sighting{address: a, kind: kind}
	g, ok := j.before[s]
	switch {
	case !ok:
		g = glimpse{since: j.now}
	case !g.well.IsZero():
		g = glimpse{since: j.now, earlier: g.earlier + g.well.Sub(g.since)}
	}
	reported := map[string]time.Time{}
	for _, n := range nodes {
		if t, known := g.reported[n]; known {
			reported[n] = t
		} else {
			reported[n] = j.snapshot.statuses[n].Reported
		}
	}
	g.reported = reported
	j.seen[s] = g
	return g
}

// lasted reports whether a sighting is that old; else the judgement expires when it will be.
func (j *judge) lasted(g glimpse, limit time.Duration) bool {
	if j.now.Sub(g.since)+g.earlier >= limit {
		return true
	}
	j.expire(g.since.Add(limit - g.earlier))
	return false
}

// well notes that exactly one node holds an address.
func (j *judge) well(a netip.Addr) {
	for _, kind := range []string{backend.DisputeNoOwner, backend.DisputeTwoOwners} {
		s := sighting{address: a, kind: kind}
		g, ok := j.before[s]
		if !ok {
			continue
		}
		if g.well.IsZero() {
			g.well = j.now
		}
		if j.now.Sub(g.well) < wellAfter {
			j.seen[s] = g
		}
	}
}

// ownership is who owns an address: a dispute with its finding, or else what is pending in words, empty when exactly
// one node holds it.
type ownership struct {
	dispute backend.Dispute
	finding lb.Finding
	pending string
	// moving says that it may be on its way between nodes: it has not lasted.
	moving bool
}

// owner judges who owns an address of an entry. Nobody is expected to hold what not all members run.
func (j *judge) owner(e entry, a netip.Addr, runs bool) ownership {
	holders := j.holders(e.Group, a)
	seen, foreign := j.strangers(a, holders)
	claimed := slices.IndexFunc(j.findings[e.Origin.Key], func(f lb.Finding) bool { return f.Code == lb.CodeForeignOwner })
	switch {
	case foreign.Other != "":
		return j.foreignOwner(a, foreign)
	case len(holders) == 0 && claimed >= 0: // A node asked before it announced the address, and left it alone.
		return ownership{
			dispute: backend.Dispute{Address: a, Kind: backend.DisputeForeignOwner, Cause: backend.CauseForeign},
			finding: j.findings[e.Origin.Key][claimed],
		}
	case len(holders)+len(seen) > 1:
		return j.twoOwners(e, a, holders, seen)
	case len(holders) == 1:
		j.well(a)
		return ownership{}
	}
	expected := runs && j.able() != ""
	if expected && j.lasted(j.sight(a, backend.DisputeNoOwner, nil), noOwnerAfter(j.options.Timing)) {
		return j.noOwner(e, a)
	}
	return ownership{pending: fmt.Sprintf("no node holds %s yet%s", a, j.unfit()), moving: expected}
}

// strangers returns the nodes that answer for an address without saying that they hold it, and the first foreign
// machine that does, as the nodes see it on the wire.
func (j *judge) strangers(a netip.Addr, holders []string) (nodes []string, foreign nodeconfig.Conflict) {
	for i := range j.live {
		for _, c := range j.live[i].Conflicts {
			if c.Kind != nodeconfig.ConflictOwner || c.Address != a || c.Other == "" {
				continue
			}
			node, ours := j.machines[strings.ToLower(c.Other)]
			switch {
			case !ours && foreign.Other == "":
				foreign = c
			case ours && !slices.Contains(holders, node) && !slices.Contains(nodes, node):
				nodes = append(nodes, node)
			}
		}
	}
	return nodes, foreign
}

func (j *judge) foreignOwner(a netip.Addr, c nodeconfig.Conflict) ownership {
	return ownership{
		dispute: backend.Dispute{Address: a, Kind: backend.DisputeForeignOwner, Cause: backend.CauseForeign},
		finding: lb.Finding{Code: lb.CodeForeignOwner, Message: fmt.Sprintf(
			"%s is answered by %s, which is no load-balancer node; take the address from that machine, or out of the pool",
			a, c.Other)},
	}
}

// twoOwners says that an address has two owners once it has lasted, and each that claims to hold it has said so again
// meanwhile or is seen on the wire: a node that has just died can't.
func (j *judge) twoOwners(e entry, a netip.Addr, holders, seen []string) ownership {
	g := j.sight(a, backend.DisputeTwoOwners, holders)
	all := slices.Concat(holders, seen)
	slices.Sort(all)
	words := fmt.Sprintf("%s is held by several nodes: %s", a, enumerate(all))
	alive := len(seen) > 0 || !slices.ContainsFunc(holders, func(n string) bool {
		return !j.snapshot.statuses[n].Reported.After(g.reported[n]) && !j.sees(a, n)
	})
	lasted := j.lasted(g, twoOwnersAfter)
	if lasted && !alive {
		j.expire(j.now.Add(twoOwnersAfter)) // A heartbeat alone asks for no judgement.
	}
	if !lasted || !alive {
		return ownership{pending: words, moving: true}
	}
	cause, why := j.cause(e.Group, lb.FamilyOf(a))
	if cause == backend.CauseUnknown {
		cause = backend.CausePartition
		why = "they do not hear each other (partition); see that VRRP, IP protocol 112, passes between them"
	}
	return ownership{
		dispute: backend.Dispute{Address: a, Kind: backend.DisputeTwoOwners, Cause: cause},
		finding: lb.Finding{Code: lb.CodeTwoOwners, Message: words + "; " + why},
	}
}

// sees reports whether another node sees this one answer for an address.
func (j *judge) sees(a netip.Addr, node string) bool {
	for _, s := range j.live {
		for _, c := range s.Conflicts {
			if c.Kind == nodeconfig.ConflictOwner && c.Address == a && j.machines[strings.ToLower(c.Other)] == node {
				return true
			}
		}
	}
	return false
}

func (j *judge) noOwner(e entry, a netip.Addr) ownership {
	cause, why := j.cause(e.Group, lb.FamilyOf(a))
	message := fmt.Sprintf("no node holds %s, although they could: %s", a, j.able())
	if cause != backend.CauseUnknown {
		message += "; " + why
	}
	return ownership{
		dispute: backend.Dispute{Address: a, Kind: backend.DisputeNoOwner, Cause: cause},
		finding: lb.Finding{Code: lb.CodeNoOwner, Message: message},
	}
}

// cause looks for what keeps the nodes of a group from agreeing.
func (j *judge) cause(group int, f lb.Family) (cause, words string) {
	cause = backend.CauseUnknown
	for _, s := range j.live {
		for _, c := range s.Conflicts {
			if c.Group != group || c.Family != f {
				continue
			}
			switch c.Kind {
			case nodeconfig.ConflictVRID:
				return backend.CauseForeignVRID, foreignVRID(c, j.vrid(group))
			case nodeconfig.ConflictSkew:
				if cause == backend.CauseUnknown {
					cause, words = backend.CauseSkew, j.skewed(s.Node, c)
				}
			}
		}
	}
	return cause, words
}

func foreignVRID(c nodeconfig.Conflict, vrid uint8) string {
	return fmt.Sprintf("%s, which is no load-balancer node, sends adverts with the virtual router identifier %d "+
		"(foreign VRID); change that router's or software.vridBase", c.Other, vrid)
}

// skewed names the node that hears and the one that is heard, sorted: both say the same of each other.
func (j *judge) skewed(node string, c nodeconfig.Conflict) string {
	both := []string{node, cmp.Or(c.Other, "another node")}
	for _, n := range j.snapshot.nodes {
		if slices.ContainsFunc(n.Addresses, func(a netip.Addr) bool { return a.String() == c.Other }) {
			both[1] = n.Name
		}
	}
	slices.Sort(both)
	return fmt.Sprintf("%s and %s run different configurations (skewed configuration); see whether both reach the API "+
		"server, and what they could not run", both[0], both[1])
}

func (j *judge) vrid(group int) uint8 {
	for _, g := range j.snapshot.fleet.Groups {
		if g.ID == group {
			return g.VRID
		}
	}
	return 0
}

// able names the members that could hold an address, as far as they say.
func (j *judge) able() string {
	var names []string
	for i := range j.members {
		s := &j.members[i]
		if s.Share.State != nodeconfig.ShareUnfit && s.Share.State != nodeconfig.ShareSilent {
			names = append(names, s.Node)
		}
	}
	return enumerate(names)
}

// unfit says why the members that could not hold an address can't; empty where some could.
func (j *judge) unfit() string {
	if j.able() != "" {
		return ""
	}
	for _, s := range j.members {
		if s.Share.Reason != "" {
			return "; node " + s.Node + ": " + s.Share.Reason
		}
	}
	return ""
}

// holders returns the live nodes that hold an address. A claim does not count where another node has become master of
// the group after it was made: a dead node's last report still claims everything until it is stale. Both times are the
// nodes' own; where their clocks differ, that is seen a little later, or not at all until then.
func (j *judge) holders(group int, vip netip.Addr) []string {
	var claims []*nodeconfig.Status
	for i := range j.live {
		if _, has := slices.BinarySearchFunc(j.live[i].Holding, vip, netip.Addr.Compare); has {
			claims = append(claims, &j.live[i])
		}
	}
	var names []string
	for _, s := range claims {
		superseded := slices.ContainsFunc(claims, func(o *nodeconfig.Status) bool {
			if o.Node == s.Node {
				return false
			}
			since, ok := masterSince(o, group, lb.FamilyOf(vip))
			return ok && since.After(j.snapshot.said[s.Node])
		})
		if !superseded {
			names = append(names, s.Node)
		}
	}
	return names
}

func masterSince(s *nodeconfig.Status, group int, f lb.Family) (time.Time, bool) {
	for _, g := range s.Groups {
		if g.ID == group && g.Family == f && g.State == nodeconfig.StateMaster {
			return g.Since, true
		}
	}
	return time.Time{}, false
}
