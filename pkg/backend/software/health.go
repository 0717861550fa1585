package software

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// judge says how load balancers and nodes fare at one moment.
type judge struct {
	snapshot snapshot
	options  Options
	now      time.Time
	live     []nodeconfig.Status // of the fleet's nodes, sorted by node; what they hold is sorted
	members  []nodeconfig.Status // those of them that are full members
	machines map[string]string   // nodes by hardware address
	findings map[lb.Key][]lb.Finding
	// before are the sightings of the last time, seen those of this time.
	before, seen sightings
	expires      time.Time
}

func newJudge(s snapshot, o Options, before sightings) *judge {
	j := &judge{
		snapshot: s, options: o, now: s.now, machines: map[string]string{}, findings: map[lb.Key][]lb.Finding{},
		before: before, seen: sightings{},
	}
	for _, status := range s.statuses {
		if status.Hardware != "" {
			j.machines[strings.ToLower(status.Hardware)] = status.Node
		}
	}
	for _, n := range s.nodes {
		status, ok := s.statuses[n.Name]
		if !ok || status.Stale(j.now) || s.doubtful[n.Name] {
			continue
		}
		status.Holding = inOrder(status.Holding)
		j.live = append(j.live, status)
		if n.Phase == "" {
			j.members = append(j.members, status)
		}
		j.expire(status.Reported.Add(nodeconfig.StaleAfter + time.Millisecond))
		for _, f := range status.Findings {
			f.Message = fmt.Sprintf("node %s: %s", status.Node, f.Message)
			j.findings[f.Key] = append(j.findings[f.Key], f.Finding)
		}
	}
	j.expire(s.fleet.PhaseChange(s.statuses, j.now))
	return j
}

// inOrder returns addresses in order, in which they are in reports: but that is another program's word.
func inOrder(as []netip.Addr) []netip.Addr {
	if !slices.IsSortedFunc(as, netip.Addr.Compare) {
		as = slices.Clone(as)
		slices.SortFunc(as, netip.Addr.Compare)
	}
	return as
}

// expire notes that the judgement may change at that time; zero is never.
func (j *judge) expire(t time.Time) {
	if !t.IsZero() && (j.expires.IsZero() || t.Before(j.expires)) {
		j.expires = t
	}
}

// health judges one entry: it is ready when every live member runs it as it stands and exactly one node holds each of
// its addresses.
func (j *judge) health(e entry) backend.Health {
	h := backend.Health{Findings: slices.Clone(j.findings[e.Origin.Key])}
	if len(j.live) == 0 {
		f := lb.Finding{Code: lb.CodeNoNodes}
		f.Message = "no node is there for load balancing; label some with " + j.options.NodeSelector
		if n := len(j.snapshot.nodes); n > 0 {
			f.Message = fmt.Sprintf("none of %d load-balancer nodes reports; see that the lb-daemon runs on them", n)
		}
		h.Findings = append(h.Findings, f)
		h.Reason = f.Message
		return h
	}
	h.Reason = j.lacking(e)
	runs := h.Reason == ""
	h.Moving = runs
	for _, a := range e.VIPs {
		o := j.owner(e, a, runs)
		disputed := o.dispute.Kind != ""
		if disputed {
			h.Disputes = append(h.Disputes, o.dispute)
			if !slices.Contains(h.Findings, o.finding) {
				h.Findings = append(h.Findings, o.finding)
			}
			o.pending = o.finding.String()
		}
		// What stands against the owner says more than that a node is behind, which may be why.
		if o.pending != "" && (h.Reason == "" || disputed) {
			h.Reason = o.pending
		}
		h.Moving = h.Moving && (o.moving || o.pending == "")
	}
	h.Ready = h.Reason == ""
	h.Moving = h.Moving && !h.Ready
	return h
}

// lacking says which live members do not run the entry yet; empty when all do. Who joins carries nothing yet, and who
// leaves nothing any more.
func (j *judge) lacking(e entry) string {
	if len(j.members) == 0 {
		return fmt.Sprintf("no node can carry it yet: %s is on its way in or out", j.live[0].Node)
	}
	var behind []string
	for i := range j.members {
		s := &j.members[i]
		if s.Running.Shards[e.shard] < e.Revision {
			behind = append(behind, s.Node)
		}
	}
	if len(behind) == 0 {
		return ""
	}
	reason := fmt.Sprintf("%d of %d nodes run it", len(j.members)-len(behind), len(j.members))
	if len(behind) < len(j.members) {
		reason += ", not yet " + enumerate(behind)
	}
	// A finding about no load balancer is about the node itself; it is the likely cause.
	if own := j.findings[lb.Key{}]; len(own) > 0 {
		reason += "; " + own[0].Message
	}
	return reason
}

// enumerate names up to three.
func enumerate(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}
