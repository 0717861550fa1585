package octavia

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestHangingList: an OpenStack that does not answer holds nobody who hands something over, for longer than a moment and
// more than once. What was handed over meanwhile is done as soon as it answers, with one list.
func TestHangingList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		var down atomic.Bool
		var told atomic.Int32
		down.Store(true)
		b := c.begin(t, func(o *Options) {
			o.ListEvery, o.Changed = time.Hour, func() { told.Add(1) }
		})
		next := b.engine.api.session.octavia.HTTPClient.Transport
		b.engine.api.session.octavia.HTTPClient.Transport = rounds(func(r *http.Request) (*http.Response, error) {
			if down.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return next.RoundTrip(r)
		})
		begin := time.Now()
		for range 20 {
			apply(t, b, tcp(80, "192.0.2.11:30080"))
		}
		if d := time.Since(begin); d > patience {
			t.Errorf("handed over after %s", d)
		}
		if s, err := b.State(t.Context()); err != nil || time.Until(s.Expires) < time.Minute || b.Settled() {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(DefaultReadLimit)
		want := []lb.LoadBalancer{tcp(80, "192.0.2.12:30080")}
		if err := b.Apply(t.Context(), want); err == nil || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%v", err)
		}
		if told.Load() == 0 {
			t.Error("nobody is told of the failure")
		}
		down.Store(false)
		time.Sleep(2 * time.Minute)
		if err := b.Apply(t.Context(), want); err != nil || !b.Settled() || c.made != 1 {
			t.Errorf("%v, %d made", err, c.made)
		}
		if n := c.count("GET loadbalancers") - c.count("GET loadbalancers/"); n > 2 {
			t.Errorf("%d lists", n)
		}
	})
}

// TestListRetryAfter: a list that is refused for now is made again when the service wants it, not with each pass.
func TestListRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{deny: func(method, _ string) (int, string) {
			return map[bool]int{true: http.StatusServiceUnavailable}[method == http.MethodGet], ""
		}}
		b := c.begin(t)
		for range 100 {
			if err := b.Apply(t.Context(), nil); err == nil {
				t.Fatal("it does not say that the list fails")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(c.calls); n > 2 { // Retry-After: 7 seconds
			t.Errorf("%d lists in 10 s", n)
		}
	})
}
