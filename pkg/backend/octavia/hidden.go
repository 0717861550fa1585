package octavia

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// membersOf returns the members of a tree's pools by the pool's name, over those that were there before.
func membersOf(t Tree, before ...map[string][]Member) map[string][]Member {
	all := make(map[string][]Member, len(t.Pools))
	for _, m := range before {
		maps.Copy(all, m)
	}
	for _, p := range t.Pools {
		all[p.Name] = p.Members
	}
	return all
}

// unfill lets pools look empty, so that they are filled anew, where a member has another subnet or is checked at
// another port than this process has told: what Octavia says of members leaves both out.
func (i *item) unfill(want Tree) {
	for _, p := range want.Pools {
		changed := slices.ContainsFunc(p.Members, func(m Member) bool {
			return slices.ContainsFunc(i.filled[p.Name], func(o Member) bool { return m.compare(o) == 0 && m != o })
		})
		if seen := i.seen.pool(p.Name); changed && seen != nil {
			seen.Members = nil
		}
	}
}

// misplaced says that a load balancer has another address than it is to have: Octavia gives one only while it is made.
func (s *stepper) misplaced() []lb.Finding {
	if s.model == nil {
		return nil
	}
	have := s.work.addresses()
	texts := make([]string, 0, len(have))
	for _, a := range have {
		texts = append(texts, a.String())
	}
	for _, a := range s.model.VIPs {
		if len(have) > 0 && !slices.Contains(have, a) {
			return []lb.Finding{{Code: lb.CodeCloudRefused, Message: fmt.Sprintf("load balancer %s cannot get the address %s, "+
				"since Octavia gives addresses only to new ones; ask for %s again, or delete the object and create it anew",
				s.work.id, a, strings.Join(texts, ","))}}
		}
	}
	return nil
}
