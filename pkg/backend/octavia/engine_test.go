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
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// cloud is an Octavia in memory for what takes too long, or is too rare, with a real one (see test/octavia): it makes
// whole load balancers and deletes them.
type cloud struct {
	mu    sync.Mutex
	made  int
	calls []string
	lbs   []*fakeLB
	// neutron is there only where floating IPs are.
	neutron *fakeNeutron
	// barbican is there only where certificates of Secrets are.
	barbican *fakeBarbican
	// born is the status that a new load balancer gets, after a second in PENDING_CREATE; nil means ACTIVE.
	born func(n int) string
	// deny answers a call in place of doing it; a status of 0 lets it pass.
	deny func(method, path string) (status int, body string)
}

type fakeLB struct {
	root
	ready time.Time
	next  string
	tree  wholeLoadBalancer
	// children is the status of what is below it, empty for ACTIVE.
	children string
}

func (c *cloud) serve(r *http.Request) (int, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Host == "neutron" {
		return c.neutron.serve(r, &c.calls)
	}
	if c.barbican != nil {
		if status, body := c.secured(r); status != 0 {
			return status, body
		}
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2.0/lbaas/")
	c.calls = append(c.calls, r.Method+" "+path)
	if c.deny != nil {
		if status, body := c.deny(r.Method, path); status != 0 {
			return status, body
		}
	}
	for _, l := range c.lbs {
		if !time.Now().Before(l.ready) && l.next != "" {
			l.Provisioning, l.next = l.next, ""
		}
	}
	if status, body, ok := c.below(r, path); ok {
		return status, body
	}
	id := strings.TrimPrefix(path, "loadbalancers/")
	switch {
	case r.Method == http.MethodPost:
		return c.create(r)
	case id == path:
		var all []root
		for _, l := range c.lbs {
			if owned(l.Tags, strings.Split(r.URL.Query().Get("tags"), ",")) {
				all = append(all, l.root)
			}
		}
		return encode(map[string]any{"loadbalancers": all})
	}
	id, status := strings.CutSuffix(id, "/status")
	i := slices.IndexFunc(c.lbs, func(l *fakeLB) bool { return l.ID == id })
	switch {
	case i < 0:
		return http.StatusNotFound, `{"faultstring":"load balancer not found."}`
	case status:
		return encode(map[string]any{"statuses": map[string]any{"loadbalancer": c.lbs[i].statuses()}})
	case r.Method == http.MethodGet:
		return encode(map[string]any{"loadbalancer": c.lbs[i].root})
	case strings.HasPrefix(c.lbs[i].Provisioning, pendingPrefix):
		return http.StatusConflict, `{"faultstring":"Invalid state PENDING_CREATE of loadbalancer resource x"}`
	}
	c.neutron.unplug(c.lbs[i].PortID)
	c.lbs = slices.Delete(c.lbs, i, i+1)
	return http.StatusNoContent, ""
}

func (c *cloud) create(r *http.Request) (int, string) {
	var body struct {
		LoadBalancer wholeLoadBalancer `json:"loadbalancer"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	c.made++
	l := &fakeLB{tree: body.LoadBalancer, ready: time.Now().Add(time.Second), next: statusActive}
	l.root = root{
		ID: fmt.Sprintf("id-%d", c.made), Name: l.tree.Name, Tags: l.tree.Tags, Provisioning: "PENDING_CREATE",
		PortID: fmt.Sprintf("port-%d", c.made), Updated: fmt.Sprint(c.made), Address: orElse(l.tree.Address, fmt.Sprintf("198.51.100.%d", c.made)),
	}
	if c.born != nil {
		l.next = c.born(c.made)
	}
	c.lbs = append(c.lbs, l)
	_, text := encode(map[string]any{"loadbalancer": l.root})
	return http.StatusCreated, text
}

func (l *fakeLB) statuses() map[string]any {
	var listeners []any
	for _, x := range l.tree.Listeners {
		var members []any
		for _, m := range x.Pool.Members {
			members = append(members, map[string]any{"address": m.Address, "protocol_port": m.Port, "provisioning_status": l.child()})
		}
		pool := map[string]any{"id": x.Pool.Name, "name": x.Pool.Name, "provisioning_status": l.child(), "members": members,
			"health_monitor": map[string]any{"id": "m-" + x.Pool.Name, "provisioning_status": l.child()}}
		listeners = append(listeners, map[string]any{"id": x.Name, "name": x.Name, "provisioning_status": l.child(), "pools": []any{pool}})
	}
	return map[string]any{"provisioning_status": l.Provisioning, "listeners": listeners}
}

func encode(v any) (int, string) {
	b, err := json.Marshal(v)
	if err != nil {
		return http.StatusInternalServerError, err.Error()
	}
	return http.StatusOK, string(b)
}

// begin starts a backend before the cloud, which ends with the bubble.
func (c *cloud) begin(t *testing.T, change ...func(*Options)) *Backend {
	t.Helper()
	o := Options{Cluster: "c", Defaults: Settings{Placement: Placement{SubnetID: "s"}}}
	for _, f := range change {
		f(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.engine.api.session = fakeAPI(c.serve).session
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

func (c *cloud) count(call string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.calls {
		if strings.HasPrefix(x, call) {
			n++
		}
	}
	return n
}

func healthOf(t *testing.T, b *Backend) backend.Health {
	t.Helper()
	s, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Health[lb.Key{Namespace: "default", Name: "web"}]
}

func apply(t *testing.T, b *Backend, want ...lb.LoadBalancer) {
	t.Helper()
	if err := b.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
}

func codes(fs []lb.Finding) (out []lb.Code) {
	for _, f := range fs {
		out = append(out, f.Code)
	}
	return out
}

// One that is never made well is made again three times, and then it is the operator's.
func TestErrorTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{born: func(int) string { return statusError }}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Hour)
		if h := healthOf(t, b); h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudError}) {
			t.Errorf("%+v", h)
		}
		if c.made != 1+maxTries || len(c.lbs) != 1 {
			t.Errorf("%d made, %d there", c.made, len(c.lbs))
		}
		c.mu.Lock()
		c.lbs[0].Provisioning = statusActive // a failover did that
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("%+v", h)
		}
	})
}

// One that succeeds in the end is as good as any.
func TestErrorThenActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{born: func(n int) string { return map[bool]string{true: statusError, false: statusActive}[n < 3] }}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || c.made != 3 {
			t.Errorf("%+v after %d", h, c.made)
		}
	})
}

// One that has served is left alone in ERROR, also by a backend that has just started.
func TestErrorAfterServing(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{}
			b := c.begin(t)
			apply(t, b, tcp(80, "192.0.2.11:30080"))
			time.Sleep(time.Minute)
			c.mu.Lock()
			c.lbs[0].Provisioning = statusError
			c.mu.Unlock()
			if restart {
				b = c.begin(t)
			}
			apply(t, b, tcp(80, "192.0.2.11:30080"))
			time.Sleep(time.Hour)
			if h := healthOf(t, b); h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudError}) {
				t.Errorf("%+v", h)
			}
			if c.made != 1 || c.count("DELETE") != 0 {
				t.Errorf("%v", c.calls)
			}
		})
	}
}

// What is stuck is reported after a while, and looked at slowly. Its neighbour does not wait.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{born: func(n int) string { return map[bool]string{true: "PENDING_CREATE", false: statusActive}[n == 1] }}
		b := c.begin(t, func(o *Options) { o.Workers = 1 })
		stuck, other := tcp(80), tcp(80)
		other.Origin.Name = "other"
		apply(t, b, stuck)
		time.Sleep(5 * time.Second)
		apply(t, b, other, stuck)
		time.Sleep(5 * time.Second)
		state, err := b.State(t.Context())
		if err != nil || !state.Health[other.Origin.Key].Ready || state.Health[stuck.Origin.Key].Ready {
			t.Errorf("%+v, %v", state.Health, err)
		}
		if len(healthOf(t, b).Findings) != 0 {
			t.Errorf("reported too early: %+v", healthOf(t, b))
		}
		time.Sleep(DefaultStuckAfter)
		if h := healthOf(t, b); !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudStuck}) {
			t.Errorf("%+v", h)
		}
		before := len(c.calls)
		time.Sleep(time.Hour)
		if n := len(c.calls) - before; n > 121 {
			t.Errorf("%d calls an hour for one that is stuck", n)
		}
		c.mu.Lock()
		c.lbs[0].Provisioning = statusActive
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("%+v", h)
		}
	})
}

// Weather is waited out at a slower and slower pace; Retry-After is the least.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		c := &cloud{}
		c.deny = func(method, _ string) (int, string) {
			if down && method == http.MethodPost {
				return http.StatusTooManyRequests, ""
			}
			return 0, ""
		}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(69 * time.Second) // Retry-After: 7 seconds
		if n := c.count("POST"); n < 4 || n > 10 {
			t.Errorf("%d creates in a minute", n)
		}
		time.Sleep(time.Hour)
		if h := healthOf(t, b); h.Ready || len(h.Findings) != 0 || !strings.Contains(h.Reason, "429") {
			t.Errorf("%+v", h)
		}
		if n := c.count("POST"); n > 75 {
			t.Errorf("%d creates in an hour", n)
		}
		c.mu.Lock()
		down = false
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if h := healthOf(t, b); !h.Ready || c.made != 1 {
			t.Errorf("%+v, %d made", h, c.made)
		}
	})
}

// What is refused is a finding, tried again now and then, and at once when the object changes.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := true
		c := &cloud{}
		c.deny = func(method, _ string) (int, string) {
			if full && method == http.MethodPost {
				return http.StatusForbidden, `{"faultstring":"Quota has been met for resources: Load Balancer"}`
			}
			return 0, ""
		}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(10*time.Minute + 10*time.Second) // not when a try is due
		if h := healthOf(t, b); !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudQuota}) {
			t.Errorf("%+v", h)
		}
		if n := c.count("POST"); n > 21 {
			t.Errorf("%d creates in ten minutes", n)
		}
		c.mu.Lock()
		full = false
		c.mu.Unlock()
		apply(t, b, tcp(80, "192.0.2.12:30080"))
		time.Sleep(3 * time.Second)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("%+v", h)
		}
	})
}

// A hundred load balancers without news cost one call, and the state asks for the next pass in time.
func TestQuietPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		var all []lb.LoadBalancer
		for i := range 100 {
			l := tcp(80, "192.0.2.11:30080")
			l.Origin.Name = fmt.Sprintf("web%d", i)
			all = append(all, l)
		}
		apply(t, b, all...)
		time.Sleep(time.Minute)
		for range 3 {
			before := len(c.calls)
			apply(t, b, all...)
			time.Sleep(time.Minute)
			if n := len(c.calls) - before; n != 1 || !b.Settled() {
				t.Errorf("%d calls: %v", n, c.calls[before:])
			}
		}
		s, err := b.State(t.Context())
		if err != nil || time.Until(s.Expires) != DefaultResync-time.Minute || len(s.LoadBalancers) != 100 {
			t.Errorf("%s, %v", time.Until(s.Expires), err)
		}
	})
}

// A load balancer without listeners among those wanted is one whose last good version is not known: it is left alone.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		before := len(c.calls)
		held := tcp(80)
		held.Listeners = nil
		apply(t, b, held)
		time.Sleep(time.Minute)
		if n := len(c.calls) - before; n != 1 || !healthOf(t, b).Ready {
			t.Errorf("%v", c.calls[before:])
		}
	})
}

// A create of the process before comes through only after the next one has made its own. The later one goes.
func TestLateDouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(5 * time.Second)
		if !healthOf(t, b).Ready {
			t.Error("not ready before it is sure to be the only one")
		}
		c.mu.Lock()
		late := *c.lbs[0]
		late.ID = "late"
		c.lbs = append([]*fakeLB{&late}, c.lbs...)
		c.mu.Unlock()
		time.Sleep(30 * time.Second)
		if len(c.lbs) != 1 || c.lbs[0].ID != "id-1" || !b.Settled() {
			t.Errorf("%d there, settled %v: %v", len(c.lbs), b.Settled(), c.calls)
		}
	})
}

// A process deletes one of two, and is killed before that is done. The next one must not choose the one that is going,
// and delete the other.
func TestDoubleGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		c.mu.Lock()
		going := *c.lbs[0]
		going.ID = "going"
		c.lbs = append([]*fakeLB{&going}, c.lbs...)
		c.mu.Unlock()
		b = c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(5 * time.Second)
		if n := c.count("DELETE"); n != 0 {
			t.Errorf("%d deletes while another process may be at it", n)
		}
		c.mu.Lock()
		going.Provisioning = statusPendingDelete
		c.lbs[0].Provisioning = statusPendingDelete
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if n := c.count("DELETE"); n != 0 || b.engine.items[tcp(80).Origin.Key].id != "id-1" {
			t.Errorf("%d deletes: %v", n, c.calls)
		}
	})
}

// What the process before was making when its object was deleted comes through late, and goes all the same.
func TestLateRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b)
		key := tcp(80).Origin.Key
		b.Release([]lb.Origin{tcp(80).Origin})
		time.Sleep(5 * time.Second)
		if b.Released(key) {
			t.Error("released too early")
		}
		if _, err := fakeAPI(c.serve).create(t.Context(), plant(tcp(80, "192.0.2.11:30080"), Settings{})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !b.Released(key) || len(c.lbs) != 0 {
			t.Errorf("%d there: %v", len(c.lbs), c.calls)
		}
	})
}

func TestNewNeedsCluster(t *testing.T) {
	for _, cluster := range []string{"", "a,b", strings.Repeat("x", 250)} { // Octavia's filter takes commas apart
		if _, err := New(Options{Cluster: cluster}); err == nil {
			t.Errorf("a backend of cluster %q was made", cluster)
		}
	}
}
