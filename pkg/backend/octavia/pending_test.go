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

// A change of the process before lands while everything is read: what is below is seen in PENDING_UPDATE, although the
// load balancer was ACTIVE a moment ago. It is not broken, and nothing is made anew.
func TestLatePut(t *testing.T) {
	for _, landed := range []string{"a change", "the end of one"} {
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{}
			l := tcp(80, "192.0.2.11:30080")
			apply(t, c.begin(t), l)
			time.Sleep(time.Minute)
			c.calls = nil
			late := true
			c.deny = func(_, path string) (int, string) {
				if !late || !strings.HasSuffix(path, "/status") {
					return 0, ""
				}
				late, c.lbs[0].children = false, "PENDING_UPDATE"
				if landed == "a change" {
					c.lbs[0].Provisioning, c.lbs[0].next, c.lbs[0].ready = "PENDING_UPDATE", statusActive, time.Now().Add(5*time.Second)
				}
				time.AfterFunc(6*time.Second/10, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.lbs[0].children, c.lbs[0].Updated = "", "later"
				})
				return 0, ""
			}
			b := c.begin(t)
			apply(t, b, l)
			time.Sleep(time.Minute)
			if c.count("DELETE")+c.count("POST")+c.count("PUT") > 0 || !healthOf(t, b).Ready {
				t.Errorf("%s: %v", landed, c.calls)
			}
		})
	}
}

// What Octavia has forgotten below an ACTIVE load balancer stays in PENDING_CREATE for good: it is made by calls of its
// own, once a second look shows the same.
func TestForgottenChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		var done []string
		c.deny = func(method, path string) (int, string) {
			if method == http.MethodGet || path == "loadbalancers" {
				return 0, ""
			}
			done = append(done, method+" "+path)
			if c.lbs[0].children = ""; method == http.MethodDelete {
				return http.StatusNoContent, ""
			}
			return http.StatusCreated, "{}"
		}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(100 * time.Millisecond)
		c.mu.Lock()
		c.lbs[0].children = "PENDING_CREATE"
		c.mu.Unlock()
		time.Sleep(30 * time.Second)
		if len(done) == 0 || !slices.Equal(done[:3], []string{"DELETE listeners/tcp-80", "DELETE pools/tcp-80", "POST pools"}) ||
			!healthOf(t, b).Ready {
			t.Errorf("%v, %+v: %v", done, healthOf(t, b), c.calls)
		}
	})
}

// A refusal since Octavia is at work means that something has changed: all is read before the next try.
func TestBusyReadsAnew(t *testing.T) {
	t.Parallel()
	a := fakeAPI(func(*http.Request) (int, string) {
		return http.StatusConflict, `{"faultstring":"Load Balancer x is immutable and cannot be updated."}`
	})
	w := plant(tcp(80, "192.0.2.11:30080"), Settings{})
	seen := grown(w)
	seen.Pools[0].Members = nil
	e := newEngine(Options{Log: slog.New(slog.DiscardHandler)})
	e.api = a
	s := &stepper{engine: e, want: w, work: item{seen: &seen, last: root{Name: w.Name, Tags: w.Tags}}}
	if _, err := s.converge(t.Context()); err == nil || understand(err).trouble != troubleBusy || s.work.seen != nil {
		t.Errorf("%v, seen %v", err, s.work.seen)
	}
}

// Octavia refuses every change of a load balancer that is ACTIVE since something below it is stuck. It is asked less
// and less, and the user is told after a while.
func TestBalks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		balks := true
		c.deny = func(method, _ string) (int, string) {
			if method == http.MethodGet {
				return 0, ""
			}
			if balks {
				return http.StatusConflict, `{"faultstring":"Pool x is immutable and cannot be updated."}`
			}
			c.lbs[0].tree.Listeners[0].Pool.Members = []Member{{Address: "192.0.2.12", Port: 30080}}
			return http.StatusAccepted, "{}"
		}
		apply(t, b, tcp(80, "192.0.2.12:30080"))
		time.Sleep(DefaultStuckAfter - time.Minute)
		if n, h := c.count("PUT"), healthOf(t, b); n < 20 || n > 60 || len(h.Findings) > 0 {
			t.Errorf("%d tries, %+v", n, h)
		}
		time.Sleep(2 * time.Minute)
		if h := healthOf(t, b); !h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudStuck}) {
			t.Errorf("%+v", h)
		}
		before := c.count("PUT")
		time.Sleep(time.Hour)
		if n := c.count("PUT") - before; n > 121 {
			t.Errorf("%d tries an hour", n)
		}
		c.mu.Lock()
		balks = false
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) > 0 || !b.Settled() {
			t.Errorf("%+v", h)
		}
	})
}

// TestCreateUnderWay: a create may take minutes, and what it is at is told meanwhile, of one alone and of a share.
func TestCreateUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, changes := &estate{cut: func(int, bool) bool { return true }}, 0
		b, _ := e.begin(t, func(o *Options) { o.Changed = func() { changes++ } })
		apply(t, b, named("a", 80), sharer("b", 81))
		time.Sleep(10 * time.Second)
		s, err := b.State(t.Context())
		if err != nil || changes == 0 {
			t.Errorf("%v, %d changes", err, changes)
		}
		for _, name := range []string{"a", "b"} {
			h, ok := s.Health[named(name, 1).Origin.Key]
			if !ok || h.Ready || h.Reason != "Octavia has been asked to make it" {
				t.Errorf("%s: %v, %+v", name, ok, h)
			}
		}
	})
}
