package plan

import (
	"net/netip"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// Input is everything that a plan depends on.
type Input struct {
	// Wishes are what the users' objects ask for, in any order, at most one for each key. Should there be more, the
	// oldest counts.
	Wishes []lb.Wish
	// Current are the last good versions, as the backend serves them.
	Current []lb.LoadBalancer
	// Withdrawn are the addresses that no load balancer has any more but a node may still hold.
	Withdrawn []Hold
	// Pools are in the order in which addresses are to be taken from them.
	Pools []ipam.Pool
	// Capabilities are the backend's.
	Capabilities lb.Capabilities
}

// Hold keeps an address from everybody but the load balancer that last had it.
type Hold struct {
	Key     lb.Key
	Address netip.Addr
	// Nodes are those that may still hold the address, sorted, as far as they are known.
	Nodes []string
}

// Output is what should be served, and what to tell the users.
type Output struct {
	// LoadBalancers are sorted by key, each with its virtual IPs.
	LoadBalancers []lb.LoadBalancer
	// Outcomes are sorted by key, one for each wish.
	Outcomes []Outcome
}

// Outcome is what became of a wish.
type Outcome struct {
	Origin lb.Origin
	// VIPs are the addresses that the load balancer has, also while its last good version is served.
	VIPs     []netip.Addr
	Findings []lb.Finding
	// Stale says that the last good version is served in place of the wish, which has errors.
	Stale bool
}

// Make plans. It does not change its input, and the order of wishes, current load balancers and holds means nothing.
func Make(in Input) Output {
	p := newPlanner(in)
	// By class, then seniority.
	var waiting []*candidate
	for _, class := range []class{recorded, requested, plain} {
		for _, c := range p.candidates {
			if c.class == class && !c.failed() && !p.grant(c, false) {
				waiting = append(waiting, c)
			}
		}
	}
	for _, c := range waiting {
		p.grant(c, true)
	}
	return p.output()
}
