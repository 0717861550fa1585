package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// succession fills in who would take each virtual IP over.
func (f *fleetView) succession(st *v1alpha1.Status, e placed) {
	for i := range st.VIPs {
		if v := &st.VIPs[i]; len(v.Holders) > 0 {
			family := lb.FamilyOf(v.Address)
			v.Successor = cmp.Or(f.docs.Successor(e.Group, family, f.now, v.Holders...),
				f.docs.LastResort(e.Group, family, f.now, v.Holders...))
		}
	}
}

// conflicts returns what the nodes report against one owner for the addresses of an entry. Silent nodes do not count.
func (f *fleetView) conflicts(e placed) []v1alpha1.Conflict {
	var out []v1alpha1.Conflict
	for _, s := range f.docs.Statuses {
		if s.Stale(f.now) {
			continue
		}
		for _, c := range s.Conflicts {
			own := slices.Contains(e.VIPs, c.Address)
			group := !c.Address.IsValid() && c.Group == e.Group &&
				slices.ContainsFunc(e.VIPs, func(a netip.Addr) bool { return lb.FamilyOf(a) == c.Family })
			if own || group {
				out = append(out, v1alpha1.Conflict{
					Node: s.Node, Kind: c.Kind, Address: c.Address, Other: f.who(c.Other), Since: metav1.Time{Time: c.Since},
				})
			}
		}
	}
	return out
}

// who names the node that has a hardware address, or an address of its own, where one has.
func (f *fleetView) who(other string) string {
	for _, n := range f.docs.Config.Fleet.Nodes {
		if slices.ContainsFunc(n.Addresses, func(a netip.Addr) bool { return a.String() == other }) {
			return n.Name
		}
	}
	for _, s := range f.docs.Statuses {
		if s.Hardware != "" && s.Hardware == other {
			return s.Node
		}
	}
	return other
}

// ConflictWords says in half a sentence what a conflict is.
func ConflictWords(c v1alpha1.Conflict) string {
	other := c.Other
	if other == "" {
		other = "somebody else"
	}
	switch c.Kind {
	case nodeconfig.ConflictOwner:
		return fmt.Sprintf("%s answers for %s too (seen by %s)", other, c.Address, c.Node)
	case nodeconfig.ConflictSkew:
		return fmt.Sprintf("%s runs another configuration than %s: its adverts contradict it", other, c.Node)
	case nodeconfig.ConflictVRID:
		return fmt.Sprintf("%s sends adverts with the same virtual router ID (seen by %s)", other, c.Node)
	}
	return fmt.Sprintf("%s (seen by %s)", c.Kind, c.Node)
}
