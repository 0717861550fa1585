package octavia

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// One that can lead nowhere is asked for in place of the one that clients use: that one stays, and is not taken away at
// each try to see whether the other can by now.
func TestFloatingIPRefused(t *testing.T) {
	for name, trouble := range map[string]struct {
		reject, late string
		status       int
		// detached is how often the old one may be taken away within an hour, codes what is said.
		detached int
		codes    []lb.Code
		// heals is how long after the trouble's end the one that is asked for leads there.
		heals time.Duration
	}{
		"at once":       {reject: "x", codes: []lb.Code{lb.CodeCloudRefused}, heals: time.Minute},
		"when free":     {late: "x", detached: 1, codes: []lb.Code{lb.CodeCloudRefused}, heals: time.Hour},
		"a fault of it": {late: "x", status: http.StatusInternalServerError, detached: 12, heals: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				free := floatingIP{ID: "x", Address: "203.0.113.99", NetworkID: "public"}
				c := &cloud{neutron: &fakeNeutron{ips: []floatingIP{free}, status: trouble.status}}
				b, l := c.begin(t, afloat), tcp(80, "192.0.2.11:30080")
				apply(t, b, l)
				time.Sleep(time.Minute)
				c.mu.Lock()
				c.neutron.reject, c.neutron.late = trouble.reject, trouble.late
				c.mu.Unlock()
				l.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.99")}
				for range 60 {
					apply(t, b, l)
					time.Sleep(59 * time.Second)
				}
				c.mu.Lock()
				if n := c.neutron.detached; n > trouble.detached {
					t.Errorf("the one that clients use was taken away %d times", n)
				}
				if got := c.neutron.String(); got != "203.0.113.99> 203.0.113.1>port-1" {
					t.Errorf("%q", got)
				}
				c.neutron.reject, c.neutron.late = "", ""
				c.mu.Unlock()
				if h := healthOf(t, b); bound(t, b) != "203.0.113.1" || len(trouble.codes) > 0 && !slices.Equal(codes(h.Findings), trouble.codes) {
					t.Errorf("bound to %s, %+v", bound(t, b), h)
				}
				time.Sleep(trouble.heals)
				if got := c.neutron.String(); got != "203.0.113.99>port-1" || bound(t, b) != "203.0.113.99" || !healthOf(t, b).Ready {
					t.Errorf("%q, bound to %q, %+v", got, bound(t, b), healthOf(t, b))
				}
			})
		})
	}
}

// Another wish is tried at once, and so is the same one after a change.
func TestFloatingIPRefusedAndChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{late: "x", ips: []floatingIP{{ID: "x", Address: "203.0.113.99", NetworkID: "public"},
			{ID: "y", Address: "203.0.113.98", NetworkID: "public"}}}}
		b, l := c.begin(t, afloat), tcp(80, "192.0.2.11:30080")
		apply(t, b, l)
		time.Sleep(time.Minute)
		for _, address := range []string{"203.0.113.99", "203.0.113.98", "203.0.113.99"} {
			l.VIPs = []netip.Addr{netip.MustParseAddr(address)}
			apply(t, b, l)
			time.Sleep(time.Minute)
			if got := bound(t, b); address == "203.0.113.98" && got != address || c.neutron.detached > 4 {
				t.Errorf("%s: bound to %s, taken away %d times: %s", address, got, c.neutron.detached, c.neutron)
			}
		}
		c.mu.Lock()
		c.neutron.late = ""
		c.mu.Unlock()
		for _, address := range []string{"203.0.113.98", "203.0.113.99"} {
			l.VIPs = []netip.Addr{netip.MustParseAddr(address)}
			apply(t, b, l)
			time.Sleep(time.Minute)
			if got := c.neutron.String(); !strings.Contains(got, address+">port-1") || bound(t, b) != address {
				t.Errorf("%s, bound to %s", got, bound(t, b))
			}
		}
	})
}

// One of another network is there before the old one goes, where Neutron lets a port have one of each.
func TestFloatingIPWithoutGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		b, l := c.begin(t, afloat), tcp(80, "192.0.2.11:30080")
		apply(t, b, l)
		time.Sleep(time.Minute)
		l.Cloud.FloatingNetwork = "other"
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.2>port-1" || bound(t, b) != "203.0.113.2" || c.neutron.detached != 0 {
			t.Errorf("%q, bound to %s, taken away %d times", got, bound(t, b), c.neutron.detached)
		}
	})
}

// elsewhere asks for another floating IP of the same network, which is there.
func elsewhere(l lb.LoadBalancer) (lb.LoadBalancer, floatingIP) {
	l.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.99")}
	return l, floatingIP{ID: "x", Address: "203.0.113.99", NetworkID: "public"}
}

// A Neutron that is away just when the old one has been taken from the port, and the new one cannot lead there either:
// nobody is told of the old one then, and it comes back as soon as it can, although the new one still cannot.
func TestFloatingIPLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other, free := elsewhere(tcp(80, "192.0.2.11:30080"))
		n := &fakeNeutron{ips: []floatingIP{free}, late: "x", status: http.StatusInternalServerError}
		c := &cloud{neutron: n}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		away := false
		n.fault = func(_, port string) int {
			if away = away || port == ""; away && port != "" {
				return http.StatusBadGateway
			}
			return 0
		}
		apply(t, b, other)
		time.Sleep(time.Minute)
		if h := healthOf(t, b); bound(t, b) != "" || h.Ready || c.neutron.String() != "203.0.113.99> 203.0.113.1>" {
			t.Errorf("%s, bound to %q, %+v", c.neutron, bound(t, b), h)
		}
		c.mu.Lock()
		n.fault = nil
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if bound(t, b) != "203.0.113.1" || c.neutron.String() != "203.0.113.99> 203.0.113.1>port-1" {
			t.Errorf("%s, bound to %q", c.neutron, bound(t, b))
		}
		c.mu.Lock()
		n.late = ""
		c.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if bound(t, b) != "203.0.113.99" || c.neutron.String() != "203.0.113.99>port-1" || !healthOf(t, b).Ready {
			t.Errorf("%s, bound to %q", c.neutron, bound(t, b))
		}
	})
}

// One of the user's own making that was taken from the port, and could not be brought back at once, leads there again as
// soon as it can: in the same process, in the next one, and where the user asks for no other one any more.
func TestFloatingIPOfUserLost(t *testing.T) {
	for _, then := range []string{"same", "next", "taken back"} {
		synctest.Test(t, func(t *testing.T) {
			other, free := elsewhere(named("a", 80))
			mine := floatingIP{ID: "u", Address: "203.0.113.50", NetworkID: "public", Description: "mine"}
			n := &fakeNeutron{ips: []floatingIP{free, mine}, late: "x", status: http.StatusInternalServerError}
			e := &estate{neutron: n}
			b, stop := e.begin(t, afloat)
			l := named("a", 80)
			l.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.50")}
			apply(t, b, l)
			time.Sleep(time.Minute)
			had := n.String()
			away := false
			n.fault = func(_, port string) int {
				if away = away || port == ""; away && port != "" {
					return http.StatusBadGateway
				}
				return 0
			}
			other.Cloud.Recorded = l.VIPs
			apply(t, b, other)
			time.Sleep(time.Minute)
			if bound(t, b) != "" || n.String() != "203.0.113.99> 203.0.113.50>" {
				t.Fatalf("%s, bound to %q", n, bound(t, b))
			}
			switch then {
			case "next":
				stop()
				b, _ = e.begin(t, afloat)
				apply(t, b, other)
			case "taken back":
				other.VIPs = nil
				apply(t, b, other)
			}
			time.Sleep(time.Minute)
			e.mu.Lock()
			n.fault = nil
			e.mu.Unlock()
			time.Sleep(2 * time.Minute)
			if bound(t, b) != "203.0.113.50" || n.String() != had || n.made != 0 {
				t.Errorf("%s: %s, bound to %q", then, n, bound(t, b))
			}
		})
	}
}

// One that was made for another object is not taken, whatever an object says that its address is.
func TestFloatingIPOfAnotherObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, free := elsewhere(tcp(80, "192.0.2.11:30080"))
		other := floatingIP{ID: "o", Address: "203.0.113.50", NetworkID: "public",
			Description: floatingOwner("c", lb.Key{Namespace: "default", Name: "other"})}
		c := &cloud{neutron: &fakeNeutron{ips: []floatingIP{free, other}, late: "x"}}
		l.Cloud.Recorded = []netip.Addr{netip.MustParseAddr("203.0.113.50")}
		b := c.begin(t, afloat)
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.99> 203.0.113.50>" || bound(t, b) != "" {
			t.Errorf("%s, bound to %q", got, bound(t, b))
		}
	})
}

// What a process that was killed amid a change has left detached leads there again where the new one cannot.
func TestFloatingIPCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, free := elsewhere(tcp(80, "192.0.2.11:30080"))
		old := floatingIP{ID: "old", Address: "203.0.113.50", NetworkID: "public",
			Description: floatingOwner("c", l.Origin.Key)}
		c := &cloud{neutron: &fakeNeutron{ips: []floatingIP{free, old}, late: "x"}}
		b := c.begin(t, afloat)
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.99> 203.0.113.50>port-1" || bound(t, b) != "203.0.113.50" {
			t.Errorf("%s, bound to %q", got, bound(t, b))
		}
	})
}

// One of several that cannot be taken from the port: those before it come back.
func TestFloatingIPDetachFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, free := elsewhere(tcp(80, "192.0.2.11:30080"))
		n := &fakeNeutron{ips: []floatingIP{free}, late: "x"}
		c := &cloud{neutron: n}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		c.mu.Lock()
		n.ips = append(n.ips, floatingIP{ID: "y", Address: "203.0.113.60", NetworkID: "third", PortID: "port-1"})
		n.fault = func(id, port string) int {
			if id == "y" && port == "" {
				return http.StatusInternalServerError
			}
			return 0
		}
		c.mu.Unlock()
		apply(t, b, l)
		time.Sleep(time.Minute)
		want := "203.0.113.99> 203.0.113.1>port-1 203.0.113.60>port-1"
		if got := c.neutron.String(); got != want || bound(t, b) != "203.0.113.1" {
			t.Errorf("%s, bound to %q", got, bound(t, b))
		}
	})
}

// A process that ends amid a change brings the old one back before.
func TestFloatingIPEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, free := elsewhere(named("a", 80))
		e := &estate{neutron: &fakeNeutron{ips: []floatingIP{free}}}
		b, stop := e.begin(t, afloat)
		apply(t, b, named("a", 80))
		time.Sleep(time.Minute)
		before := e.neutron.String()
		e.neutron.fault = func(id, port string) int {
			if id == "x" && port != "" && e.neutron.detached > 0 {
				stop()
				return hang
			}
			return 0
		}
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := e.neutron.String(); got != before || e.neutron.detached != 1 {
			t.Errorf("%s before, then %s", before, got)
		}
	})
}
