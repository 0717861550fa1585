package octavia

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestTwins has a pool and a policy twice, as calls leave them that came through when somebody else had made them
// already: those that are not in use go.
func TestTwins(t *testing.T) {
	t.Parallel()
	l := tcp(80, "192.0.2.11:30080")
	l.Listeners[0].Protocol = lb.HTTP
	l.Listeners[0].Routes = append(l.Listeners[0].Routes, lb.Route{Host: "a.example", Target: endpoints("192.0.2.11:30081")})
	want := plant(l, Settings{})
	have := grown(want)
	pool, policy := have.Pools[0], have.Listeners[0].Policies[0]
	pool.ID, policy.ID = "late-pool", "late-policy"
	stuck, foreign := pool, pool
	stuck.ID, stuck.Status = "late-stuck", "PENDING_CREATE"
	foreign.ID, foreign.Tags = "foreign", nil
	have.Pools = append(have.Pools, pool, stuck, foreign)
	have.Listeners[0].Policies = append(have.Listeners[0].Policies, policy)
	var ids []string
	for _, o := range Diff(want, have) {
		ids = append(ids, string(o.Verb)+" "+o.ID)
	}
	if !slices.Equal(ids, []string{"delete late-policy", "delete late-pool", "delete late-stuck"}) {
		t.Errorf("%q", ids)
	}
}

// TestReadTwins: of two pools with one name, the one in use comes first.
func TestReadTwins(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"loadbalancers/x/status": `{"statuses":{"loadbalancer":{"listeners":[{"id":"l","pools":[{"id":"used","name":"tcp-80"}]}]}}}`,
		"listeners":              `{"listeners":[{"id":"l","name":"tcp-80","protocol":"TCP","protocol_port":80,"default_pool_id":"used"}]}`,
		"pools":                  `{"pools":[{"id":"late","name":"tcp-80"},{"id":"used","name":"tcp-80"}]}`,
		"pools/late/members":     `{"members":[]}`,
	}
	a := fakeAPI(func(r *http.Request) (int, string) {
		return http.StatusOK, answers[strings.TrimPrefix(r.URL.Path, "/v2.0/lbaas/")]
	})
	s, err := a.read(t.Context(), root{ID: "x"})
	if err != nil || len(s.Pools) != 2 || s.pool("tcp-80").ID != "used" {
		t.Errorf("%+v, %v", s.Pools, err)
	}
}

// TestLateCall has a call of the process before come through when this one was done: everything is read once more.
func TestLateCall(t *testing.T) {
	t.Parallel()
	s := &stepper{engine: &engine{started: time.Now()}}
	s.begin()
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.work.recheck.IsZero() || !s.work.reread {
		t.Error("it does not look again")
	}
	s = &stepper{engine: &engine{started: time.Now().Add(-time.Hour)}}
	s.begin()
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.work.recheck.IsZero() || s.work.reread {
		t.Error("it looks again without a reason")
	}
}

// TestBegun has a create of the controller before come through late: it is waited for, and not made once more.
func TestBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		begun := tcp(80, "192.0.2.11:30080")
		begun.Cloud.Begun = true
		b := c.begin(t)
		apply(t, b, begun)
		time.Sleep(afterlife / 2)
		if n := c.count("POST"); n != 0 {
			t.Fatalf("made at once: %v", c.calls)
		}
		apply(t, c.begin(t), tcp(80, "192.0.2.11:30080")) // the one before
		time.Sleep(afterlife)
		if n := c.count("POST"); n != 1 || len(c.lbs) != 1 || !healthOf(t, b).Ready {
			t.Errorf("%d creates, %d there, %+v", n, len(c.lbs), healthOf(t, b))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		begun := tcp(80, "192.0.2.11:30080")
		begun.Cloud.Begun = true
		b := c.begin(t)
		apply(t, b, begun)
		time.Sleep(afterlife + 3*time.Second)
		if n := c.count("POST"); n != 1 || !healthOf(t, b).Ready {
			t.Errorf("nothing has come through: %d creates, %+v", n, healthOf(t, b))
		}
		// It was slower than that.
		c.mu.Lock()
		late := *c.lbs[0]
		late.ID = "late"
		c.lbs = append(c.lbs, &late)
		c.mu.Unlock()
		time.Sleep(longAfterlife + 5*time.Second)
		if len(c.lbs) != 1 || c.lbs[0].ID == "late" {
			t.Errorf("%d there: %v", len(c.lbs), c.calls)
		}
	})
}

// firstCreate answers the first create in place of doing it.
func firstCreate(status int) func(method, path string) (int, string) {
	denied := false
	return func(method, _ string) (int, string) {
		if method != http.MethodPost || denied {
			return 0, ""
		}
		denied = true
		return status, ""
	}
}

// TestLateCreateShared has an object come to share while nobody knows what came of its create.
func TestLateCreateShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{deny: firstCreate(http.StatusBadGateway)}
		b := c.begin(t)
		l := tcp(80, "192.0.2.11:30080")
		apply(t, b, l)
		time.Sleep(2 * time.Second)
		l.Share = "default/edge"
		apply(t, b, l)
		time.Sleep(3 * time.Second)
		if n := c.count("POST"); n != 1 {
			t.Errorf("%d creates: %v", n, c.calls)
		}
		time.Sleep(2 * afterlife)
		if n := c.count("POST loadbalancers"); n != 2 || len(c.lbs) != 1 {
			t.Errorf("%d creates, %d there: %v", n, len(c.lbs), c.calls)
		}
	})
}

// TestLateCreate has a create without an answer come through late: it is not sent again meanwhile, but for what was
// never taken.
func TestLateCreate(t *testing.T) {
	for status, again := range map[int]bool{http.StatusGatewayTimeout: false, hang: false, http.StatusTooManyRequests: true} {
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{deny: firstCreate(status)}
			b := c.begin(t)
			l := tcp(80, "192.0.2.11:30080")
			apply(t, b, l)
			if status == hang {
				time.Sleep(DefaultWriteLimit)
			}
			time.Sleep(afterlife - time.Second) // Retry-After is 7 s
			if made := len(c.lbs) > 0; made != again {
				t.Errorf("%d: made again %v: %v", status, made, c.calls)
			}
			if !again {
				apply(t, c.begin(t), l) // it comes through
			}
			time.Sleep(longAfterlife)
			if n := c.count("POST"); n != 2 || len(c.lbs) != 1 || !healthOf(t, b).Ready {
				t.Errorf("%d: %d creates, %d there, %+v", status, n, len(c.lbs), healthOf(t, b))
			}
		})
	}
}

// TestDoubleStuck has one too many that Octavia never gets done with: the one that serves does, what hinders is
// reported after a while, and looked at slowly.
func TestDoubleStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(5 * time.Second)
		c.mu.Lock()
		late := *c.lbs[0]
		late.ID, late.Provisioning, late.next = "late", "PENDING_CREATE", ""
		c.lbs = append([]*fakeLB{&late}, c.lbs...)
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("reported too early: %+v", h)
		}
		if n := c.count("DELETE"); n > 20 {
			t.Errorf("%d tries in a minute", n)
		}
		time.Sleep(DefaultStuckAfter)
		if n := c.count("DELETE"); n > 60 {
			t.Errorf("%d tries", n)
		}
		if h := healthOf(t, b); !h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudStuck}) ||
			!strings.Contains(h.Findings[0].Message, "late") {
			t.Errorf("%+v", h)
		}
		before := len(c.calls)
		time.Sleep(time.Hour)
		if n := len(c.calls) - before; n > 4*121 {
			t.Errorf("%d calls an hour for one that is stuck", n)
		}
		c.mu.Lock()
		late.Provisioning = statusActive
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 || len(c.lbs) != 1 || !b.Settled() {
			t.Errorf("%+v, %d there", h, len(c.lbs))
		}
	})
}

// TestDoubleAfterStart has one that has failed and one that serves: that one is taken, and only the other one goes.
// As long as the one that is kept does not serve, one that does stays.
func TestDoubleAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		l := tcp(80, "192.0.2.11:30080")
		apply(t, c.begin(t), l)
		time.Sleep(time.Minute)
		c.mu.Lock()
		older := *c.lbs[0]
		older.ID, older.Provisioning, older.Address = "older", statusError, "198.51.100.9"
		c.lbs = append([]*fakeLB{&older}, c.lbs...)
		c.mu.Unlock()
		b := c.begin(t)
		apply(t, b, l)
		time.Sleep(time.Minute)
		if len(c.lbs) != 1 || c.lbs[0].ID != "id-1" || bound(t, b) != "198.51.100.1" {
			t.Errorf("%d there, bound to %s: %v", len(c.lbs), bound(t, b), c.calls)
		}
		c.mu.Lock()
		late := *c.lbs[0]
		late.ID = "late"
		c.lbs[0].Provisioning = statusError
		c.lbs = append(c.lbs, &late)
		c.mu.Unlock()
		apply(t, b, l)
		time.Sleep(time.Minute)
		if len(c.lbs) != 2 {
			t.Errorf("the only one that serves was deleted: %v", c.calls)
		}
		c.mu.Lock()
		c.lbs[0].Provisioning = statusActive
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if len(c.lbs) != 1 || c.lbs[0].ID != "id-1" {
			t.Errorf("%d there: %v", len(c.lbs), c.calls)
		}
		apply(t, b)
		time.Sleep(time.Minute)
		if len(c.lbs) != 0 {
			t.Errorf("%d left", len(c.lbs))
		}
	})
}

// TestTaken: what is refused since it is there already makes the next step read everything; only a second refusal in a
// row is for the user.
func TestTaken(t *testing.T) {
	t.Parallel()
	a := fakeAPI(func(*http.Request) (int, string) {
		return http.StatusConflict, `{"faultstring":"Another Listener on this Load Balancer is already using port 80"}`
	})
	err := a.call(t.Context(), http.MethodPost, "listeners", map[string]any{}, nil)
	s := &stepper{engine: newEngine(Options{Log: slog.New(slog.DiscardHandler)}), work: item{seen: &Seen{}}}
	if pause := s.fail(err); pause > time.Second || len(s.work.findings) != 0 || s.work.seen != nil {
		t.Errorf("first: %s, %+v", pause, s.work.findings)
	}
	if pause := s.fail(err); pause != slow || len(s.work.findings) != 1 {
		t.Errorf("second: %s, %+v", pause, s.work.findings)
	}
}
