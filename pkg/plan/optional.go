package plan

import (
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// feature is something of an options' or a route's that not every backend can do.
type feature[T any] struct {
	asked func(T) bool
	can   bool
	field string
	// what follows "the backend cannot".
	what string
}

// optional lists what a listener's options can ask for.
func optional(at lb.Fields, can lb.Capabilities) []feature[lb.Options] {
	type options = lb.Options
	return []feature[options]{
		{func(o options) bool { return o.Timeouts.Idle > 0 }, can.IdleTimeout, at.Timeouts, "end idle connections"},
		{func(o options) bool { return o.Responses > 0 }, can.Responses, at.Responses, "count UDP responses"},
	}
}

// ofRoutes lists what a route can ask for.
func ofRoutes(at lb.Fields, can lb.Capabilities) []feature[lb.Route] {
	return []feature[lb.Route]{
		{func(r lb.Route) bool { return r.Host != "" }, can.Hosts, at.Host, "route by host"},
		{func(r lb.Route) bool { return r.Path != "" }, can.Paths, at.Path, "route by path"},
		{func(r lb.Route) bool { return strings.HasPrefix(r.Host, "*") }, can.Wildcards, at.Host,
			"route by wildcard host"},
		{func(r lb.Route) bool { return r.Exact }, can.ExactPaths, at.PathType, "tell a path from what is below it"},
		{func(r lb.Route) bool { return len(r.Others) > 0 }, can.Weights, at.Routes, "split traffic between Services"},
	}
}
