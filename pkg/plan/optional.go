package plan

import "github.com/kubectl-lb/kubectl-lb/pkg/lb"

// feature is something that not every backend can do.
type feature struct {
	asked func(lb.Options) bool
	can   bool
	field string
	// what follows "the backend cannot".
	what string
}

// optional lists what a listener's options can ask for.
func optional(at lb.Fields, can lb.Capabilities) []feature {
	return []feature{
		{func(o lb.Options) bool { return o.Timeouts.Idle > 0 }, can.IdleTimeout, at.Timeouts, "end idle connections"},
		{func(o lb.Options) bool { return o.Responses > 0 }, can.Responses, at.Responses, "count UDP responses"},
	}
}
