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

// An object with an error after a start keeps its floating IP and what becomes of that, and is not told the address
// inside in its place. Once it is right again, all is as before.
func TestErrorKeepsFloatingIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		l := tcp(80, "192.0.2.11:30080")
		l.Cloud.FloatingNetwork, l.Cloud.KeepFloating = "public", true
		b := c.begin(t)
		apply(t, b, l)
		time.Sleep(time.Minute)
		without, other := half(), half()
		other.Cloud.FloatingNetwork = "public"
		for _, broken := range []lb.LoadBalancer{without, other} {
			c.calls = nil
			b = c.begin(t)
			apply(t, b, broken)
			time.Sleep(time.Minute)
			if c.count("PUT")+c.count("POST")+c.count("DELETE") > 0 || !healthOf(t, b).Ready || !b.Settled() {
				t.Errorf("%+v: %v", healthOf(t, b), c.calls)
			}
			if got := c.neutron.String(); got != "203.0.113.1>port-1" || bound(t, b) != "" {
				t.Errorf("%q, bound to %q", got, bound(t, b))
			}
		}
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := bound(t, b); got != "203.0.113.1" || c.neutron.made != 1 {
			t.Errorf("bound to %q, %d made", got, c.neutron.made)
		}
	})
}

// A configuration without the network of floating IPs drops none: they are taken from the load balancers, and come back
// with it. Only an object can give its own up.
func TestFloatingNetworkRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		l := tcp(80, "192.0.2.11:30080")
		for _, step := range []struct {
			change        []func(*Options)
			neutron, told string
		}{
			{[]func(*Options){afloat}, "203.0.113.1>port-1", "203.0.113.1"},
			{nil, "203.0.113.1>", "198.51.100.1"},
			{[]func(*Options){afloat}, "203.0.113.1>port-1", "203.0.113.1"},
		} {
			b := c.begin(t, step.change...)
			apply(t, b, l)
			time.Sleep(time.Minute)
			if got := c.neutron.String(); got != step.neutron || bound(t, b) != step.told {
				t.Errorf("%q, bound to %q", got, bound(t, b))
			}
		}
	})
}

// UUIDs have several spellings: none of them makes another floating IP.
func TestFloatingNetworkSpelling(t *testing.T) {
	t.Parallel()
	ip := floatingIP{NetworkID: "c0ffee00-0000-4000-8000-00000000000a"}
	for text, want := range map[string]bool{
		ip.NetworkID: true, "C0FFEE00-0000-4000-8000-00000000000A": true, "c0ffee000000400080000000000000 0a": false,
		"c0ffee0000004000800000000000000a": true, "c0ffee00-0000-4000-8000-00000000000b": false,
	} {
		if got := (Floating{NetworkID: text}).fits(ip); got != want {
			t.Errorf("%s fits: %v", text, got)
		}
	}
}
