package octavia

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestDeleteRefused says why something does not go, as long as it is there.
func TestDeleteRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{deny: func(method, _ string) (int, string) {
			if method == http.MethodDelete {
				return http.StatusForbidden, `{"faultstring":"Policy does not allow this request to be performed."}`
			}
			return 0, ""
		}}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		apply(t, b)
		time.Sleep(time.Minute)
		h := healthOf(t, b)
		if h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudDenied}) || h.Cloud == nil || h.Cloud.ID != "id-1" {
			t.Errorf("%+v", h)
		}
		s, err := b.State(t.Context())
		if err != nil || len(s.LoadBalancers) != 0 {
			t.Errorf("what is to go counts as current: %+v, %v", s.LoadBalancers, err)
		}
	})
}

// TestDeleteWithoutNeutron: the load balancer goes although its floating IP cannot; the object waits for that, and says so.
func TestDeleteWithoutNeutron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		b = c.begin(t, afloat) // one that knows no more of it than its tags say
		c.mu.Lock()
		c.neutron.denied = true
		c.lbs[0].Tags = append(c.lbs[0].Tags, floatingCease)
		c.mu.Unlock()
		b.Release([]lb.Origin{tcp(80).Origin})
		time.Sleep(time.Minute)
		h := healthOf(t, b)
		if len(c.lbs) != 0 || b.Released(tcp(80).Origin.Key) || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudDenied}) {
			t.Errorf("%d there, released %v, %+v", len(c.lbs), b.Released(tcp(80).Origin.Key), h)
		}
		c.mu.Lock()
		c.neutron.denied = false
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if len(c.neutron.ips) != 0 || !b.Released(tcp(80).Origin.Key) {
			t.Errorf("%s, released %v", c.neutron, b.Released(tcp(80).Origin.Key))
		}
	})
}
