package view

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// fleetView is the documents, indexed for many questions. A nil one knows nothing.
type fleetView struct {
	docs    Documents
	placed  map[lb.Key]placed
	holders map[netip.Addr][]string
	reports map[lb.Key][]v1alpha1.Finding
	now     time.Time
}

func newFleetView(d *Documents, now time.Time) *fleetView {
	if d == nil {
		return nil
	}
	f := &fleetView{
		docs: *d, placed: d.entries(), now: now,
		holders: map[netip.Addr][]string{}, reports: map[lb.Key][]v1alpha1.Finding{},
	}
	for _, s := range d.Statuses {
		// What a silent node once held says nothing about now: it may be dead, and another may have taken over.
		if s.Stale(now) {
			continue
		}
		for _, a := range s.Holding {
			f.holders[a] = append(f.holders[a], s.Node)
		}
		for _, nf := range s.Findings {
			f.reports[nf.Key] = append(f.reports[nf.Key],
				v1alpha1.Finding{Finding: nf.Finding, Severity: nf.Severity(), Node: s.Node})
		}
	}
	return f
}

func (f *fleetView) entry(key lb.Key) (placed, bool) {
	if f == nil {
		return placed{}, false
	}
	e, ok := f.placed[key]
	return e, ok
}

// describe fills in the nodes' part of a status.
func (f *fleetView) describe(st *v1alpha1.Status, key lb.Key) {
	if f == nil {
		return
	}
	for i := range st.VIPs {
		if held := f.holders[st.VIPs[i].Address]; len(held) > 0 {
			st.VIPs[i].Holders = slices.Clone(held)
		}
	}
	entry, served := f.placed[key]
	if served {
		f.succession(st, entry)
		st.Conflicts = f.conflicts(entry)
	}
	for _, n := range f.docs.Config.Fleet.Nodes {
		node := f.node(n.Name, st.VIPs)
		if served {
			node.VRRP = f.vrrp(n.Name, entry.Group, st.VIPs)
			node.Current = f.runs(n.Name, entry)
		}
		if node.Current && !node.Stale {
			st.NodesCurrent++
		}
		st.Nodes = append(st.Nodes, node)
	}
	st.NodesTotal = len(st.Nodes)
	st.Findings = append(st.Findings, f.reports[key]...)
}

func (f *fleetView) node(name string, vips []v1alpha1.VIP) v1alpha1.Node {
	out := v1alpha1.Node{Name: name, Stale: true}
	s, ok := f.docs.Status(name)
	if !ok {
		return out
	}
	out.Reported = &metav1.Time{Time: s.Reported}
	out.Stale = s.Stale(f.now)
	out.Share, out.ShareReason = s.Share.State, s.Share.Reason
	if d := f.docs.Config.Orders[name].Drain; d != nil && out.ShareReason == "" {
		out.ShareReason = d.Reason
	}
	out.WantedGeneration, out.RunningGeneration = s.Wanted.Generation, s.Running.Generation
	if !s.Running.Since.IsZero() {
		out.RunningSince = &metav1.Time{Time: s.Running.Since}
	}
	for _, v := range vips {
		if slices.Contains(s.Holding, v.Address) {
			out.Holding = append(out.Holding, v.Address)
		}
	}
	return out
}

// runs reports whether a node runs an entry as it stands.
func (f *fleetView) runs(node string, e placed) bool {
	s, ok := f.docs.Status(node)
	return ok && s.Running.Shards[e.shard] >= e.Revision && s.Running.Generation != ""
}

// vrrp returns a group's states on a node, for the families that the load balancer uses.
func (f *fleetView) vrrp(node string, group int, vips []v1alpha1.VIP) []v1alpha1.VRRP {
	s, ok := f.docs.Status(node)
	if !ok {
		return nil
	}
	var out []v1alpha1.VRRP
	for _, g := range s.Groups {
		used := slices.ContainsFunc(vips, func(v v1alpha1.VIP) bool { return lb.FamilyOf(v.Address) == g.Family })
		if g.ID == group && used {
			out = append(out, v1alpha1.VRRP{
				Family: g.Family, State: g.State, Priority: f.priority(node, group), Since: metav1.Time{Time: g.Since},
			})
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.VRRP) int { return strings.Compare(string(a.Family), string(b.Family)) })
	return out
}

func (f *fleetView) priority(node string, group int) uint8 {
	for _, g := range f.docs.Config.Fleet.Groups {
		if g.ID != group {
			continue
		}
		i := slices.IndexFunc(g.Priorities, func(p nodeconfig.Priority) bool { return p.Node == node })
		if i >= 0 {
			return g.Priorities[i].Priority
		}
	}
	return 0
}
