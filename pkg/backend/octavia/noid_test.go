package octavia

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestNoID: an answer to a create without an id is no answer; it is looked for before another one is made.
func TestNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, blank := &cloud{}, true
		c.deny = func(method, _ string) (int, string) {
			if method != http.MethodPost || !blank {
				return 0, ""
			}
			blank = false
			l := &fakeLB{root: root{ID: "id-0", Name: "x", Tags: plant(tcp(80), Settings{}).Tags, Provisioning: statusError}}
			c.lbs = append(c.lbs, l)
			return http.StatusCreated, `{"loadbalancer":{}}`
		}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		if c.count("POST") != 1 || b.engine.items[tcp(80).Origin.Key].id != "id-0" {
			t.Errorf("%v", c.calls)
		}
	})
}

// TestListNoID: what has no id is nobody's, and nothing is made of it.
func TestListNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{lbs: []*fakeLB{{root: root{Tags: plant(tcp(80), Settings{}).Tags}}}}
		b := c.begin(t)
		b.Release([]lb.Origin{tcp(80).Origin})
		time.Sleep(time.Minute)
		if !b.Released(tcp(80).Origin.Key) {
			t.Error("it is not let go")
		}
	})
}

func TestPostNoID(t *testing.T) {
	t.Parallel()
	a := fakeAPI(func(*http.Request) (int, string) { return http.StatusCreated, `{"pool":{}}` })
	if id, err := a.post(t.Context(), "pools", "pool", map[string]any{}); err == nil || understand(err).trouble != troubleWeather {
		t.Errorf("%q, %v", id, err)
	}
}
