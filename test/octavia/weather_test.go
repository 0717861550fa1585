package octavia_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// posts counts the load balancers that Octavia has been asked to create.
func (s *site) posts() int {
	n := 0
	for _, c := range s.gate.Calls() {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/loadbalancers") {
			n++
		}
	}
	return n
}

// finding waits until the load balancer has a finding of that code.
func (s *site) finding(l lb.LoadBalancer, code lb.Code) {
	s.t.Helper()
	s.until(string(code), func() bool {
		return slices.ContainsFunc(s.healths()[l.Origin.Key].Findings, func(f lb.Finding) bool { return f.Code == code })
	})
	s.t.Log(s.healths()[l.Origin.Key].Findings)
}

// TestStockWorker creates with a worker that forgets the children, as real providers do, and finds them all made.
func TestStockWorker(t *testing.T) {
	if err := cloud.StartWorker(t.Context(), lab.WorkerStock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.StartWorker(context.Background(), lab.WorkerCorrected); err != nil {
			t.Error(err)
		}
	})
	s := newSite(t)
	s.apply(web("web", 2, 80))
	s.ready(web("web", 2, 80))
	s.is(webTree(2, 80))
	if s.posts() != 1 {
		t.Errorf("%d load balancers were created", s.posts())
	}
}

// TestWorkerKilled leaves a load balancer in PENDING_CREATE for ever. It is reported, and goes once an operator has
// freed it; nobody else waits for it.
func TestWorkerKilled(t *testing.T) {
	s := newSite(t, func(o *octavia.Options) { o.StuckAfter = 3 * time.Second })
	if err := cloud.StopWorker(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	web1, other := web("web", 1, 80), web("other", 1, 80)
	s.apply(web1)
	s.finding(web1, lb.CodeCloudStuck)
	// What was in the queue happens when the worker is back, so the killed worker's loss is forced.
	if _, err := cloud.SQL(t.Context(), "update load_balancer l set provisioning_status='ERROR' where "+s.mine()); err != nil {
		t.Fatal(err)
	}
	if err := cloud.StartWorker(t.Context(), lab.WorkerCorrected); err != nil {
		t.Fatal(err)
	}
	s.apply(web1, other)
	s.ready(other)
}

// TestErrors forces each status on a load balancer that has served, and finds it reported, not deleted, and mended
// when the operator is done.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	set := func(column, status string) {
		t.Helper()
		_, err := cloud.SQL(t.Context(), "update load_balancer l set "+column+"='"+status+"' where "+s.mine())
		if err != nil {
			t.Fatal(err)
		}
		s.apply(want)
	}
	set("operating_status", "DEGRADED")
	s.finding(want, lb.CodeCloudDegraded)
	if !s.healths()[want.Origin.Key].Ready {
		t.Error("a degraded load balancer is not ready")
	}
	set("operating_status", "ONLINE")
	s.until("no finding", func() bool { return len(s.healths()[want.Origin.Key].Findings) == 0 })
	s.gate.Reset()
	set("provisioning_status", "ERROR")
	s.finding(want, lb.CodeCloudError)
	set("provisioning_status", "ACTIVE")
	s.ready(want)
	if slices.ContainsFunc(s.gate.Calls(), lab.Call.Write) {
		t.Errorf("it was changed: %v", s.gate.Calls())
	}
}

// TestErrorWhileCreated finds a load balancer that was never ready in ERROR: it is made again.
func TestErrorWhileCreated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var once sync.Once
	// The first look after the create finds the ERROR.
	s.gate.Break(lab.Fault{Method: http.MethodGet, Path: "/loadbalancers/", Call: func() {
		once.Do(func() {
			s.until("active", func() bool { return s.count(" and l.provisioning_status='ACTIVE'") == 1 })
			if _, err := cloud.SQL(context.Background(),
				"update load_balancer l set provisioning_status='ERROR' where "+s.mine()); err != nil {
				t.Error(err)
			}
		})
	}})
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.is(webTree(1, 80))
	if s.posts() != 2 {
		t.Errorf("%d creates, want 2", s.posts())
	}
}

// TestRoles logs in as users who must not, or cannot.
func TestRoles(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]lb.Code{"nolb": lb.CodeCloudDenied, "observer": lb.CodeCloudDenied} {
		t.Run(user, func(t *testing.T) {
			s := newSite(t, func(o *octavia.Options) { o.Credentials.Cloud = user })
			l := web("web", 1, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l}) // the list fails as well
			s.finding(l, want)
			s.options.Credentials.Cloud = "demo"
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		s := newSite(t)
		good := s.options.Credentials
		s.options.Credentials = octavia.Credentials{Getenv: func(name string) string {
			return map[string]string{"OS_AUTH_URL": s.gate.AuthURL(), "OS_USERNAME": "demo", "OS_PASSWORD": "wrong",
				"OS_TENANT_NAME": "demo", "OS_REGION_NAME": "RegionOne"}[name]
		}}
		s.restart()
		l := web("web", 1, 80)
		if err := s.Apply(t.Context(), []lb.LoadBalancer{l}); err == nil || !strings.Contains(err.Error(), "cannot log in") {
			t.Errorf("%v", err)
		}
		s.until("a reason", func() bool { return strings.Contains(s.healths()[l.Origin.Key].Reason, "cannot log in") })
		s.options.Credentials = good
	})
}

// TestVariables logs in with the variables of 2016.
func TestVariables(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options.Credentials = octavia.Credentials{Getenv: func(name string) string {
		return map[string]string{"OS_AUTH_URL": strings.TrimSuffix(s.gate.AuthURL(), "/v3") + "/v2.0",
			"OS_USERNAME": "demo", "OS_PASSWORD": lab.Password, "OS_TENANT_NAME": "demo"}[name]
	}}
	s.restart()
	s.apply(web("web", 1, 80))
	s.ready(web("web", 1, 80))
}

// TestQuota reaches the quota midway: nothing is left behind, and what fits is made when there is room.
func TestQuota(t *testing.T) {
	s := newSite(t, func(o *octavia.Options) { o.Credentials.Cloud = "other" })
	project := s.query("select project_id from quotas limit 1")
	t.Log(project)
	quota := func(members string) {
		t.Helper()
		for _, p := range s.query("select distinct project_id from quotas") {
			if _, err := cloud.SQL(t.Context(), "update quotas set member="+members+" where project_id='"+p+"'"); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := web("first", 1, 80)
	s.apply(first)
	s.ready(first) // Octavia makes the row of the quotas with the first load balancer
	quota("(select in_use_member from quotas limit 1)")
	for _, p := range s.query("select distinct project_id from quotas") {
		if _, err := cloud.SQL(t.Context(), "update quotas set member=in_use_member+1 where project_id='"+p+"'"); err != nil {
			t.Fatal(err)
		}
	}
	second := web("second", 2, 80)
	s.apply(first, second)
	s.finding(second, lb.CodeCloudQuota)
	if n := s.count(""); n != 1 {
		t.Errorf("%d load balancers", n)
	}
	quota("null")
	second = web("second", 2, 80, 81) // any change tries at once
	s.apply(first, second)
	s.ready(first, second)
}

// TestWeather breaks calls in all ways; in the end there is one load balancer, as it is wanted.
func TestWeather(t *testing.T) {
	t.Parallel()
	const create, members = "/loadbalancers", "/members"
	for name, faults := range map[string][]lab.Fault{
		"503 everywhere":             {{Status: 503, Times: 4}},
		"429 with Retry-After":       {{Method: "POST", Status: 429, RetryAfter: 1, Times: 1}, {After: 3, Status: 429, RetryAfter: 1, Times: 2}},
		"500 to the create":          {{Method: "POST", Path: create, Status: 500, Times: 2}},
		"create cut off":             {{Method: "POST", Path: create, Reset: true, Times: 2}},
		"create done, answer lost":   {{Method: "POST", Path: create, Reset: true, Lost: true, Times: 1}},
		"create hangs":               {{Method: "POST", Path: create, Hang: true, Times: 1}},
		"polls cut off":              {{Method: "GET", Path: create + "/", Reset: true, Times: 3}},
		"status hangs":               {{Method: "GET", Path: "/status", Hang: true, Times: 1}},
		"members done, answer lost":  {{Method: "PUT", Path: members, Reset: true, Lost: true, Times: 1}},
		"members 409":                {{Method: "PUT", Path: members, Status: 409, Times: 1}},
		"token expired":              {{Status: 401, After: 2, Times: 1}},
		"Keystone away at the login": {{Identity: true, Status: 503, Times: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *octavia.Options) { o.WriteLimit, o.ReadLimit = 40*time.Second, 30*time.Second })
			for _, f := range faults {
				s.gate.Break(f)
			}
			l := web("web", 1, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l})
			s.ready(l)
			l = web("web", 2, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l})
			s.until("two members", func() bool { return cmp.Equal(webTree(2, 80), s.tree()) })
			s.ready(l)
		})
	}
}
