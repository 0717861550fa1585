package octavia_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// posts counts the load balancers that Octavia has been asked to create. Its own faults (500) do not count: its
// database may end one of two creates at the same time in a deadlock.
func (s *site) posts() int {
	n := 0
	for _, c := range s.gate.Calls() {
		create := c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/loadbalancers")
		if create && c.Status != http.StatusInternalServerError {
			n++
		}
	}
	return n
}

// TestWeather breaks calls in all ways, while a load balancer is made and while it gets another node; in the end there is
// one, as it is wanted.
func TestWeather(t *testing.T) {
	t.Parallel()
	const create, members = "/loadbalancers", "/members"
	for name, faults := range map[string][]lab.Fault{
		"503 everywhere": {{Status: 503, Times: 4}},
		"429 with Retry-After": {{Method: "POST", Status: 429, RetryAfter: 1, Times: 1},
			{After: 3, Status: 429, RetryAfter: 1, Times: 2}},
		"500 to the create":          {{Method: "POST", Path: create, Status: 500, Times: 2}},
		"create done, 504":           {{Method: "POST", Path: create, Status: 504, Lost: true, Times: 1}},
		"create cut off":             {{Method: "POST", Path: create, Reset: true, Times: 2}},
		"create done, answer lost":   {{Method: "POST", Path: create, Reset: true, Lost: true, Times: 1}},
		"create hangs":               {{Method: "POST", Path: create, Hang: true, Times: 1}},
		"polls cut off":              {{Method: "GET", Path: create + "/", Reset: true, Times: 3}},
		"status hangs":               {{Method: "GET", Path: "/status", Hang: true, Times: 1}},
		"members done, answer lost":  {{Method: "PUT", Path: members, Reset: true, Lost: true, Times: 1}},
		"members 409":                {{Method: "PUT", Path: members, Status: 409, Times: 1}},
		"Keystone away at the login": {{Identity: true, Status: 503, Times: 2}},
		// Octavia itself refuses it, as one that has been revoked.
		"token revoked": {{Token: "gAAAAA-none", After: 2, Times: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *octavia.Options) { o.WriteLimit, o.ReadLimit = 20*time.Second, 20*time.Second })
			for _, f := range faults {
				s.gate.Break(f)
			}
			l := web("web", 1, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l}) // fails where the list is broken
			s.ready(l)
			l = web("web", 2, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l})
			s.ready(l)
			s.becomes(way{[]lb.LoadBalancer{l}, webTree(2, 80)})
		})
	}
}
