package octavia

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// One that has been ACTIVE may serve, though it lacks a floating IP yet: in ERROR it is an operator's, and not made again.
func TestErrorAfterActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{deny: "Quota exceeded for resources: ['floatingip']."}}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		c.mu.Lock()
		c.lbs[0].Provisioning = statusError
		c.mu.Unlock()
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(10 * time.Minute)
		if c.count("DELETE") > 0 || !slices.Equal(codes(healthOf(t, b).Findings), []lb.Code{lb.CodeCloudError}) {
			t.Errorf("%+v: %v", healthOf(t, b), c.calls)
		}
	})
}

// What takes the place of one that this process has created is not of its making.
func TestErrorOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{born: func(int) string { return "PENDING_CREATE" }}
		b := c.begin(t)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		c.mu.Lock()
		c.lbs[0].ID, c.lbs[0].Provisioning = "another", statusError
		c.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if c.count("DELETE") > 0 || !slices.Equal(codes(healthOf(t, b).Findings), []lb.Code{lb.CodeCloudError}) {
			t.Errorf("%+v: %v", healthOf(t, b), c.calls)
		}
	})
}

// A create gets no answer, and its object is deleted. It may come through all the same, and late: the object has to wait
// for that, although this process has seen an earlier load balancer of it go.
func TestDoubtfulRelease(t *testing.T) {
	for _, late := range []time.Duration{2 * time.Second, 6 * time.Second, 40 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{}
			b := c.begin(t, func(o *Options) { o.WriteLimit = 5 * time.Second })
			l := tcp(80, "192.0.2.11:30080")
			apply(t, b, l)
			time.Sleep(time.Minute)
			c.mu.Lock()
			c.lbs = nil
			c.deny = func(method, path string) (int, string) {
				if method != http.MethodPost {
					return 0, ""
				}
				if late < 10*time.Second {
					return http.StatusBadGateway, ""
				}
				return hang, ""
			}
			c.mu.Unlock()
			apply(t, b, l)
			for c.count("POST") < 2 {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(5 * time.Second)
			apply(t, b)
			b.Release([]lb.Origin{l.Origin})
			time.Sleep(late)
			if b.Released(l.Origin.Key) {
				t.Error("released too early")
			}
			c.mu.Lock()
			c.deny = nil
			c.mu.Unlock()
			if _, err := fakeAPI(c.serve).create(t.Context(), plant(l, Settings{})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			if !b.Released(l.Origin.Key) || len(c.lbs) != 0 {
				t.Errorf("%d there: %v", len(c.lbs), c.calls)
			}
		})
	}
}
