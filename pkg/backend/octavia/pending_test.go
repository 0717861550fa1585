package octavia

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
