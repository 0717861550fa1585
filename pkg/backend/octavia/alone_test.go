package octavia

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// half is an object with an error as it is after a start: of its last good version nothing is known, and of its keys
// only some have been read.
func half() lb.LoadBalancer {
	l := tcp(80)
	l.Listeners = nil
	return l
}

// An object with an error adopts nothing: else what somebody else has made would be deleted with it.
func TestErrorAdoptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{lbs: []*fakeLB{{root: root{ID: "old", Name: "old", Provisioning: statusActive}}}}
		b := c.begin(t)
		l := half()
		l.Cloud.Adopt = "old"
		apply(t, b, l)
		time.Sleep(time.Minute)
		if h := healthOf(t, b); h.Ready || c.count("PUT")+c.count("POST")+c.count("DELETE") > 0 || !b.Settled() {
			t.Errorf("%+v: %v", h, c.calls)
		}
		apply(t, b)
		b.Release([]lb.Origin{l.Origin})
		time.Sleep(time.Minute)
		if len(c.lbs) != 1 || !b.Released(l.Origin.Key) {
			t.Errorf("%d there: %v", len(c.lbs), c.calls)
		}
	})
}
