package octavia_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// variables are credentials of a shell's environment.
func variables(pairs map[string]string) octavia.Credentials {
	return octavia.Credentials{Getenv: func(name string) string { return pairs[name] }}
}

// TestRoles logs in as users whose roles do not suffice.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"nolb", "observer"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *octavia.Options) { o.Credentials.Cloud = user })
			l := web("web", 1, 80)
			_ = s.Apply(t.Context(), []lb.LoadBalancer{l}) // for one of them the list fails as well
			if text := s.finding(l, lb.CodeCloudDenied); !strings.Contains(text, "load-balancer_member") {
				t.Error(text)
			}
			s.options.Credentials.Cloud = "demo"
		})
	}
}

// TestWrongPassword says so, and takes a corrected one over without a restart.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	login := map[string]string{"OS_AUTH_URL": s.gate.AuthURL(), "OS_USERNAME": "demo", "OS_PASSWORD": "wrong",
		"OS_PROJECT_NAME": "demo", "OS_REGION_NAME": "RegionOne"}
	password := make(chan string, 1)
	password <- "wrong"
	s.options.Credentials = octavia.Credentials{Getenv: func(name string) string {
		if name != "OS_PASSWORD" {
			return login[name]
		}
		p := <-password
		password <- p
		return p
	}}
	s.restart()
	l := web("web", 1, 80)
	if err := s.Apply(t.Context(), []lb.LoadBalancer{l}); err == nil || !strings.Contains(err.Error(), "cannot log in") {
		t.Errorf("%v", err)
	}
	s.until("a reason", func() bool { return strings.Contains(s.healths()[l.Origin.Key].Reason, "cannot log in") })
	<-password
	password <- lab.Password
	s.apply(l)
	s.ready(l)
}

// TestVariables logs in with the variables of 2016.
func TestVariables(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options.Credentials = variables(map[string]string{
		"OS_AUTH_URL": strings.TrimSuffix(s.gate.AuthURL(), "/v3") + "/v2.0",
		"OS_USERNAME": "demo", "OS_PASSWORD": lab.Password, "OS_TENANT_NAME": "demo"})
	s.restart()
	s.apply(web("web", 1, 80))
	s.ready(web("web", 1, 80))
}

// TestApplicationCredential logs in with an application credential, which has its project and roles in itself.
func TestApplicationCredential(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, secret, err := login(t, s.gate, "demo").ApplicationCredential(t.Context(), s.options.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	s.options.Credentials = variables(map[string]string{"OS_AUTH_URL": s.gate.AuthURL(),
		"OS_APPLICATION_CREDENTIAL_ID": id, "OS_APPLICATION_CREDENTIAL_SECRET": secret})
	s.restart()
	s.apply(web("web", 1, 80))
	s.ready(web("web", 1, 80))
}

// TestTokenExpires goes on after the token's life.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	if cloud.TokenLife() > limit {
		t.Fatalf("tokens live for %s; start the cloud with --token-life 4m", cloud.TokenLife())
	}
	s := newSite(t)
	s.apply(web("web", 1, 80))
	s.ready(web("web", 1, 80))
	s.settled()
	issued := time.Now() // or before
	s.until("the token's life is over", func() bool { return time.Since(issued) > cloud.TokenLife()+time.Second })
	want := web("web", 2, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	s.is(webTree(2, 80))
	calls := s.gate.Calls()
	refused := slices.IndexFunc(calls, func(c lab.Call) bool { return c.Status == http.StatusUnauthorized })
	if refused < 0 || !slices.ContainsFunc(calls[refused:], func(c lab.Call) bool { return c.Service == "identity" }) {
		t.Errorf("no token was refused and renewed: %v", calls)
	}
}
