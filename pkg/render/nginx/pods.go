package nginx

import (
	"slices"
	"strconv"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// Upstreams of pods have more to them than those of cluster IPs: a way to choose, a memory of who failed that all
// workers have in common, and servers of which one that fails is left out for a while.

// A pod is left out for podFailTime when so many connections to it failed within that time. One failure is not enough:
// a single request that makes pods hang up would, tried again on each, take all of them out.
const (
	podMaxFails = 3
	podFailTime = "10s"
)

// maxHashWeight bounds the weights of a consistent hash, of which each takes 160 points of a ring.
const maxHashWeight = 100

// upstream adds an upstream with its servers.
func upstream(t *render.Text, s lb.Listener, name string, servers []string) {
	t.Block("upstream "+name, func() {
		balancing(t, s, name, len(servers))
		for _, line := range servers {
			t.Line(line)
		}
		if s.Protocol == lb.HTTP {
			upstreamKeepalive(t, s, len(servers))
		}
	})
}

// balancing adds how a pod is chosen. A zone is what makes the count of connections, the turn and the failures those of
// all workers; a server needs less than 1 KiB of it.
func balancing(t *render.Text, s lb.Listener, name string, servers int) {
	u := s.Options.Upstream
	if !u.Endpoints {
		return
	}
	t.Line("zone", name, strconv.Itoa(64+servers)+"k;")
	switch key := hashKey(u); {
	case key != "":
		t.Line("hash", key, "consistent;")
	case u.Method == lb.LeastConnections:
		t.Line("least_conn;")
	}
}

// hashKey returns what decides on a pod, empty where it is no hash.
func hashKey(u lb.Upstream) string {
	switch {
	case u.Affinity == lb.Cookie:
		return "$lb_affinity"
	case u.Affinity == lb.ClientIP, u.Method == lb.SourceIPHash:
		return "$remote_addr"
	case u.Method == lb.RequestHash:
		return "$host$request_uri"
	}
	return ""
}

// upstreamKeepalive adds how long connections are kept. Idle ones end after 4 s, before the 5 s of Node.js and others,
// lest a request meet a closing server.
func upstreamKeepalive(t *render.Text, s lb.Listener, servers int) {
	if s.Options.Upstream.Endpoints {
		t.Line("keepalive", strconv.Itoa(min(max(16, 2*servers), 256))+";")
	} else {
		// A new connection costs every request a round trip, but an old one stays with the pod that kube-proxy chose for
		// it: it ends after 30 s, and the next finds the pods of then.
		t.Line("keepalive 16;")
		t.Line("keepalive_time 30s;")
	}
	t.Line("keepalive_timeout 4s;")
}

// podServers returns the server lines of an upstream of pods. Another try is for another pod, so each is there once.
func podServers(s lb.Listener, targets []lb.Target) []string {
	failure := " max_fails=" + strconv.Itoa(podMaxFails) + " fail_timeout=" + podFailTime
	if s.Protocol == lb.UDP {
		// Whoever answers no datagram may have been sent garbage.
		failure = " max_fails=0"
	}
	weights := podWeights(targets, hashKey(s.Options.Upstream) != "")
	var lines []string
	for i, target := range targets {
		weight := ""
		if len(targets) > 1 {
			if target.Weight == 0 {
				continue
			}
			weight = " weight=" + strconv.Itoa(weights[i])
		}
		for _, e := range target.Endpoints {
			lines = append(lines, "server "+e.String()+weight+failure+";")
		}
	}
	return lines
}

// podWeights returns the weight of each target's pods: its share of the traffic is that of all of them together.
func podWeights(targets []lb.Target, hash bool) []int {
	out := make([]int, len(targets))
	for i, t := range targets {
		out[i] = int(t.Weight) * maxEndpoints / max(1, len(t.Endpoints))
	}
	if !hash {
		return out
	}
	if most := slices.Max(out); most > maxHashWeight {
		for i := range out {
			out[i] = max(1, out[i]*maxHashWeight/most)
		}
	}
	return out
}

// affinityCookie adds the cookie of those that are known by one: its value, new where a client has none, and the header
// that gives it to him. What a client sends is hashed and goes nowhere else.
func affinityCookie(t *render.Text, trusting bool) {
	const given = "$cookie_" + lb.AffinityCookie
	t.Block("map "+given+" $lb_affinity", func() {
		t.Line(`""`, "$request_id;")
		t.Line("default", given+";")
	})
	set := lb.AffinityCookie + "=$request_id; Path=/; HttpOnly; SameSite=Lax"
	cookie := func(scheme, variable string) {
		t.Block(`map "`+scheme+":"+given+`" `+variable, func() {
			t.Line(`"https:"`, quote(set+"; Secure")+";")
			t.Line(`"http:"`, quote(set)+";")
			t.Line(`default "";`)
		})
	}
	cookie("$scheme", "$lb_affinity_cookie")
	if trusting {
		cookie("$lb_forwarded_proto", "$lb_affinity_cookie_trusted")
	}
}

// giveCookie adds the header that gives a client its cookie.
func giveCookie(t *render.Text, s lb.Listener) {
	if s.Options.Upstream.Affinity != lb.Cookie || s.Options.HTTP.RedirectTo > 0 {
		return
	}
	variable := "$lb_affinity_cookie"
	if trusts(s) {
		variable += "_trusted"
	}
	t.Line("add_header Set-Cookie", variable, "always;")
}

// checkUpstream returns what nginx would not take of how traffic is spread.
func checkUpstream(s lb.Listener) (lb.Finding, bool) {
	u, web := s.Options.Upstream, s.Protocol == lb.HTTP
	place := field(s) + ".upstream"
	switch {
	case u.Method != "" && !slices.Contains(lb.Methods(), u.Method):
		return finding(lb.CodeBadValue, place, "unknown method %q", string(u.Method)), true
	case u.Affinity != "" && !slices.Contains(lb.Affinities(), u.Affinity):
		return finding(lb.CodeBadValue, place, "unknown affinity %q", string(u.Affinity)), true
	case !u.Endpoints && (u.Method != "" || u.Affinity != ""):
		return finding(lb.CodeConflictingKeys, place, "a cluster IP has one way to choose pods"), true
	case u.Method == lb.RequestHash && !web, u.Affinity == lb.Cookie && (!web || s.Options.HTTP.GRPC):
		return finding(lb.CodeBackendCannot, place, "that is for requests of HTTP"), true
	}
	return lb.Finding{}, false
}
