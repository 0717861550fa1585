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
	shares := newCloudShares(wishes, current)
	out := Output{Outcomes: make([]Outcome, 0, len(wishes))}
	for i := range wishes {
		w := &wishes[i]
		findings := slices.Clone(w.Findings)
		if !w.Failed() {
			findings = append(findings, cloudFindings(w, in)...)
		}
		sharer := shares.candidates[w.LoadBalancer.Origin.Key]
		if sharer != nil {
			findings = append(findings, sharer.findings...)
		}
		l, last := w.LoadBalancer.Clone(), current[w.LoadBalancer.Origin.Key]
		l.Cloud.Recorded = slices.Clone(w.Address.Recorded)
		o := Outcome{Origin: l.Origin, Findings: findings}
		if last != nil {
			o.VIPs = slices.Clone(last.VIPs)
		}
		switch {
		case !lb.HasErrors(findings):
			l.VIPs = slices.Clone(w.Address.Requested)
			l.Cloud.IPv4 = slices.Contains(w.Address.Families, lb.IPv4)
			l.Cloud.IPv6 = slices.Contains(w.Address.Families, lb.IPv6)
			shares.adapt(&l)
			l.Normalize()
		case shares.leaves(sharer):
			// Nothing is left of it, and nothing of it is stale.
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
