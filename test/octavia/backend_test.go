package octavia_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// limit is how long anything may take on a busy machine.
const limit = 8 * time.Minute

// site is a backend before a real Octavia, with a gate of its own between the two.
type site struct {
	*octavia.Backend
	t       *testing.T
	gate    *lab.Gate
	options octavia.Options
	stop    func()
	// applied are those that were wanted; begun are those of them that were so before the last restart, whose objects have
	// the controller's finalizer then.
	applied, begun map[lb.Key]bool
}

// newSite starts a backend of a cluster of its own, and deletes what it has made when the test ends.
func newSite(t *testing.T, change ...func(*octavia.Options)) *site {
	t.Helper()
	s := &site{t: t, gate: openGate(t), stop: func() {}, applied: map[lb.Key]bool{}}
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, []byte(s.gate.CloudsYAML()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.options = octavia.Options{
		Cluster:     fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", ",", "").Replace(t.Name()), time.Now().UnixNano()),
		Credentials: octavia.Credentials{CloudsFile: file, Cloud: "demo"},
		Defaults:    octavia.Settings{Placement: octavia.Placement{SubnetID: lab.Subnet}},
		Log:         slog.New(slog.NewTextHandler(t.Output(), nil)),
		// A busy machine must not look like a cloud that hangs: a create that is given up is made twice.
		ReadLimit: limit / 5, WriteLimit: limit / 5,
	}
	for _, c := range change {
		c(&s.options)
	}
	s.restart()
	t.Cleanup(s.cleanUp)
	return s
}

// restart kills the backend and starts another one, which knows nothing.
func (s *site) restart() {
	s.t.Helper()
	s.stop()
	b, err := octavia.New(s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Backend, s.begun = b, maps.Clone(s.applied)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	s.stop = func() { cancel(); <-done }
}

// cleanUp deletes what is left as an orphan. What Octavia will never be done with is set right as an operator would.
func (s *site) cleanUp() {
	s.gate.Mend()
	patience := time.Now().Add(20 * time.Second)
	s.until("nothing is under way", func() bool {
		return time.Now().After(patience) || s.count(" and l.provisioning_status like 'PENDING%'") == 0
	})
	_, err := cloud.SQL(context.Background(), "update load_balancer set provisioning_status='ERROR' where id in "+
		"(select resource_id from tags where tag='kubectl-lb-cluster="+s.options.Cluster+"') and provisioning_status like 'PENDING%'")
	if err != nil {
		s.t.Error(err)
	}
	s.options.DeleteOrphans = true
	s.restart()
	s.apply()
	s.until("everything is gone", func() bool { return s.count("") == 0 })
	s.stop()
}

func (s *site) apply(want ...lb.LoadBalancer) {
	s.t.Helper()
	want = slices.Clone(want)
	for i := range want {
		key := want[i].Origin.Key
		want[i].Cloud.Begun, s.applied[key] = s.begun[key], true
	}
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = s.Apply(context.Background(), want); err == nil {
			return
		}
	}
	s.t.Fatal(err)
}

// until makes a pass and looks, again and again, as the controller does when something has changed.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in %s: %s; %+v", limit, what, s.healths())
		}
	}
}

func (s *site) healths() map[lb.Key]backend.Health {
	s.t.Helper()
	state, err := s.State(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Health
}

func (s *site) ready(want ...lb.LoadBalancer) {
	s.t.Helper()
	s.until("ready", func() bool {
		h := s.healths()
		for _, l := range want {
			if !h[l.Origin.Key].Ready {
				return false
			}
		}
		return true
	})
}

// query returns the rows of a statement in Octavia's database, each with its columns joined by spaces.
func (s *site) query(statement string) []string {
	s.t.Helper()
	out, err := cloud.SQL(context.Background(), statement)
	if err != nil {
		s.t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out) {
		rows = append(rows, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " "))
	}
	return rows
}

// mine chooses the load balancers of the site's cluster, in a where clause.
func (s *site) mine() string {
	return "l.provisioning_status<>'DELETED' and l.id in (select resource_id from tags where tag='kubectl-lb-cluster=" +
		s.options.Cluster + "')"
}

// count counts the load balancers of the site's cluster that fulfil the condition.
func (s *site) count(and string) int {
	s.t.Helper()
	return len(s.query("select l.id from load_balancer l where " + s.mine() + and))
}

// tree returns what Octavia's database has of the one load balancer, a line a thing, sorted.
func (s *site) tree() []string {
	s.t.Helper()
	const pool = " from pool p join load_balancer l on p.load_balancer_id=l.id "
	return s.query("select concat_ws(' ','lb',l.name,l.provisioning_status) x from load_balancer l where " + s.mine() +
		" union all select concat_ws(' ','listener',i.name,i.protocol,i.protocol_port,i.connection_limit,i.provisioning_status,p.name) from listener i " +
		"join load_balancer l on i.load_balancer_id=l.id left join pool p on i.default_pool_id=p.id where " + s.mine() +
		" union all select concat_ws(' ','pool',p.name,p.protocol,p.lb_algorithm,p.provisioning_status)" + pool + "where " + s.mine() +
		" union all select concat_ws(' ','member',p.name,m.ip_address,m.protocol_port,m.provisioning_status)" + pool +
		"join member m on m.pool_id=p.id where " + s.mine() +
		" union all select concat_ws(' ','monitor',p.name,h.type,h.delay,h.timeout,h.provisioning_status)" + pool +
		"join health_monitor h on h.pool_id=p.id where " + s.mine() +
		" union all select concat_ws(' ','policy',i.name,y.position,r.type,r.value,p.name,y.provisioning_status,r.provisioning_status) " +
		"from l7policy y join listener i on y.listener_id=i.id join load_balancer l on i.load_balancer_id=l.id " +
		"join l7rule r on r.l7policy_id=y.id join pool p on y.redirect_pool_id=p.id where " + s.mine() + " order by x")
}

// web is a load balancer of TCP ports.
func web(name string, nodes int, ports ...uint16) lb.LoadBalancer {
	l := lb.LoadBalancer{Origin: lb.Origin{
		Kind: "ConfigMap", Key: lb.Key{Namespace: "default", Name: name}, UID: "uid-of-" + name,
	}}
	for _, p := range ports {
		l.Listeners = append(l.Listeners, lb.Listener{
			Port: p, Protocol: lb.TCP, Routes: []lb.Route{{Target: target(nodes, 30000+p)}},
		})
	}
	return l
}

func target(nodes int, port uint16) (t lb.Target) {
	for n := range nodes {
		address := netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + n)})
		t.Endpoints = append(t.Endpoints, netip.AddrPortFrom(address, port))
	}
	return t
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
