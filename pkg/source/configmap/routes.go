package configmap

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxRoutes and maxTargets are how many routes an object may have, and how many targets a route.
const (
	maxRoutes  = 256
	maxTargets = 16
)

// maxWeight is the largest weight of a target.
const maxWeight = 1000

// A routeWish is a line of routes.
type routeWish struct {
	host, path string
	exact      bool
	rewrite    string
	// port is the only one of the load balancer's that the route is for; 0 means every one that it can be for.
	port    uint16
	targets []targetWish
	text    string
}

// A targetWish is a Service that a route leads to.
type targetWish struct {
	key lb.Key
	// port is a port of the Service by number or name; empty means its only one.
	port   string
	weight uint16
}

// plain reports whether the route is one that any protocol can have.
func (w routeWish) plain() bool { return w.host == "" && w.path == "" && w.rewrite == "" }

// readRoutes reads a route from each line.
func (r *reading) readRoutes(v string) {
	for line := range strings.Lines(v) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		w, ok := r.readRoute(strings.Join(fields, " "), fields)
		if !ok {
			r.routes = nil
			return
		}
		r.routes = append(r.routes, w)
	}
	if len(r.routes) > maxRoutes {
		r.badf(KeyRoutes, "%d routes; give at most %d", len(r.routes), maxRoutes)
		r.routes = nil
	}
}

// readRoute reads "host=… path=… path-type=Exact port=… service=… weight=… service=…"; false goes with a finding.
func (r *reading) readRoute(text string, fields []string) (w routeWish, ok bool) {
	w.text = text
	seen := map[string]bool{}
	for _, f := range fields {
		name, value, found := strings.Cut(f, "=")
		if seen[name] && name == "weight" {
			r.badf(KeyRoutes, "%s: %s; give a Service one weight", quote(text), quote(f))
			return w, false
		}
		if repeated := seen[name] && name != "service"; !found || value == "" || repeated {
			r.badf(KeyRoutes, "%s: %s; give name=value, each name but service once", quote(text), quote(f))
			return w, false
		}
		seen[name] = true
		if name == "service" {
			seen["weight"] = false
		}
		if !r.readRouteField(&w, name, value) {
			return w, false
		}
	}
	return w, r.wholeRoute(w)
}

// wholeRoute finds what is missing of a route, or too much; false goes with a finding.
func (r *reading) wholeRoute(w routeWish) bool {
	text := w.text
	switch n := len(w.targets); {
	case n == 0:
		r.badf(KeyRoutes, "%s leads nowhere; add service=NAME", quote(text))
	case n > maxTargets:
		r.badf(KeyRoutes, "%s has %d Services; give at most %d", quote(text), n, maxTargets)
	case w.exact && w.path == "":
		r.badf(KeyRoutes, "%s: path-type needs a path", quote(text))
	case allZero(w.targets):
		r.badf(KeyRoutes, "%s: all weights are 0; give one Service at least 1", quote(text))
	default:
		return true
	}
	return false
}

func allZero(targets []targetWish) bool {
	for _, t := range targets {
		if t.weight > 0 {
			return false
		}
	}
	return true
}

// readRouteField reads one of a route's fields.
func (r *reading) readRouteField(w *routeWish, name, value string) bool {
	before := len(r.findings)
	switch name {
	case "host":
		w.host = r.hostName(KeyRoutes, value)
	case "path":
		w.path = r.cleanPath(KeyRoutes, value)
	case "rewrite":
		w.rewrite = r.cleanPath(KeyRoutes, value)
	case "path-type":
		w.exact = r.pathType(KeyRoutes, value)
	case "port":
		w.port = r.port(KeyRoutes, value)
	case "service":
		r.readTarget(w, value)
	case "weight":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > maxWeight || len(w.targets) == 0 {
			r.badf(KeyRoutes, "weight %s is not a number from 0 to %d after its service", quote(value), maxWeight)
			break
		}
		w.targets[len(w.targets)-1].weight = uint16(n)
	default:
		r.badf(KeyRoutes, "%s: a route has host, path, path-type, rewrite, port, service and weight, not %s", quote(w.text),
			quote(name))
	}
	return len(r.findings) == before
}

// readTarget reads "[namespace/]service[:port]".
func (r *reading) readTarget(w *routeWish, value string) {
	t := targetWish{key: lb.Key{Namespace: r.origin.Namespace}, weight: 1}
	rest, port, named := strings.Cut(value, ":")
	if namespace, name, foreign := strings.Cut(rest, "/"); foreign {
		t.key.Namespace, rest = namespace, name
	}
	t.key.Name = rest
	if len(validation.IsDNS1123Label(t.key.Name)) > 0 || len(validation.IsDNS1123Label(t.key.Namespace)) > 0 {
		r.badf(KeyRoutes, "%s is not a Service; give NAME, NAME:PORT or NAMESPACE/NAME:PORT", quote(value))
		return
	}
	if named {
		t.port, _ = r.portName(KeyRoutes, port)
	}
	w.targets = append(w.targets, t)
}

// A route is a line of routes whose Services are found; without a cluster they are nil.
type route struct {
	routeWish
	services []*corev1.Service
	// used says that a port has it.
	used bool
}

// findRoutes finds the Services of all routes; false goes with a finding.
func (r *reading) findRoutes(services Services) ([]*route, bool) {
	all := true
	out := make([]*route, 0, len(r.routes))
	for _, w := range r.routes {
		found := &route{routeWish: w}
		for _, t := range w.targets {
			svc, ok := r.lookUp(services, t.key, places{KeyRoutes, KeyRoutes})
			all = all && (ok || services == nil)
			found.services = append(found.services, svc)
		}
		out = append(out, found)
	}
	return out, all
}

// bind makes a route of a port of the load balancer; false goes with a finding.
func (r *reading) bind(w *route, p lb.Protocol) (lb.Route, bool) {
	w.used = true
	out := lb.Route{Host: w.host, Path: w.path, Exact: w.exact, Rewrite: w.rewrite}
	var targets []lb.Target
	for i, t := range w.targets {
		target, _, ok := r.target(w.services[i], t.key, portWish{target: t.port, protocol: p, place: KeyRoutes})
		if !ok {
			return out, false
		}
		if len(w.targets) > 1 {
			target.Weight = t.weight
		}
		targets = append(targets, target)
	}
	if out.Target = targets[0]; len(targets) > 1 {
		out.Others = targets[1:]
	}
	return out, true
}

// bindRoutes returns what a port does that can tell requests or connections apart.
func (r *reading) bindRoutes(primary *lb.Target, routes []*route, p portWish) ([]lb.Route, bool) {
	var out []lb.Route
	if primary != nil {
		own := lb.Route{Host: r.host, Path: r.path, Exact: r.exact, Rewrite: r.rewrite, Target: *primary}
		if p.protocol == lb.Passthrough {
			own.Path, own.Exact, own.Rewrite = "", false, ""
		}
		out = append(out, own)
	}
	for _, w := range routes {
		blind := p.protocol == lb.Passthrough && w.path+w.rewrite != ""
		if w.port != 0 && w.port != p.bind || w.port == 0 && blind {
			continue
		}
		if blind {
			r.addf(lb.CodeConflictingKeys, KeyRoutes, "port %d of protocol %s sees no paths; leave path and rewrite out",
				p.bind, p.protocol)
			return nil, false
		}
		bound, ok := r.bind(w, p.protocol)
		if !ok {
			return nil, false
		}
		out = append(out, bound)
	}
	return out, r.distinct(out, p.bind)
}

// distinct finds requests that two routes of a port are for.
func (r *reading) distinct(routes []lb.Route, port uint16) bool {
	type match struct {
		host, path string
		exact      bool
	}
	seen := map[match]bool{}
	for _, w := range routes {
		m := match{w.Host, w.Path, w.Exact}
		if !w.Exact {
			m.path = strings.TrimSuffix(m.path, "/")
		}
		if seen[m] {
			r.addf(lb.CodeConflictingKeys, KeyRoutes, "port %d has two routes for host %s and path %s; remove one", port,
				quote(w.Host), quote(w.Path))
			return false
		}
		seen[m] = true
	}
	return true
}

// only returns the one route of a port that cannot tell requests apart, nil where it is that of target-service-name.
// False goes with a finding.
func (r *reading) only(routes []*route, p portWish) (*route, bool) {
	var found *route
	for _, w := range routes {
		anybody := w.port == 0 && w.plain() && r.service == ""
		if own := w.port != 0 && w.port == p.bind; !own && !anybody || p.protocol == lb.HTTP || p.protocol == lb.Passthrough {
			continue
		}
		if found != nil || !w.plain() {
			r.addf(lb.CodeConflictingKeys, KeyRoutes, "port %d of protocol %s takes one route, without host and path", p.bind,
				p.protocol)
			return nil, false
		}
		found = w
	}
	return found, true
}

// leftOver finds routes that no port has. Without a cluster there may be a port whose number is not known.
func (r *reading) leftOver(routes []*route, listeners []lb.Listener) {
	unknown := slices.ContainsFunc(listeners, func(l lb.Listener) bool { return l.Port == 0 })
	for _, w := range routes {
		if !w.used && !(unknown && w.port > 0) {
			r.addf(lb.CodeConflictingKeys, KeyRoutes, "%s is for no port of the load balancer; routes need a port of "+
				"protocol %s", quote(w.text), either([]lb.Protocol{lb.HTTP, lb.Passthrough}))
		}
	}
}
