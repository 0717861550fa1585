package octavia

import (
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
