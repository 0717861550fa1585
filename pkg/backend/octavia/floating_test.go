package octavia

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// fakeNeutron is as much of Neutron as floating IPs need. Its callers hold the cloud's lock.
type fakeNeutron struct {
	ips  []floatingIP
	made int
	deny string
	// denied refuses everything.
	denied bool
	// reject is the id of one that can lead nowhere, late that of one of which this shows only where the port is free.
	reject, late string
	// status is what those are refused with, 404 if 0.
	status int
	// fault answers a call that lets one lead to a port, or to none, in place of doing it; 0 lets it pass.
	fault func(id, port string) int
	// detached counts how often one was taken from a port.
	detached int
}

func (n *fakeNeutron) unplug(port string) {
	if n == nil {
		return
	}
	for i := range n.ips {
		if n.ips[i].PortID == port {
			n.ips[i].PortID = ""
		}
	}
}

func (n *fakeNeutron) serve(r *http.Request, calls *[]string) (int, string) {
	path := strings.TrimPrefix(r.URL.Path, "/v2.0/")
	*calls = append(*calls, r.Method+" "+path)
	i := slices.IndexFunc(n.ips, func(f floatingIP) bool { return "floatingips/"+f.ID == path })
	var body struct {
		IP floatingIP `json:"floatingip"`
	}
	labels := false
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		text, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(text, &body) != nil {
			return http.StatusBadRequest, string(text)
		}
		labels = r.Method == http.MethodPut && !strings.Contains(string(text), "port_id")
	}
	if n.fault != nil && r.Method == http.MethodPut && i >= 0 && !labels {
		if status := n.fault(n.ips[i].ID, body.IP.PortID); status != 0 {
			return status, "{}"
		}
	}
	switch {
	case n.denied:
		return http.StatusForbidden, `{"NeutronError":{"message":"rule:get_floatingip is disallowed by policy"}}`
	case r.Method == http.MethodGet: // all of them: whoever asks must not rely on the filter
		return encode(map[string]any{"floatingips": n.ips})
	case r.Method == http.MethodPost && n.deny != "":
		return http.StatusConflict, `{"NeutronError":{"type":"OverQuota","message":"` + n.deny + `"}}`
	case r.Method == http.MethodPost:
		n.made++
		body.IP.ID, body.IP.Address = fmt.Sprintf("fip-%d", n.made), orElse(body.IP.Address, fmt.Sprintf("203.0.113.%d", n.made))
		n.ips = append(n.ips, body.IP)
		_, text := encode(map[string]any{"floatingip": body.IP})
		return http.StatusCreated, text
	case i < 0:
		return http.StatusNotFound, `{"NeutronError":{"message":"Floating IP could not be found"}}`
	case labels:
		n.ips[i].Description = body.IP.Description
		return http.StatusOK, "{}"
	case r.Method == http.MethodPut && body.IP.PortID != "" && n.reject == n.ips[i].ID:
		return cmp.Or(n.status, http.StatusNotFound), `{"NeutronError":{"message":"External network is not reachable from subnet"}}`
	case r.Method == http.MethodPut && body.IP.PortID != "" && slices.ContainsFunc(n.ips, func(f floatingIP) bool {
		return f.PortID == body.IP.PortID && f.NetworkID == n.ips[i].NetworkID
	}):
		return http.StatusConflict, `{"NeutronError":{"message":"Cannot associate floating IP with port, as that already has one"}}`
	case r.Method == http.MethodPut && body.IP.PortID != "" && n.late == n.ips[i].ID:
		return cmp.Or(n.status, http.StatusNotFound), `{"NeutronError":{"message":"External network is not reachable from subnet"}}`
	case r.Method == http.MethodPut:
		if body.IP.PortID == "" {
			n.detached++
		}
		n.ips[i].PortID = body.IP.PortID
		return http.StatusOK, "{}"
	default:
		n.ips = slices.Delete(n.ips, i, i+1)
		return http.StatusNoContent, ""
	}
}

func (n *fakeNeutron) String() string {
	var words []string
	for _, f := range n.ips {
		words = append(words, f.Address+">"+f.PortID)
	}
	return strings.Join(words, " ")
}

func afloat(o *Options) { o.Defaults.FloatingNetwork = "public" }

// bound returns the addresses that the object is told.
func bound(t *testing.T, b *Backend) string {
	t.Helper()
	s, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, l := range s.LoadBalancers {
		for _, a := range l.VIPs {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, " ")
}

// A load balancer gets a floating IP, which is the address that its user is told, before it is ready. It goes with the
// load balancer, and nothing else does.
func TestFloatingIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := floatingIP{ID: "x", Address: "203.0.113.99", NetworkID: "public", Description: "somebody's"}
		c := &cloud{neutron: &fakeNeutron{ips: []floatingIP{other}}}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(100 * time.Millisecond)
		if got := bound(t, b); got != "203.0.113.1" || healthOf(t, b).Ready {
			t.Errorf("bound to %q, ready %v", got, healthOf(t, b).Ready)
		}
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.99> 203.0.113.1>port-1" || !healthOf(t, b).Ready {
			t.Errorf("%s, %+v", got, healthOf(t, b))
		}
		c.calls = nil
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(10 * time.Second)
		if c.count("GET floatingips") > 0 {
			t.Errorf("a pass without news asks Neutron: %v", c.calls)
		}
		b = c.begin(t, afloat)
		apply(t, b)
		b.Release([]lb.Origin{tcp(80).Origin})
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.99>" || len(c.lbs) != 0 {
			t.Errorf("%s, %d load balancers", got, len(c.lbs))
		}
	})
}

// A floating IP that is to be kept stays in the project, and the next object of that name has it again.
func TestFloatingIPKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		l := tcp(80, "192.0.2.11:30080")
		l.Cloud.KeepFloating = true
		b := c.begin(t, afloat)
		apply(t, b, l)
		time.Sleep(time.Minute)
		apply(t, b)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.1>" || len(c.lbs) != 0 {
			t.Errorf("%s, %d load balancers", got, len(c.lbs))
		}
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.1>port-2" || bound(t, b) != "203.0.113.1" {
			t.Errorf("%s, bound to %s", got, bound(t, b))
		}
	})
}

// The one that is asked for is taken where it is there and free, and given back at the end; one that leads elsewhere is
// left alone, and said so.
func TestFloatingIPAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := floatingIP{ID: "x", Address: "203.0.113.99", NetworkID: "public"}
		used := floatingIP{ID: "y", Address: "203.0.113.98", NetworkID: "public", PortID: "p"}
		c := &cloud{neutron: &fakeNeutron{ips: []floatingIP{free, used}}}
		b := c.begin(t, afloat)
		l := tcp(80, "192.0.2.11:30080")
		l.VIPs = []netip.Addr{netip.MustParseAddr("203.0.113.98")}
		apply(t, b, l)
		time.Sleep(time.Minute)
		if h := healthOf(t, b); !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudRefused}) ||
			!strings.Contains(h.Findings[0].Message, "203.0.113.98 leads to another port") || bound(t, b) != "" {
			t.Errorf("%+v, bound to %q", h, bound(t, b))
		}
		l.VIPs[0] = netip.MustParseAddr("203.0.113.99")
		apply(t, b, l)
		time.Sleep(2 * time.Minute)
		if got := bound(t, b); got != "203.0.113.99" || c.lbs[0].Address == got {
			t.Errorf("bound to %q; %+v", got, healthOf(t, b))
		}
		apply(t, b)
		time.Sleep(time.Minute)
		if got := c.neutron.String(); got != "203.0.113.99> 203.0.113.98>p" {
			t.Errorf("left: %s", got)
		}
	})
}

// One that shall be internal from now on loses its floating IP, and has its own address again.
func TestFloatingIPNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		l := tcp(80, "192.0.2.11:30080")
		b := c.begin(t, afloat)
		apply(t, b, l)
		time.Sleep(time.Minute)
		l.Cloud.Internal = true
		apply(t, b, l)
		time.Sleep(2 * time.Minute)
		if got := c.neutron.String(); got != "" || bound(t, b) != "198.51.100.1" || !healthOf(t, b).Ready {
			t.Errorf("%q, bound to %s, %+v", got, bound(t, b), healthOf(t, b))
		}
	})
}

// A floating IP of another network takes the place of the one that there is, which goes only once the new one is had.
func TestFloatingIPReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{}}
		l := tcp(80, "192.0.2.11:30080")
		b := c.begin(t, afloat)
		apply(t, b, l)
		time.Sleep(time.Minute)
		set := func(deny, reject string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.neutron.deny, c.neutron.reject = deny, reject
		}
		l.Cloud.FloatingNetwork = "other"
		for _, trouble := range [][2]string{{"Quota exceeded", ""}, {"", "fip-2"}} {
			set(trouble[0], trouble[1])
			apply(t, b, l)
			time.Sleep(2 * time.Minute)
			got, told := strings.TrimSuffix(c.neutron.String(), " 203.0.113.2>"), bound(t, b)
			if got != "203.0.113.1>port-1" || told != "203.0.113.1" || len(healthOf(t, b).Findings) != 1 {
				t.Errorf("%v: %q, bound to %q, %+v", trouble, c.neutron, told, healthOf(t, b))
			}
		}
		set("", "")
		time.Sleep(2 * time.Minute)
		if got := c.neutron.String(); got != "203.0.113.2>port-1" || bound(t, b) != "203.0.113.2" || !healthOf(t, b).Ready {
			t.Errorf("%q, bound to %q, %+v", got, bound(t, b), healthOf(t, b))
		}
	})
}

// What Neutron refuses is a finding, and does not keep anything from being deleted.
func TestFloatingIPQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{neutron: &fakeNeutron{deny: "Quota exceeded for resources: ['floatingip']."}}
		b := c.begin(t, afloat)
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		if h := healthOf(t, b); h.Ready || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudQuota}) {
			t.Errorf("%+v", h)
		}
		apply(t, b)
		time.Sleep(time.Minute)
		if len(c.lbs) != 0 {
			t.Errorf("%+v", c.lbs[0])
		}
	})
}

// A load balancer that is there already is taken by its ID, unless it is another object's.
func TestAdopt(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := &cloud{}
			old := &fakeLB{root: root{ID: "old", Name: "old", Tags: []string{"x"}, Provisioning: statusActive, Address: "198.51.100.77"}}
			if foreign {
				old.Tags = []string{tagCluster + "d", tagObject + "a/b"}
			}
			c.lbs = append(c.lbs, old)
			c.deny = func(method, path string) (int, string) {
				switch {
				case method == http.MethodPut && path == "loadbalancers/old":
					old.Name, old.Tags = "default-web-loadbalancer", plant(tcp(80), Settings{}).Tags
					return http.StatusAccepted, "{}"
				case method == http.MethodGet && (path == "listeners" || path == "pools"):
					return http.StatusOK, "{}"
				}
				return 0, ""
			}
			b := c.begin(t)
			l := tcp(80)
			l.Cloud.Adopt = "old"
			apply(t, b, l)
			time.Sleep(10 * time.Second)
			if c.count("POST loadbalancers") > 0 || foreign != (c.count("PUT") == 0) {
				t.Errorf("%v", c.calls)
			}
			if h := healthOf(t, b); foreign && !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeCloudRefused}) {
				t.Errorf("%+v", h)
			}
			if got := bound(t, b); foreign == (got == "198.51.100.77") {
				t.Errorf("bound to %q", got)
			}
		})
	}
}
