package octavia_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// webTree is what the database has of web("web", nodes, ports…).
func webTree(nodes int, ports ...int) (lines []string) {
	lines = append(lines, "lb default-web-loadbalancer ACTIVE")
	for _, p := range ports {
		lines = append(lines, fmt.Sprintf("listener tcp-%d TCP %d -1 ACTIVE tcp-%d", p, p, p),
			fmt.Sprintf("pool tcp-%d TCP ROUND_ROBIN ACTIVE", p), fmt.Sprintf("monitor tcp-%d TCP 5 3 ACTIVE", p))
		for n := range nodes {
			lines = append(lines, fmt.Sprintf("member tcp-%d 192.0.2.%d %d ACTIVE", p, 11+n, 30000+p))
		}
	}
	slices.Sort(lines)
	return lines
}

func (s *site) is(want []string) {
	s.t.Helper()
	if d := cmp.Diff(want, s.tree()); d != "" {
		s.t.Errorf("not as wanted: %s", d)
	}
}

// calls splits what has come to the gate: what costs, and the polls of one status.
func (s *site) calls() (costly []lab.Call, polls int) {
	for _, c := range s.gate.Calls() {
		switch {
		case c.Service != "load-balancer" || c.Path == "/":
		case isPoll(c):
			polls++
		default:
			costly = append(costly, c)
		}
	}
	return costly, polls
}

// isPoll reports whether a call is a GET of one load balancer.
func isPoll(c lab.Call) bool {
	const prefix = "/v2.0/lbaas/loadbalancers/"
	return c.Method == http.MethodGet && len(c.Path) == len(prefix)+36
}

func TestCreateUpdateDelete(t *testing.T) {
	s := newSite(t)
	s.apply(web("web", 2, 80))
	s.ready(web("web", 2, 80))
	s.is(webTree(2, 80))
	costly, polls := s.calls()
	t.Logf("create: %v and %d polls", costly, polls)
	if len(costly) > 4 {
		t.Errorf("%d calls", len(costly))
	}
	s.settled()
	state, err := s.State(t.Context())
	if err != nil || len(state.LoadBalancers) != 1 || len(state.LoadBalancers[0].VIPs) != 1 {
		t.Errorf("%+v, %v", state, err)
	}

	for _, step := range []struct {
		what  string
		nodes int
		ports []uint16
		limit int
	}{
		{"no change", 2, []uint16{80}, 1},
		{"a port more", 2, []uint16{80, 443}, 6},
		{"a node more", 3, []uint16{80, 443}, 5},
		{"all nodes gone", 0, []uint16{80, 443}, 5},
		{"a port less", 0, []uint16{443}, 5},
	} {
		t.Run(step.what, func(t *testing.T) {
			s.gate.Reset()
			want := web("web", step.nodes, step.ports...)
			s.apply(want)
			s.ready(want)
			ports := make([]int, 0, len(step.ports))
			for _, p := range step.ports {
				ports = append(ports, int(p))
			}
			s.until(step.what, func() bool { return cmp.Equal(webTree(step.nodes, ports...), s.tree()) })
			s.settled()
			costly, polls := s.calls()
			t.Logf("%v and %d polls", costly, polls)
			if len(costly) > step.limit {
				t.Errorf("%d calls", len(costly))
			}
		})
	}

	s.gate.Reset()
	s.apply()
	s.until("gone", func() bool { return s.Released(lb.Key{Namespace: "default", Name: "web"}) })
	if n := s.count(""); n != 0 {
		t.Errorf("%d are left", n)
	}
	costly, polls = s.calls()
	t.Logf("delete: %v and %d polls", costly, polls)
	if len(costly) > 3 {
		t.Errorf("%d calls", len(costly))
	}
}

// settled waits until the backend makes no more calls.
func (s *site) settled() {
	s.t.Helper()
	s.until("quiet", func() bool { return s.Settled() })
}

// TestParallel makes ten at once, and then a pass without news, which is one call for all of them.
func TestParallel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var all []lb.LoadBalancer
	for i := range 10 {
		all = append(all, web(fmt.Sprintf("web%d", i), 2, 80))
	}
	s.apply(all...)
	s.ready(all...)
	s.settled()
	if s.posts() != 10 {
		t.Errorf("%d creates", s.posts())
	}
	s.gate.Reset()
	s.apply(all...)
	s.settled()
	if costly, polls := s.calls(); len(costly)+polls != 1 {
		t.Errorf("a pass without news made %v and %d polls", costly, polls)
	}
}
