package configmap

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The keys that say how traffic is spread over pods.
const (
	KeyUpstream = "upstream"
	KeyMethod   = "lb-method"
	KeyAffinity = "session-affinity"
)

// The values of upstream, and the one of several keys that asks for nothing.
const (
	upstreamService   = "service"
	upstreamEndpoints = "endpoints"
	none              = "none"
)

// endpointRetries is how many more pods are tried unless the user says otherwise: one that has just died must cost
// nobody his request, and more than a few say that something else is wrong.
const endpointRetries = 2

// upstreamKeys returns the keys that say how traffic is spread over pods.
func upstreamKeys() []Key {
	const next = "0.1"
	return []Key{
		{Name: KeyUpstream, Takes: "`service` or `endpoints`", Default: "`service`", Since: next,
			Meaning: "Where connections go. `service`: to the Service's cluster IP, and kube-proxy or its like chooses the " +
				"pod; pods come and go without a change here. `endpoints`: to the pods themselves, those that are ready, or " +
				"if none is, those that end but still serve. It takes a reload of nginx where pods come or go, and allows " +
				"headless Services, the two keys below, and retries on another pod. A pod that refuses connections three times " +
				"in 10 s is left out for 10 s.",
			read: (*reading).readUpstream},
		{Name: KeyMethod, Takes: "`round-robin`, `least-connections`, `source-ip-hash` or `request-hash`",
			Default: "`round-robin`", Since: next,
			Meaning: "With upstream endpoints, which pod is next: each in turn, the one with the fewest connections of the " +
				"node, or always the same for a client address, or for an HTTP request's host, path and query. The hashes " +
				"are consistent: where one of ten pods goes, nine tenths stay where they were.",
			read: (*reading).readMethod},
		{Name: KeyAffinity, Takes: "`none`, `client-ip` or `cookie`", Default: "`none`", Since: next,
			Meaning: "With upstream endpoints, keep a client with its pod, known by its address or, for HTTP, by a cookie " +
				"`" + lb.AffinityCookie + "` that the load balancer sets (a random value; HttpOnly, SameSite=Lax, and Secure " +
				"over HTTPS). It takes the place of lb-method. When pods come or go, as few clients change theirs as can be.",
			read: (*reading).readAffinity},
	}
}

func (r *reading) readUpstream(v string) {
	switch strings.ToLower(v) {
	case upstreamEndpoints:
		r.options.Upstream.Endpoints = true
	case upstreamService:
	default:
		r.badf(KeyUpstream, "%s is neither %s nor %s", quote(v), upstreamService, upstreamEndpoints)
	}
}

func (r *reading) readMethod(v string) {
	m := lb.Method(strings.ToLower(v))
	if !slices.Contains(lb.Methods(), m) {
		r.badf(KeyMethod, "%s is not a method; give %s", quote(v), either(lb.Methods()))
		return
	}
	r.options.Upstream.Method = m
}

func (r *reading) readAffinity(v string) {
	a := lb.Affinity(strings.ToLower(v))
	switch {
	case a == none:
	case slices.Contains(lb.Affinities(), a):
		r.options.Upstream.Affinity = a
	default:
		r.badf(KeyAffinity, "%s is not an affinity; give %s", quote(v), either(append([]lb.Affinity{none},
			lb.Affinities()...)))
	}
}

// spreadTwice finds contradictions about how traffic is spread.
func (r *reading) spreadTwice() {
	u := r.options.Upstream
	const why = "the pods are kube-proxy's to choose, and all that it sees of clients is a node's address; add %s: %s"
	if !u.Endpoints && !r.faulty(KeyUpstream) {
		if u.Affinity != "" {
			r.addf(lb.CodeConflictingKeys, KeyAffinity, why, KeyUpstream, upstreamEndpoints)
		}
		if u.Method != "" {
			r.addf(lb.CodeConflictingKeys, KeyMethod, why, KeyUpstream, upstreamEndpoints)
		}
	}
	alike := u.Affinity == lb.ClientIP && u.Method == lb.SourceIPHash
	if u.Affinity != "" && u.Method != "" && !alike {
		r.addf(lb.CodeConflictingKeys, KeyMethod, "%s says which pod is next; remove one of the two", KeyAffinity)
	}
	if u.Affinity == lb.Cookie && r.options.HTTP.GRPC {
		r.addf(lb.CodeConflictingKeys, KeyAffinity, "clients of GRPC keep no cookies; give %s", lb.ClientIP)
	}
	// As the model has it, so that the same is the same.
	if u.Method == lb.RoundRobin || alike {
		r.options.Upstream.Method = ""
	}
}

// upstreamRules are the rules about how traffic is spread.
func upstreamRules(u lb.Upstream) []rule {
	web := []lb.Protocol{lb.HTTP}
	return []rule{
		{KeyMethod, u.Method == lb.RequestHash, web, func(o *lb.Options) {
			if o.Upstream.Method == lb.RequestHash {
				o.Upstream.Method = ""
			}
		}},
		{KeyAffinity, u.Affinity == lb.Cookie, web, func(o *lb.Options) {
			if o.Upstream.Affinity == lb.Cookie {
				o.Upstream.Affinity = ""
			}
		}},
	}
}

// sticky warns of a Service whose own affinity takes the load balancer's nodes for the clients.
func (r *reading) sticky(svc *corev1.Service, key lb.Key, place string) {
	if svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP && !r.options.Upstream.Endpoints {
		r.addf(lb.CodeServiceSticky, place, "Service %s has sessionAffinity ClientIP, which takes a node for the client and "+
			"sends all its traffic to one pod; take it out, or set %s: %s and %s: %s", key, KeyUpstream, upstreamEndpoints,
			KeyAffinity, lb.ClientIP)
	}
}
