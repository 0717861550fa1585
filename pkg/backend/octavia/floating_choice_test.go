package octavia

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// twins are a cloud that has two load balancers for one object, both with floating IPs, as a killed process and its
// successor may leave them. Clients use that of id-1, which is the younger one; its floating IP is 203.0.113.1.
func twins(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{neutron: &fakeNeutron{}}
	apply(t, c.begin(t, afloat), tcp(80, "192.0.2.11:30080"))
	time.Sleep(time.Minute)
	c.mu.Lock()
	defer c.mu.Unlock()
	older := *c.lbs[0]
	older.ID, older.Address, older.PortID = "older", "198.51.100.9", "port-9"
	c.lbs = append([]*fakeLB{&older}, c.lbs...)
	c.neutron.ips = append([]floatingIP{{
		ID: "fip-9", Address: "203.0.113.9", NetworkID: "public", PortID: "port-9", Description: c.neutron.ips[0].Description,
	}}, c.neutron.ips...)
	return c
}

// After a restart, of two with floating IPs the one stays to which the object's address leads, as Neutron says.
func TestDoubleAfloat(t *testing.T) {
	at := func(address string) lb.LoadBalancer {
		l := tcp(80, "192.0.2.11:30080")
		if address != "" {
			l.Cloud.Recorded = []netip.Addr{netip.MustParseAddr(address)}
		}
		return l
	}
	asks := at("")
	asks.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.1")}
	broken := at("203.0.113.1")
	broken.Listeners = nil
	for name, c := range map[string]struct {
		want  lb.LoadBalancer
		keeps string
		bound string
		// lone says that only id-1 has a floating IP.
		lone bool
	}{
		"the younger one's":         {want: at("203.0.113.1"), keeps: "id-1", bound: "203.0.113.1"},
		"the older one's":           {want: at("203.0.113.9"), keeps: "older", bound: "203.0.113.9"},
		"the one asked for":         {want: asks, keeps: "id-1", bound: "203.0.113.1"},
		"nobody's":                  {want: at("203.0.113.77"), keeps: "older", bound: "203.0.113.9"},
		"only one has any":          {want: at(""), keeps: "id-1", bound: "203.0.113.1", lone: true},
		"of an object with a fault": {want: broken, keeps: "id-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cloud := twins(t)
				if c.lone {
					cloud.neutron.ips = cloud.neutron.ips[1:]
				}
				b := cloud.begin(t, afloat)
				apply(t, b, c.want)
				time.Sleep(2 * time.Minute)
				if len(cloud.lbs) != 1 || cloud.lbs[0].ID != c.keeps || cloud.made != 1 || c.bound != "" && bound(t, b) != c.bound {
					t.Errorf("%d there, the first is %s, %d were made, bound to %s: %+v", len(cloud.lbs), cloud.lbs[0].ID, cloud.made,
						bound(t, b), healthOf(t, b))
				}
			})
		})
	}
}

// As long as Neutron does not say which one it is, both stay, and none is made beside them.
func TestDoubleAfloatInTheDark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := twins(t)
		c.neutron.denied = true
		l := tcp(80, "192.0.2.11:30080")
		l.Cloud.Recorded = []netip.Addr{netip.MustParseAddr("203.0.113.1")}
		b := c.begin(t, afloat)
		for range 3 {
			apply(t, b, l)
			time.Sleep(time.Minute)
		}
		h := healthOf(t, b)
		if len(c.lbs) != 2 || c.made != 1 || len(h.Findings) != 1 || !strings.Contains(h.Findings[0].Message, "disallowed by policy") {
			t.Errorf("%d there, %d were made: %+v", len(c.lbs), c.made, h)
		}
		c.mu.Lock()
		c.neutron.denied = false
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if len(c.lbs) != 1 || c.lbs[0].ID != "id-1" || !healthOf(t, b).Ready || bound(t, b) != "203.0.113.1" {
			t.Errorf("%d there, bound to %s: %+v", len(c.lbs), bound(t, b), healthOf(t, b))
		}
	})
}
