package octavia_test

import (
	"context"
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
		{[]string{"/tea", "a.example/"}, []string{"1 HOST_NAME=a.example 30082 ACTIVE", "2 PATH=/tea 30081 ACTIVE"}},
		{[]string{"/tea", "a.example/x", "/tea/green"}, []string{"1 HOST_NAME=a.example,PATH=/x 30082 ACTIVE",
			"2 PATH=/tea/green 30083 ACTIVE", "3 PATH=/tea 30081 ACTIVE"}},
		{[]string{"/tea"}, []string{"1 PATH=/tea 30081 ACTIVE"}},
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
	placement := octavia.Placement{NetworkID: "99999999-2222-3333-4444-555555555555", Provider: "amphora"}
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

// TestDrift changes a load balancer behind the backend's back, through the API as anybody would, and finds it repaired
// by the next pass.
func TestDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 2, 80, 81)
	s.apply(want)
	s.ready(want)
	s.settled()
	id := s.query("select l.id from load_balancer l where " + s.mine())[0]
	child := func(table, name string) string {
		return s.query("select c.id from " + table + " c join load_balancer l on c.load_balancer_id=l.id where c.name='" + name +
			"' and " + s.mine())[0]
	}
	u := login(t, s.gate, "demo")
	for name, change := range map[string]func() (method, path, body string){
		"renamed": func() (string, string, string) {
			return "PUT", "loadbalancers/" + id, `{"loadbalancer":{"name":"mine"}}`
		},
		"tags lost": func() (string, string, string) {
			return "PUT", "loadbalancers/" + id, `{"loadbalancer":{"tags":[]}}`
		},
		"members gone": func() (string, string, string) {
			return "PUT", "pools/" + child("pool", "tcp-80") + "/members", `{"members":[]}`
		},
		"listener gone": func() (string, string, string) {
			return "DELETE", "listeners/" + child("listener", "tcp-81"), ""
		},
		"pool gone": func() (string, string, string) { return "DELETE", "pools/" + child("pool", "tcp-80"), "" },
		"timeout": func() (string, string, string) {
			return "PUT", "listeners/" + child("listener", "tcp-80"), `{"listener":{"connection_limit":1}}`
		},
		"method": func() (string, string, string) {
			return "PUT", "pools/" + child("pool", "tcp-81"), `{"pool":{"lb_algorithm":"SOURCE_IP"}}`
		},
	} {
		t.Log(name)
		u.do(change())
		s.until(name+": active", func() bool { return s.count(" and l.provisioning_status='ACTIVE'")+s.named(id) >= 1 })
		s.until(name, func() bool { // updated_at counts seconds
			s.apply(want)
			s.settled()
			return cmp.Equal(webTree(2, 80, 81), s.tree())
		})
	}
	// Deleted altogether: the new one has the old one's address.
	before := s.query("select v.ip_address from vip v join load_balancer l on v.load_balancer_id=l.id where " + s.mine())
	u.do("DELETE", "loadbalancers/"+id+"?cascade=true", "")
	s.until("a new one", func() bool {
		s.apply(want)
		return s.count(" and l.id<>'"+id+"' and l.provisioning_status='ACTIVE'") == 1
	})
	s.ready(want)
	after := s.query("select v.ip_address from vip v join load_balancer l on v.load_balancer_id=l.id where " + s.mine())
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("the address has changed: %s", d)
	}
}

// named is 1 if the load balancer is ACTIVE, whatever its tags are.
func (s *site) named(id string) int {
	return len(s.query("select id from load_balancer where id='" + id + "' and provisioning_status='ACTIVE'"))
}

// TestForeign has load balancers of others with our names, in the same project: they are not touched.
func TestForeign(t *testing.T) {
	t.Parallel()
	a, b := newSite(t), newSite(t)
	u := login(t, a.gate, "demo")
	foreign := u.create(`{"name":"default-web-loadbalancer",` +
		`"vip_subnet_id":"11111111-2222-3333-4444-555555555555","tags":["somebody-else"]}`)
	want := web("web", 1, 80)
	a.apply(want)
	b.apply(want)
	a.ready(want)
	b.ready(want)
	if a.count("") != 1 || b.count("") != 1 {
		t.Errorf("%d and %d load balancers", a.count(""), b.count(""))
	}
	a.apply()
	a.until("gone", func() bool { return a.Released(want.Origin.Key) })
	b.is(webTree(1, 80))
	if a.named(foreign) != 1 {
		t.Error("the foreign load balancer is gone")
	}
	u.do("DELETE", "loadbalancers/"+foreign+"?cascade=true", "")
}

// TestDouble has a second load balancer with the tags of the first, as a create leaves it whose answer was lost and
// which nobody saw: it goes, and the first stays.
func TestDouble(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	first := s.query("select l.id from load_balancer l where " + s.mine())[0]
	login(t, s.gate, "demo").create(`{"vip_subnet_id":` +
		`"11111111-2222-3333-4444-555555555555","tags":["kubectl-lb-cluster=` + s.options.Cluster +
		`","kubectl-lb-configmap=default/web"]}`)
	s.restart() // the next one knows nothing
	s.apply(want)
	s.until("one", func() bool { return s.count("") == 1 && s.named(first) == 1 })
	s.settled()
}

// TestReplaced keeps the load balancer when the object is replaced by one of the same name.
func TestReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	want.Origin.UID = "another"
	s.apply(want)
	s.settled()
	if s.posts() != 1 {
		t.Errorf("%d creates", s.posts())
	}
	if rows := s.query("select tag from tags t join load_balancer l on t.resource_id=l.id where tag like '%uid%' and " +
		s.mine()); !cmp.Equal(rows, []string{"kubectl-lb-uid=another"}) {
		t.Errorf("tags %v", rows)
	}
}

// TestReleaseWhilePending deletes the object while its load balancer is being made.
func TestReleaseWhilePending(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.until("asked for", func() bool { return s.posts() == 1 })
	s.restart() // and whoever asked for it is gone
	s.Release([]lb.Origin{want.Origin})
	s.until("gone", func() bool { return s.Released(want.Origin.Key) && s.count("") == 0 })
}

// TestOrphans reports what nobody wants, and deletes it only when told to.
func TestOrphans(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.restart()
	s.apply()
	if o := s.Orphans(); len(o) != 1 || o[0].Key != want.Origin.Key {
		t.Errorf("orphans %+v", o)
	}
	s.settled()
	if s.count("") != 1 {
		t.Error("it is gone")
	}
	s.options.DeleteOrphans = true
	s.restart()
	s.apply()
	s.until("gone", func() bool { return s.count("") == 0 })
}

// TestParallel makes ten at once; see TestBench for the time that takes.
func TestParallel(t *testing.T) {
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

// TestCrash kills the backend at each of its calls that change something, in the way of create, update and delete, and
// once before the call arrives and once after it was done. The next backend knows nothing, and goes on: nothing is left
// over, or there twice.
func TestCrash(t *testing.T) {
	t.Parallel()
	small, large := web("web", 1, 80), web("web", 2, 80, 81)
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost=%t", lost), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if !s.drive(0, lost, small) {
				t.Fatal("the create makes no call")
			}
			s.becomes(webTree(1, 80))
			kills := 0
			for ; s.drive(kills, lost, large); kills++ {
				s.becomes(webTree(2, 80, 81))
				s.drive(1<<30, lost, small)
				s.becomes(webTree(1, 80))
			}
			if kills < 5 {
				t.Errorf("only %d calls that change something; the test is blind", kills)
			}
			s.becomes(webTree(2, 80, 81))
			s.drive(0, lost)
			if n := s.count(""); n != 0 {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// becomes waits for what is on its way out to be gone, and then wants nothing but this.
func (s *site) becomes(want []string) {
	s.t.Helper()
	s.until("deleted", func() bool { return s.count(" and l.provisioning_status='PENDING_DELETE'") == 0 })
	s.is(want)
}

// drive brings the backend to what is wanted; none means that everything is released. It is killed at its nth call that
// changes something, and another one started. drive reports whether there was such a call.
func (s *site) drive(n int, lost bool, want ...lb.LoadBalancer) (killed bool) {
	s.t.Helper()
	crash := make(chan struct{})
	s.gate.Break(lab.Fault{Writes: true, After: n, Times: 1, Reset: true, Lost: lost, Call: func() { close(crash) }})
	defer s.gate.Mend()
	ask := func() {
		s.apply(want...)
		if len(want) == 0 {
			s.Release([]lb.Origin{web("web", 0).Origin})
		}
	}
	ask()
	s.until("done", func() bool {
		select {
		case <-crash:
			killed, crash = true, nil
			s.restart()
			ask()
		default:
		}
		return s.Settled() && (len(want) > 0 || s.count("") == 0)
	})
	return killed
}

// user is somebody's way into Octavia, without the backend.
type user struct {
	t *testing.T
	*lab.Session
}

func login(t *testing.T, g *lab.Gate, name string) *user {
	t.Helper()
	session, err := g.Login(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return &user{t, session}
}

// do makes a call that must work.
func (u *user) do(method, path, body string) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), limit)
	defer cancel()
	if _, err := u.Do(ctx, method, path, body); err != nil {
		u.t.Fatal(err)
	}
}

// create makes a load balancer that is not the backend's.
func (u *user) create(attributes string) string {
	u.t.Helper()
	id, err := u.Create(u.t.Context(), attributes)
	if err != nil {
		u.t.Fatal(err)
	}
	return id
}
