package plan

import (
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// CloudInput is everything that a plan for a cloud depends on. A cloud has its own addresses, and knows no pools.
type CloudInput struct {
	// Wishes are what the users' objects ask for, in any order, at most one for each key.
	Wishes []lb.Wish
	// Current are the last good versions, as far as the backend remembers them.
	Current []lb.LoadBalancer
	// Capabilities are the backend's.
	Capabilities lb.Capabilities
	// Check, where set, says what else the backend cannot do of a wish.
	Check func(lb.Wish) []lb.Finding
}

// MakeForCloud plans what a cloud shall make. The load balancer of a wish with errors is its last good version; where
// that is not known it has no listeners, which stands for what the cloud has of it already, and for nothing where it
// has none. An outcome has the addresses that are known.
func MakeForCloud(in CloudInput) Output {
	current := make(map[lb.Key]*lb.LoadBalancer, len(in.Current))
	for i := range in.Current {
		current[in.Current[i].Origin.Key] = &in.Current[i]
	}
	wishes := slices.Clone(in.Wishes)
	slices.SortFunc(wishes, func(a, b lb.Wish) int {
		return a.LoadBalancer.Origin.Key.Compare(b.LoadBalancer.Origin.Key)
	})
	wrong := make(map[lb.Key][]lb.Finding, len(wishes))
	for i := range wishes {
		if w := &wishes[i]; !w.Failed() {
			wrong[w.LoadBalancer.Origin.Key] = cloudFindings(w, in)
		}
	}
	shares := newCloudShares(wishes, current, wrong)
	out := Output{Outcomes: make([]Outcome, 0, len(wishes))}
	for i := range wishes {
		w := &wishes[i]
		key := w.LoadBalancer.Origin.Key
		sharer, last := shares.candidates[key], current[key]
		findings := slices.Concat(w.Findings, wrong[key])
		if sharer != nil {
			findings = slices.Concat(w.Findings, sharer.findings)
		}
		o := Outcome{Origin: w.LoadBalancer.Origin, Findings: findings}
		if last != nil {
			o.VIPs = slices.Clone(last.VIPs)
		}
		l := w.LoadBalancer.Clone()
		l.Cloud.Recorded = slices.Clone(w.Address.Recorded)
		switch {
		case !lb.HasErrors(findings):
			l = wished(w)
			shares.adapt(&l)
			l.Normalize()
		case shares.leaves(sharer):
			// Nothing of it stays, and so nothing of it is stale.
			o.VIPs = nil
			out.Outcomes = append(out.Outcomes, o)
			continue
		case last != nil:
			l, o.Stale = last.Clone(), true
			shares.adapt(&l)
		default:
			l.Listeners, o.Stale = nil, true
		}
		out.LoadBalancers = append(out.LoadBalancers, l)
		out.Outcomes = append(out.Outcomes, o)
	}
	return out
}

// cloudFindings says what a cloud cannot do of a wish.
func cloudFindings(w *lb.Wish, in CloudInput) []lb.Finding {
	fs := unsupported(w, w.Address.Families, in.Capabilities)
	if w.Address.Pool != "" {
		fs = append(fs, lb.Finding{Code: lb.CodeBackendCannot, Field: w.Fields.Pool,
			Message: "addresses of Octavia are of a subnet, not of a pool; remove the key, or use vip-subnet"})
	}
	if in.Check != nil {
		fs = append(fs, in.Check(*w)...)
	}
	return fs
}
