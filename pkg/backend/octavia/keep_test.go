package octavia

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestRefusedIsNoOrphan: after a start, the load balancer of an object that may not share what it asks for serves on. It
// is not taken for one that nobody is known for.
func TestRefusedIsNoOrphan(t *testing.T) {
	for _, deletes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sweep := func(o *Options) { o.DeleteOrphans = deletes }
			e := &estate{neutron: &fakeNeutron{}}
			b, stop := e.begin(t, sweep, afloat)
			move(t, b, everybody, named("a", 80), sharer("b", 81))
			before, ips := e.text(), e.neutron.String()
			b, _ = e.restart(t, stop, []lb.LoadBalancer{unread(sharer("a", 80)), sharer("b", 81)}, sweep, afloat)
			if d := cmp.Diff(before, e.text()); d != "" || len(b.Orphans()) > 0 || e.neutron.String() != ips {
				t.Errorf("%+v, %s: %s", b.Orphans(), e.neutron, d)
			}
			move(t, b, everybody, named("a", 80), sharer("b", 81))
			if d := cmp.Diff(before, e.text()); d != "" || strings.Contains(told(t, b), "!") {
				t.Errorf("right again: %q %s", told(t, b), d)
			}
			move(t, b, everybody, sharer("b", 81))
			if strings.Contains(e.text(), "tcp-80") || !b.Released(named("a", 80).Origin.Key) {
				t.Errorf("gone: %s", e.text())
			}
		})
	}
}

// TestUnreadWithoutAddress: what is there of objects stays for as long as nobody knows what they want, also where their
// address is not known, and so nobody has their last good version.
func TestUnreadWithoutAddress(t *testing.T) {
	typo := unread(named("a", 80))
	for name, tc := range map[string]struct{ before, after []lb.LoadBalancer }{
		"the only sharer": {[]lb.LoadBalancer{sharer("a", 80)}, []lb.LoadBalancer{typo}},
		"one of two":      {[]lb.LoadBalancer{sharer("a", 80), sharer("b", 81)}, []lb.LoadBalancer{typo, sharer("b", 81)}},
		"one alone": {
			[]lb.LoadBalancer{named("a", 80), sharer("b", 81)},
			[]lb.LoadBalancer{unread(sharer("a", 80)), sharer("b", 81)},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &estate{neutron: &fakeNeutron{}}
			b, stop := e.begin(t, afloat)
			move(t, b, everybody, tc.before...)
			before, ips := e.text(), e.neutron.String()
			stop()
			e.mu.Lock()
			e.neutron.denied = true
			e.mu.Unlock()
			b, _ = e.begin(t, afloat)
			move(t, b, everybody, tc.before...)
			move(t, b, everybody, tc.after...)
			if d := cmp.Diff(before, e.text()); d != "" || e.neutron.String() != ips {
				t.Errorf("%s: %s %s", name, e.neutron, d)
			}
			e.mu.Lock()
			e.neutron.denied = false
			e.mu.Unlock()
			time.Sleep(5 * time.Minute)
			move(t, b, everybody, tc.after...)
			if name != "one of two" && !strings.Contains(told(t, b), "a=203.0.113.") {
				t.Errorf("%s: %q", name, told(t, b))
			}
			move(t, b, everybody, tc.before...)
			if d := cmp.Diff(before, e.text()); d != "" || e.neutron.String() != ips || strings.Contains(told(t, b), "!") {
				t.Errorf("%s, right again: %q %s %s", name, told(t, b), e.neutron, d)
			}
		})
	}
}
