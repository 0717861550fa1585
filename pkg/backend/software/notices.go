package software

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// waitsAfter is how long a node may be on its way into the fleet or out of it before people hear of it.
const waitsAfter = 10 * time.Second

// The reasons of notices.
const (
	noticeJoinWaits  = "JoinWaits"
	noticeLeaveWaits = "LeaveWaits"
	noticeVRID       = "ForeignVRID"
	noticeSkew       = "SkewedConfiguration"
)

// nodes returns the nodes and what their people should know.
func (j *judge) nodes() []backend.Node {
	out := make([]backend.Node, 0, len(j.snapshot.nodes))
	for _, n := range j.snapshot.nodes {
		b := backend.Node{Name: n.Name, Phase: backend.PhaseMember, Notices: j.disturbances(n)}
		switch n.Phase {
		case nodeconfig.PhaseJoining:
			b.Phase = backend.PhaseJoining
		case nodeconfig.PhaseLeaving:
			b.Phase = backend.PhaseLeaving
		}
		if w, ok := j.waits(n); ok {
			b.Notices = append(b.Notices, w)
		}
		out = append(out, b)
	}
	return out
}

// waits says what a node has been waiting for too long.
func (j *judge) waits(n nodeconfig.Node) (backend.Notice, bool) {
	if n.Phase == "" || indexNode(j.snapshot.fleet.Nodes, n.Name) < 0 {
		return backend.Notice{}, false
	}
	due := time.UnixMilli(n.Since).Add(waitsAfter)
	if j.now.Before(due) {
		j.expire(due)
		return backend.Notice{}, false
	}
	awaited := j.snapshot.fleet.Awaited(n, j.snapshot.statuses, j.now)
	switch {
	case len(awaited) == 0:
		return backend.Notice{}, false
	case n.Phase == nodeconfig.PhaseLeaving:
		return backend.Notice{Reason: noticeLeaveWaits, Message: n.Name +
			" leaves, and is not known to have let go of its addresses; see its lb-daemon, or shut the machine down"}, true
	default:
		return backend.Notice{Reason: noticeJoinWaits, Message: fmt.Sprintf(
			"%s joins once these nodes have confirmed that they know it: %s; see their lb-daemons, or remove the label "+
				"from those that never come back", n.Name, enumerate(awaited))}, true
	}
}

// disturbances are what a node hears from others in the VRRP groups.
func (j *judge) disturbances(n nodeconfig.Node) []backend.Notice {
	i := slices.IndexFunc(j.live, func(s nodeconfig.Status) bool { return s.Node == n.Name })
	if i < 0 {
		return nil
	}
	var out []backend.Notice
	for _, c := range j.live[i].Conflicts {
		var notice backend.Notice
		switch c.Kind {
		case nodeconfig.ConflictVRID:
			notice = backend.Notice{Reason: noticeVRID, Message: foreignVRID(c, j.vrid(c.Group))}
		case nodeconfig.ConflictSkew:
			notice = backend.Notice{Reason: noticeSkew, Message: j.skewed(n.Name, c)}
		default:
			continue
		}
		if !slices.Contains(out, notice) {
			out = append(out, notice)
		}
	}
	return out
}
