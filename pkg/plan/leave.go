package plan

import (
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// withLeave returns a last good version as far as the owners of its Services still want it: the others have no
// endpoints any more. Without it a version that nobody can correct would go on sending traffic where it was revoked.
func withLeave(current *lb.LoadBalancer, leaves []lb.Key) *lb.LoadBalancer {
	if current == nil {
		return nil
	}
	revoked := func(t lb.Target) bool {
		_, has := slices.BinarySearchFunc(leaves, t.Service.Key, lb.Key.Compare)
		return t.Service.Namespace != current.Origin.Namespace && !has && len(t.Endpoints) > 0
	}
	if !slices.ContainsFunc(current.Listeners, func(l lb.Listener) bool {
		return slices.ContainsFunc(l.Routes, func(r lb.Route) bool { return slices.ContainsFunc(r.Targets(), revoked) })
	}) {
		return current
	}
	out := current.Clone()
	for _, l := range out.Listeners {
		for i := range l.Routes {
			r := &l.Routes[i]
			if revoked(r.Target) {
				r.Target.Endpoints = nil
			}
			for j := range r.Others {
				if revoked(r.Others[j]) {
					r.Others[j].Endpoints = nil
				}
			}
		}
	}
	return &out
}
