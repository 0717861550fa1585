package octavia

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// estate is an Octavia in memory whose children can be changed one by one, as fast as the fake time allows.
type estate struct {
	mu   sync.Mutex
	made int
	lbs  []*estateLB
	// writes counts the calls that change something; cut is told of each before it is done, and again after it, and
	// returns true where nobody is to have an answer. Before it was done it then is not done.
	writes int
	cut    func(n int, done bool) bool
	// late does the call that was cut off before it was done.
	late func()
	// refuse answers a call in place of doing it; a status of 0 lets it pass.
	refuse func(method, path, body string) (status int, text string)
	calls  []string
	// neutron is there only where floating IPs are, barbican only where certificates of Secrets are.
	neutron  *fakeNeutron
	barbican *fakeBarbican
}

type estateLB struct {
	root
	ready     time.Time
	listeners []*estateListener
	pools     []*estatePool
}

type estateListener struct {
	id, pool string
	Listener
	policies []*estatePolicy
}

type estatePolicy struct {
	id, pool string
	newPolicy
	rules []Rule
}

type estatePool struct {
	id, monitor string
	Pool
}

func (e *estate) serve(r *http.Request) (int, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.URL.Host == "neutron" {
		return e.neutron.serve(r, &e.calls)
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2.0/lbaas/")
	body := ""
	if r.Body != nil {
		var raw json.RawMessage
		if json.NewDecoder(r.Body).Decode(&raw) == nil {
			body = string(raw)
		}
	}
	if r.URL.Host == "barbican" {
		return e.barbican.serve(r, []byte(body))
	}
	for _, l := range e.lbs {
		if strings.HasPrefix(l.Provisioning, pendingPrefix) && !time.Now().Before(l.ready) {
			l.Provisioning = statusActive
		}
	}
	if r.Method == http.MethodGet {
		return e.get(r, path)
	}
	e.writes++
	e.calls = append(e.calls, r.Method+" "+path)
	n := e.writes
	if e.cut != nil && e.cut(n, false) {
		e.late = func() { e.write(r.Method, strings.Split(path, "/"), body) }
		return hang, ""
	}
	if e.refuse != nil {
		if status, text := e.refuse(r.Method, path, body); status != 0 {
			return status, text
		}
	}
	status, text := e.write(r.Method, strings.Split(path, "/"), body)
	if e.cut != nil && e.cut(n, true) {
		return hang, ""
	}
	return status, text
}

func (e *estate) id(kind string) string {
	e.made++
	return fmt.Sprintf("%s-%d", kind, e.made)
}

func (e *estate) get(r *http.Request, path string) (int, string) {
	parts, of := strings.Split(path, "/"), r.URL.Query().Get("loadbalancer_id")
	if path == "loadbalancers" {
		all := []root{}
		for _, l := range e.lbs {
			if owned(l.Tags, strings.Split(r.URL.Query().Get("tags"), ",")) {
				all = append(all, l.root)
			}
		}
		return encode(map[string]any{path: all})
	}
	listeners, pools, policies := []listedListener{}, []listedPool{}, []listedPolicy{}
	for _, l := range e.lbs {
		switch path {
		case "loadbalancers/" + l.ID:
			return encode(map[string]any{"loadbalancer": l.root})
		case "loadbalancers/" + l.ID + "/status":
			return encode(map[string]any{"statuses": map[string]any{"loadbalancer": l.status()}})
		}
		for _, x := range l.listeners {
			if l.ID == of || of == "" {
				listeners = append(listeners, listedListener{ID: x.id, Provisioning: statusActive, PoolID: x.pool, Listener: x.Listener})
			}
			for i, p := range x.policies {
				if x.id == r.URL.Query().Get("listener_id") {
					policies = append(policies, listedPolicy{ID: p.id, Provisioning: statusActive, Name: p.Name, ListenerID: x.id,
						Position: i + 1, On: p.On, Rules: make([]idRef, len(p.rules))})
				}
			}
		}
		for _, p := range l.pools {
			switch {
			case l.ID == of:
				pools = append(pools, listedPool{ID: p.id, Provisioning: statusActive, MonitorID: p.monitor, Pool: p.Pool})
			case len(parts) == 2 && parts[1] == p.monitor:
				return encode(map[string]any{"healthmonitor": listedMonitor{ID: p.monitor, Provisioning: statusActive, Monitor: *p.Monitor}})
			case path == "pools/"+p.id+"/members":
				return encode(map[string]any{"members": p.status()["members"]})
			}
		}
	}
	switch path {
	case "listeners":
		return encode(map[string]any{path: listeners})
	case "pools":
		return encode(map[string]any{path: pools})
	case "l7policies":
		return encode(map[string]any{path: policies})
	}
	return http.StatusNotFound, `{"faultstring":"not found"}`
}

func (p *estatePool) status() map[string]any {
	var members []any
	for _, m := range p.Members {
		members = append(members, map[string]any{"address": m.Address, "protocol_port": m.Port, "provisioning_status": statusActive})
	}
	s := map[string]any{"id": p.id, "name": p.Name, "provisioning_status": statusActive, "members": members}
	if p.monitor != "" {
		s["health_monitor"] = map[string]any{"id": p.monitor, "provisioning_status": statusActive}
	}
	return s
}

func (l *estateLB) status() map[string]any {
	var listeners []any
	for _, x := range l.listeners {
		ids := []string{x.pool}
		for _, p := range x.policies {
			ids = append(ids, p.pool)
		}
		var pools []any
		for _, p := range l.pools {
			if slices.Contains(ids, p.id) {
				pools = append(pools, p.status())
			}
		}
		listeners = append(listeners, map[string]any{"id": x.id, "name": x.Name, "provisioning_status": statusActive, "pools": pools})
	}
	return map[string]any{"provisioning_status": l.Provisioning, "listeners": listeners}
}

// text writes down all that there is, without ids and addresses.
func (e *estate) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, l := range e.lbs {
		var lines []string
		names := map[string]string{}
		for _, p := range l.pools {
			names[p.id] = p.Name
			line := fmt.Sprintf("  pool %s %s %s", p.Name, p.Protocol, whose(p.Tags))
			for _, m := range p.Members {
				line += fmt.Sprintf(" %s:%d", m.Address, m.Port)
			}
			if p.monitor == "" {
				line += " unchecked"
			}
			lines = append(lines, line)
		}
		for _, x := range l.listeners {
			lines = append(lines, fmt.Sprintf("  listener %s %s default=%s", x.Name, whose(x.Tags), names[x.pool]))
			for i, p := range x.policies {
				lines = append(lines, fmt.Sprintf("  listener %s policy %d to %s on=%v %v", x.Name, i+1, names[p.pool], p.On, p.rules))
			}
		}
		all = append(all, l.Name+" "+whose(l.Tags)+"\n"+strings.Join(sorted(lines), "\n"))
	}
	return strings.Join(sorted(all), "\n")
}

// whose shortens tags.
func whose(tags []string) string {
	t := strings.Join(sorted(slices.Clone(tags)), ",")
	return strings.NewReplacer("kubectl-lb-cluster=c", "", "kubectl-lb-configmap=", "", "kubectl-lb-", "").Replace(t)
}

// begin starts a backend, which ends with the bubble, or when it is stopped.
func (e *estate) begin(t *testing.T, change ...func(*Options)) (b *Backend, stop func()) {
	t.Helper()
	o := Options{Cluster: "c", Defaults: Settings{Placement: Placement{SubnetID: "s"}}}
	for _, f := range change {
		f(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.engine.api.session = fakeAPI(e.serve).session
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b, cancel
}
