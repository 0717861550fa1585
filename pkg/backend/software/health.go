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

// judge says how load balancers fare at one moment.
type judge struct {
	live     []nodeconfig.Status // of the fleet's nodes, sorted by node
	members  int
	selector string // of the nodes, for messages
	findings map[lb.Key][]lb.Finding
	expires  time.Time
}

func newJudge(s snapshot, selector string, now time.Time) *judge {
	j := &judge{members: len(s.members), selector: selector, findings: map[lb.Key][]lb.Finding{}}
	for _, n := range s.members {
		status, ok := s.statuses[n.Name]
		if !ok || status.Stale(now) {
			continue
		}
		j.live = append(j.live, status)
		end := status.Reported.Add(nodeconfig.StaleAfter + time.Millisecond)
		if j.expires.IsZero() || end.Before(j.expires) {
			j.expires = end
		}
		for _, f := range status.Findings {
			f.Message = fmt.Sprintf("node %s: %s", status.Node, f.Message)
			j.findings[f.Key] = append(j.findings[f.Key], f.Finding)
		}
	}
	return j
}

// health judges one entry: it is ready when every live node runs it as it stands and exactly one of them holds each
// of its addresses.
func (j *judge) health(e entry) backend.Health {
	h := backend.Health{Findings: slices.Clone(j.findings[e.Origin.Key])}
	if len(j.live) == 0 {
		f := lb.Finding{Code: lb.CodeNoNodes}
		f.Message = "no node is there for load balancing; label some with " + j.selector
		if j.members > 0 {
			f.Message = fmt.Sprintf("none of %d load-balancer nodes reports; see that the lb-daemon runs on them", j.members)
		}
		h.Findings = append(h.Findings, f)
		h.Reason = f.Message
		return h
	}
	h.Reason = j.lacking(e)
	if h.Reason == "" {
		h.Reason = j.unheld(e)
	}
	h.Ready = h.Reason == ""
	return h
}

// lacking says which live nodes do not run the entry yet; empty when all do.
func (j *judge) lacking(e entry) string {
	var behind []string
	for _, s := range j.live {
		if s.Running.Shards[e.shard] < e.Revision {
			behind = append(behind, s.Node)
		}
	}
	if len(behind) == 0 {
		return ""
	}
	reason := fmt.Sprintf("%d of %d nodes run it", len(j.live)-len(behind), len(j.live))
	if len(behind) < len(j.live) {
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

// unheld says which address is not held by exactly one node; empty when all are.
func (j *judge) unheld(e entry) string {
	for _, a := range e.VIPs {
		switch h := j.holders(e.Group, a); len(h) {
		case 0:
			return fmt.Sprintf("no node holds %s yet", a)
		case 1:
		default:
			return fmt.Sprintf("%s is held by several nodes: %s", a, enumerate(h))
		}
	}
	return ""
}

// holders returns the live nodes that hold an address. A claim does not count where another node has become master of
// the group after it was made: a dead node's last report still claims everything until it is stale.
func (j *judge) holders(group int, vip netip.Addr) []string {
	var claims []nodeconfig.Status
	for _, s := range j.live {
		if slices.Contains(s.Holding, vip) {
			claims = append(claims, s)
		}
	}
	var names []string
	for i, s := range claims {
		superseded := slices.ContainsFunc(claims, func(o nodeconfig.Status) bool {
			since, ok := masterSince(o, group, lb.FamilyOf(vip))
			return o.Node != claims[i].Node && ok && since.After(claims[i].Reported)
		})
		if !superseded {
			names = append(names, s.Node)
		}
	}
	return names
}

func masterSince(s nodeconfig.Status, group int, f lb.Family) (time.Time, bool) {
	for _, g := range s.Groups {
		if g.ID == group && g.Family == f && g.State == nodeconfig.StateMaster {
			return g.Since, true
		}
	}
	return time.Time{}, false
}
