package lb

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// MaxReach is how many routes the hosts of a load balancer may lead to, fallbacks counted (see [LoadBalancer.Sprawls]):
// each takes every nginx about 11 KiB (measured with 1.22.1), in old workers as in new ones.
const MaxReach = 2000

// Hosts yields each host of an HTTP listener, sorted and with "" for all that have no route of their own, and where in
// Routes those are that its requests can take: its own and, for what these leave, those of the next less special
// wildcard and so on, at last those of every host.
func (l Listener) Hosts() iter.Seq2[string, []int] {
	own := map[string][]int{"": nil}
	for i, r := range l.Routes {
		own[r.Host] = append(own[r.Host], i)
	}
	return func(yield func(string, []int) bool) {
		for _, host := range slices.Sorted(maps.Keys(own)) {
			if !yield(host, l.reached(host, own)) {
				return
			}
		}
	}
}

// reached returns where the routes are that a host's requests can take.
func (l Listener) reached(host string, own map[string][]int) []int {
	all := slices.Clone(own[host])
	for h := host; h != ""; {
		h = Parent(h)
		before := len(all)
		for _, i := range own[h] {
			if !slices.ContainsFunc(all[:before], func(o int) bool { return l.Routes[o].leavesNothingOf(l.Routes[i]) }) {
				all = append(all, i)
			}
		}
	}
	return all
}

// Sprawls reports whether the hosts of the HTTP listeners lead to more than [MaxReach] routes altogether: a route of
// every host counts once for each host that leaves room for it, so 256 routes could be 16,384.
func (l LoadBalancer) Sprawls() bool {
	most := 0 // each host leads to each route
	for _, s := range l.Listeners {
		most += (len(s.Routes) + 1) * len(s.Routes)
	}
	if most <= MaxReach {
		return false
	}
	n := 0
	for _, s := range l.Listeners {
		if s.Protocol != HTTP {
			continue
		}
		for _, routes := range s.Hosts() {
			if n += len(routes); n > MaxReach {
				return true
			}
		}
	}
	return false
}

// Parent returns the wildcard that is the next less special host, "" behind the last.
func Parent(host string) string {
	_, rest, ok := strings.Cut(strings.TrimPrefix(host, "*."), ".")
	if !ok {
		return ""
	}
	return "*." + rest
}

// leavesNothingOf reports whether every request whose path f matches is matched by r already.
func (r Route) leavesNothingOf(f Route) bool {
	if r.Exact {
		return f.Exact && r.Path == f.Path
	}
	prefix, path := strings.TrimSuffix(r.Path, "/"), strings.TrimSuffix(f.Path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
