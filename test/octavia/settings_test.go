package octavia_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// shop is an HTTP load balancer with hosts and paths.
func shop(paths ...string) lb.LoadBalancer {
	l := web("shop", 0)
	routes := []lb.Route{{Target: target(1, 30080)}}
	for i, p := range paths {
		host, path, _ := strings.Cut(p, "/")
		routes = append(routes, lb.Route{Host: host, Path: "/" + path, Target: target(1, 30081+uint16(i))})
	}
	l.Listeners = []lb.Listener{{Port: 80, Protocol: lb.HTTP, Routes: routes}}
	l.Normalize()
	return l
}

// policies returns what the rules are, in the order in which Octavia tries them.
func (s *site) policies() []string {
	s.t.Helper()
	return s.query("select concat_ws(' ',y.position,group_concat(concat(r.type,'=',r.value) order by r.type),m.protocol_port," +
		"y.provisioning_status) from l7policy y join listener i on y.listener_id=i.id join load_balancer l on " +
		"i.load_balancer_id=l.id join l7rule r on r.l7policy_id=y.id join member m on m.pool_id=y.redirect_pool_id where " +
		s.mine() + " group by y.id order by y.position")
}

// TestPolicies routes by host and path, from the first and changed later.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, step := range []struct {
		paths, want []string
	}{
		{[]string{"/tea", "a.example/"}, []string{"1 HOST_NAME=a.example 30082 ACTIVE", "2 PATH=^/tea(/|$) 30081 ACTIVE"}},
		{[]string{"/tea", "a.example/x", "/tea/green"}, []string{"1 HOST_NAME=a.example,PATH=^/x(/|$) 30082 ACTIVE",
			"2 PATH=^/tea/green(/|$) 30083 ACTIVE", "3 PATH=^/tea(/|$) 30081 ACTIVE"}},
		{[]string{"/tea"}, []string{"1 PATH=^/tea(/|$) 30081 ACTIVE"}},
		{nil, nil},
	} {
		l := shop(step.paths...)
		s.apply(l)
		s.until(fmt.Sprint(step.want), func() bool { return s.healths()[l.Origin.Key].Ready && s.Settled() })
		if d := cmp.Diff(step.want, s.policies()); d != "" {
			t.Errorf("%v: %s", step.paths, d)
		}
		if n := len(s.query("select p.id from pool p join load_balancer l on p.load_balancer_id=l.id where " + s.mine())); n != len(step.paths)+1 {
			t.Errorf("%v: %d pools", step.paths, n)
		}
		// A backend that knows nothing finds nothing to do.
		s.gate.Reset()
		s.restart()
		s.apply(l)
		s.ready(l)
		s.settled()
		if slices.ContainsFunc(s.gate.Calls(), lab.Call.Write) {
			t.Errorf("after a restart: %v", s.gate.Calls())
		}
	}
}

// TestSettings creates with every setting, changes each, and finds each in the database.
func TestSettings(t *testing.T) {
	t.Parallel()
	placement := octavia.Placement{NetworkID: lab.Network, Provider: "amphora"}
	first := octavia.Settings{
		Placement: placement, Method: "LEAST_CONNECTIONS", Persistence: "SOURCE_IP", ConnectionLimit: 100,
		ClientTimeout: 1000, ConnectTimeout: 2000, MemberTimeout: 3000, InspectTimeout: 4000,
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ProxyProtocol: "v2",
		Monitor: octavia.MonitorSettings{Type: "HTTP", Delay: 9, Timeout: 8, Retries: 7, RetriesDown: 6, Path: "/healthz", Codes: "200,204"},
	}
	second := octavia.Settings{Placement: placement, Monitor: octavia.MonitorSettings{Delay: 20}}
	current := first
	s := newSite(t, func(o *octavia.Options) { o.Settings = func(lb.Key) octavia.Settings { return current } })
	look := func() string {
		return strings.Join(s.query("select concat_ws(' ',p.protocol,p.lb_algorithm,sp.type,i.connection_limit,i.timeout_client_data,"+
			"i.timeout_member_connect,i.timeout_member_data,i.timeout_tcp_inspect,c.cidr,h.type,h.delay,h.timeout,h.rise_threshold,"+
			"h.fall_threshold,h.url_path,h.expected_codes) from load_balancer l join listener i on i.load_balancer_id=l.id join pool p "+
			"on i.default_pool_id=p.id left join session_persistence sp on sp.pool_id=p.id left join listener_cidr c on "+
			"c.listener_id=i.id join health_monitor h on h.pool_id=p.id where "+s.mine()), ";")
	}
	for _, step := range []struct {
		settings octavia.Settings
		want     string
	}{
		{first, "PROXYV2 LEAST_CONNECTIONS SOURCE_IP 100 1000 2000 3000 4000 10.0.0.0/8 HTTP 9 8 7 6 /healthz 200,204"},
		{second, "TCP ROUND_ROBIN -1 50000 5000 50000 0 TCP 20 3 1 3"},
		{first, "PROXYV2 LEAST_CONNECTIONS SOURCE_IP 100 1000 2000 3000 4000 10.0.0.0/8 HTTP 9 8 7 6 /healthz 200,204"},
	} {
		current = step.settings
		l := web("web", 1, 80)
		s.apply(l)
		s.until(step.want, func() bool { return look() == step.want || s.Settled() })
		s.settled()
		if got := look(); got != step.want {
			t.Errorf("got  %s\nwant %s", got, step.want)
		}
		s.gate.Reset()
		s.restart()
		s.apply(l)
		s.settled()
		if slices.ContainsFunc(s.gate.Calls(), lab.Call.Write) {
			t.Errorf("after a restart: %v", s.gate.Calls())
		}
	}
}
