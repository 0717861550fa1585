package octavia

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestChangeLate: a change that cannot be made is a warning after a minute, as long as what was before serves.
func TestChangeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		c := &cloud{}
		c.deny = func(method, path string) (int, string) {
			switch {
			case down:
				return http.StatusBadGateway, ""
			case method == http.MethodPut:
				c.lbs[0].tree.Listeners[0].Pool.Members = []Member{{Address: "192.0.2.12", Port: 30080}}
				return http.StatusAccepted, "{}"
			case path == "listeners" || path == "pools":
				return http.StatusOK, "{}"
			}
			return 0, ""
		}
		b := c.begin(t, func(o *Options) { o.ListEvery = time.Hour })
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		set := func(d bool) { c.mu.Lock(); down = d; c.mu.Unlock() }
		set(true)
		for i := range 3 { // nodes come and go meanwhile
			apply(t, b, tcp(80, "192.0.2.12:30080", []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}[i]))
			time.Sleep(15 * time.Second)
		}
		apply(t, b, tcp(80, "192.0.2.12:30080"))
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("too early: %+v", h)
		}
		time.Sleep(2 * time.Minute)
		h := healthOf(t, b)
		if !h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudLate}) || !strings.Contains(h.Findings[0].Message, "502") {
			t.Errorf("%+v", h)
		}
		set(false)
		time.Sleep(2 * time.Minute)
		if h := healthOf(t, b); !h.Ready || len(h.Findings) != 0 {
			t.Errorf("afterwards: %+v", h)
		}
	})
}

// TestAddressStays says that a load balancer cannot move, until the address that it has is asked for again.
func TestAddressStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t)
		l := tcp(80, "192.0.2.11:30080")
		for _, step := range []struct {
			asked    string
			findings int
		}{{"198.51.100.77", 0}, {"198.51.100.78", 1}, {"198.51.100.77", 0}} {
			l.VIPs = []netip.Addr{netip.MustParseAddr(step.asked)}
			apply(t, b, l)
			time.Sleep(time.Minute)
			h := healthOf(t, b)
			if !h.Ready || len(h.Findings) != step.findings || bound(t, b) != "198.51.100.77" {
				t.Errorf("%s: %+v", step.asked, h)
			}
			for _, f := range h.Findings {
				if f.Code != lb.CodeCloudRefused || !strings.Contains(f.Message, "cannot get the address 198.51.100.78") {
					t.Errorf("%s", f)
				}
			}
		}
	})
}

// TestMembersAnew: members with another subnet or another port for their checks are told anew, once.
func TestMembersAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		var told []Member
		c.deny = func(method, path string) (int, string) {
			if method == http.MethodPut && strings.HasSuffix(path, "/members") {
				return http.StatusAccepted, "{}"
			}
			return 0, ""
		}
		subnet := "one"
		b := c.begin(t, func(o *Options) {
			o.Settings = func(lb.Key) Settings { return Settings{Placement: Placement{SubnetID: "s"}, MemberSubnetID: subnet} }
		})
		next := b.engine.api.session.octavia.HTTPClient.Transport
		b.engine.api.session.octavia.HTTPClient.Transport = rounds(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				var body struct {
					Members []Member `json:"members"`
				}
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				told = body.Members
			}
			return next.RoundTrip(r)
		})
		l := tcp(80, "192.0.2.11:30080")
		apply(t, b, l)
		time.Sleep(3 * time.Minute)
		if c.count("PUT") != 0 {
			t.Errorf("%v", c.calls)
		}
		subnet = "two"
		apply(t, b, l)
		time.Sleep(time.Minute)
		if c.count("PUT") != 1 || len(told) != 1 || told[0].SubnetID != "two" || !healthOf(t, b).Ready || !b.Settled() {
			t.Errorf("%v, %+v", c.calls, told)
		}
	})
}
