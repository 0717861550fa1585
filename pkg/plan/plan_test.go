package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// A scenario is a plan's input and what must come of it.
type scenario struct {
	name      string
	wishes    []lb.Wish
	current   []lb.LoadBalancer
	withdrawn []Hold
	// pools replaces the usual ones: "p" 10.0.0.1-4, "six" fd00::1-4, "manual" 10.0.9.1-2.
	pools []ipam.Pool
	// want is served; findings are all of them.
	want, findings string
}

func (s scenario) run(t *testing.T) {
	pools := s.pools
	if pools == nil {
		pools = []ipam.Pool{
			pool(t, "p", "10.0.0.1-10.0.0.4"), pool(t, "six", "fd00::1-fd00::4"), pool(t, "manual", "10.0.9.1-10.0.9.2"),
		}
	}
	in := Input{Wishes: s.wishes, Current: s.current, Withdrawn: s.withdrawn, Pools: pools, Capabilities: everything()}
	out := Make(in)
	if d := cmp.Diff(s.want, served(out)); d != "" {
		t.Errorf("served: %s", d)
	}
	if d := cmp.Diff(strings.TrimSpace(s.findings), findings(out)); d != "" {
		t.Errorf("findings: %s", d)
	}
	if len(out.Outcomes) != len(s.wishes) {
		t.Errorf("%d outcomes for %d wishes", len(out.Outcomes), len(s.wishes))
	}
	for _, o := range out.Outcomes {
		var vips string
		for _, l := range out.LoadBalancers {
			if l.Origin.Key == o.Origin.Key {
				vips = join(l.VIPs)
			}
		}
		if join(o.VIPs) != vips {
			t.Errorf("%s: the outcome says %q, served is %q", o.Origin.Key, join(o.VIPs), vips)
		}
	}
}

func runAll(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, s.run)
	}
}

func TestAdoption(t *testing.T) {
	runAll(t, []scenario{
		{name: "nothing"},
		{name: "lowest free, older first", wishes: []lb.Wish{wish("young", 1), wish("old", 2)},
			want: "old=10.0.0.1 young=10.0.0.2"},
		{name: "same age, smaller key first", wishes: []lb.Wish{wish("b", 1), wish("a", 1)}, want: "a=10.0.0.1 b=10.0.0.2"},
		{name: "what is served stays", wishes: []lb.Wish{wish("a", 1), wish("old", 9)},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.1")}, want: "a=10.0.0.1 old=10.0.0.2"},
		{name: "served beats recorded", wishes: []lb.Wish{wish("a", 1), wish("thief", 9, recordedIP("10.0.0.3"))},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3")}, want: "a=10.0.0.3 thief=10.0.0.1"},
		{name: "served beats its own record", wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.0.2"))},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3")}, want: "a=10.0.0.3"},
		{name: "recorded beats requested and allocated",
			wishes: []lb.Wish{wish("new", 9), wish("req", 8, requestedIP("10.0.0.1")), wish("rec", 1, recordedIP("10.0.0.1"))},
			want:   "new=10.0.0.2 rec=10.0.0.1", findings: `
req: LB0303 requested: port 80 of 10.0.0.1 is served by default/rec; request another address`},
		{name: "requested beats allocated", wishes: []lb.Wish{wish("new", 9), wish("req", 1, requestedIP("10.0.0.1"))},
			want: "new=10.0.0.2 req=10.0.0.1"},
		{name: "of two records the older has it",
			wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.0.3")), wish("b", 2, recordedIP("10.0.0.3"))},
			want:   "a=10.0.0.1 b=10.0.0.3"},
		{name: "a record outside the pools counts for nothing", wishes: []lb.Wish{wish("a", 1, recordedIP("192.0.2.1"))},
			want: "a=10.0.0.1"},
		{name: "a record outside the named pool counts for nothing",
			wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.0.2"), inPool("manual"))}, want: "a=10.0.9.1"},
		{name: "a record in a manual pool", wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.9.2"))}, want: "a=10.0.9.2"},
		{name: "a request replaces a record",
			wishes: []lb.Wish{wish("a", 1, recordedIP("10.0.0.2"), requestedIP("10.0.0.4"))}, want: "a=10.0.0.4"},
		{name: "a replaced object keeps its address", wishes: []lb.Wish{wish("a", 1, withUID("other"))},
			current: []lb.LoadBalancer{balancer("a", 9, "10.0.0.3")}, want: "a=10.0.0.3"},
		{name: "a recreated object gets back what nodes still hold for it", wishes: []lb.Wish{wish("a", 1), wish("b", 9)},
			withdrawn: []Hold{hold("a", "10.0.0.4", "lb1"), hold("a", "10.0.0.3", "lb1")}, want: "a=10.0.0.3 b=10.0.0.1"},
		{name: "but not from a manual pool that it does not name", wishes: []lb.Wish{wish("a", 1)},
			withdrawn: []Hold{hold("a", "10.0.9.1")}, want: "a=10.0.0.1"},
		{name: "manual by name only", wishes: []lb.Wish{wish("a", 1, inPool("manual"))}, want: "a=10.0.9.1"},
		{name: "manual by request", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.9.2"))}, want: "a=10.0.9.2"},
		{name: "a withdrawn address is given to nobody", wishes: []lb.Wish{wish("a", 1), wish("b", 2,
			recordedIP("10.0.0.2"))},
			withdrawn: []Hold{hold("x", "10.0.0.1"), hold("y", "10.0.0.2")}, want: "a=10.0.0.4 b=10.0.0.3"},
		{name: "nor one that leaves with this plan", wishes: []lb.Wish{wish("a", 1)},
			current: []lb.LoadBalancer{balancer("gone", 1, "10.0.0.1")}, want: "a=10.0.0.2"},
		{name: "a broken memory of the backend is mended",
			wishes:  []lb.Wish{wish("a", 1), wish("b", 2)},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3"), balancer("b", 2, "10.0.0.3")},
			want:    "a=10.0.0.1 b=10.0.0.3"},
	})
}

func TestRequests(t *testing.T) {
	a2 := []lb.LoadBalancer{balancer("a", 1, "10.0.0.2")}
	runAll(t, []scenario{
		{name: "move", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.4"))}, current: a2, want: "a=10.0.0.4"},
		{name: "what it moves from is not free yet", current: a2,
			wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.4")), wish("b", 9, requestedIP("10.0.0.2"))},
			want:   "a=10.0.0.4", findings: `
b: LB0303 requested: port 80 of 10.0.0.2 is served by default/a; request another address`},
		{name: "what it has moved from is not free yet", current: a2,
			wishes: []lb.Wish{wish("a", 9, requestedIP("10.0.0.4")), wish("b", 1, requestedIP("10.0.0.2"))},
			want:   "a=10.0.0.4", findings: `
b: LB0302 requested: 10.0.0.2 is being withdrawn from default/a, which gets another address; ` +
				`it is free when no node holds it any more, which needs no action`},
		{name: "the same", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.2"))}, current: a2, want: "a=10.0.0.2"},
		{name: "back to an address on hold for itself", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.4"))}, current: a2,
			withdrawn: []Hold{hold("a", "10.0.0.4", "lb1")}, want: "a=10.0.0.4"},
		{name: "outside", wishes: []lb.Wish{wish("a", 1, requestedIP("192.0.2.1"))}, findings: `
a: LB0301 requested: 192.0.2.1 is in no address pool; the pools are "p" (10.0.0.1-10.0.0.4), ` +
			`"six" (fd00::1-fd00::4), "manual" (10.0.9.1-10.0.9.2)`},
		{name: "outside, with a last good version", wishes: []lb.Wish{wish("a", 1, requestedIP("192.0.2.1"), onPort(81))},
			current: a2, want: "a=10.0.0.2", findings: `
a stale: LB0301 requested: 192.0.2.1 is in no address pool; the pools are "p" (10.0.0.1-10.0.0.4), ` +
				`"six" (fd00::1-fd00::4), "manual" (10.0.9.1-10.0.9.2)`},
		{name: "outside the named pool", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.1"), inPool("manual"))},
			findings: `
a: LB0301 requested: 10.0.0.1 is not in address pool "manual" (10.0.9.1-10.0.9.2); request an address of it`},
		{name: "taken, other port", wishes: []lb.Wish{wish("a", 1), wish("b", 1, requestedIP("10.0.0.2"), onPort(81))},
			current: a2, want: "a=10.0.0.2", findings: `
b: LB0302 requested: 10.0.0.2 belongs to default/a; request another address`},
		{name: "taken, same port", wishes: []lb.Wish{wish("a", 1), wish("b", 9, requestedIP("10.0.0.2"))},
			current: append(a2, balancer("b", 9, "10.0.0.1")), want: "a=10.0.0.2 b=10.0.0.1", findings: `
b stale: LB0303 requested: port 80 of 10.0.0.2 is served by default/a; request another address`},
		{name: "two want the same", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.2")), wish("b", 2,
			requestedIP("10.0.0.2"))},
			want: "b=10.0.0.2", findings: `
a: LB0303 requested: port 80 of 10.0.0.2 is served by default/b; request another address`},
		{name: "two want to swap",
			wishes:  []lb.Wish{wish("a", 2, requestedIP("10.0.0.3")), wish("b", 1, requestedIP("10.0.0.2"))},
			current: append(a2, balancer("b", 1, "10.0.0.3")), want: "a=10.0.0.2 b=10.0.0.3", findings: `
a stale: LB0303 requested: port 80 of 10.0.0.3 is served by default/b; request another address
b stale: LB0303 requested: port 80 of 10.0.0.2 is served by default/a; request another address`},
		{name: "on hold", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.2"))},
			withdrawn: []Hold{hold("z", "10.0.0.2", "lb2", "lb3"), hold("y", "10.0.0.2")}, findings: `
a: LB0302 requested: 10.0.0.2 is still being withdrawn from default/y and default/z on node lb2, lb3; ` +
				`it is free when no node holds it any more, which needs no action`},
		{name: "leaving with this plan", wishes: []lb.Wish{wish("b", 1, requestedIP("10.0.0.2"))}, current: a2, findings: `
b: LB0302 requested: 10.0.0.2 is being withdrawn from the deleted default/a; it is free when no node holds it any ` +
			`more, which needs no action`},
		{name: "a wish without hope does not keep an address from others",
			wishes: []lb.Wish{
				wish("a", 1, requestedIP("10.0.0.2")),
				wish("b", 9, requestedIP("10.0.0.2,192.0.2.1"), families(lb.IPv4, lb.IPv6), requestedIP("10.0.0.2,fd01::1")),
			}, want: "a=10.0.0.2", findings: `
b: LB0301 requested: fd01::1 is in no address pool; the pools are "p" (10.0.0.1-10.0.0.4), "six" (fd00::1-fd00::4), ` +
				`"manual" (10.0.9.1-10.0.9.2)`},
	})
}

func TestTwoWishesOfOneKey(t *testing.T) {
	in := Input{
		Wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.2")), wish("a", 2, requestedIP("10.0.0.3"))},
		Pools:  []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.4")}, Capabilities: everything(),
	}
	out := Make(in)
	if got := served(out); got != "a=10.0.0.3" || len(out.Outcomes) != 1 {
		t.Errorf("served %s, outcomes %v", got, out.Outcomes)
	}
}

// A wish with errors leaves its last good version as it is, to the last byte, and everybody else alone.
func TestBrokenWish(t *testing.T) {
	current := balancer("a", 1, "10.0.0.2")
	current.Listeners[0].Port = 8080
	in := Input{
		Wishes:  []lb.Wish{wish("a", 1, broken, withUID("new"), requestedIP("10.0.0.1")), wish("b", 1), wish("c", 1, broken)},
		Current: []lb.LoadBalancer{current},
		Pools:   []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.4")}, Capabilities: everything(),
	}
	out := Make(in)
	want := Output{
		LoadBalancers: []lb.LoadBalancer{current, balancer("b", 1, "10.0.0.1")},
		Outcomes: []Outcome{
			{Origin: in.Wishes[0].LoadBalancer.Origin, VIPs: current.VIPs, Findings: in.Wishes[0].Findings, Stale: true},
			{Origin: in.Wishes[1].LoadBalancer.Origin, VIPs: addrs("10.0.0.1")},
			{Origin: in.Wishes[2].LoadBalancer.Origin, Findings: in.Wishes[2].Findings},
		},
	}
	if d := cmp.Diff(want, out, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); d != "" {
		t.Error(d)
	}
}

// What is served is the wish with addresses, in normal form, and shares no memory with it.
func TestServedIsTheWish(t *testing.T) {
	w := wish("a", 1, families(lb.IPv4, lb.IPv6))
	w.LoadBalancer.Listeners = append(w.LoadBalancer.Listeners, lb.Listener{Port: 79, Protocol: lb.TCP})
	in := Input{Wishes: []lb.Wish{w}, Pools: []ipam.Pool{pool(t, "p", "10.0.0.1", "fd00::1")}, Capabilities: everything()}
	out := Make(in)
	l := out.LoadBalancers[0]
	if l.Listeners[0].Port != 79 || join(l.VIPs) != "10.0.0.1,fd00::1" {
		t.Errorf("not in normal form: %+v", l)
	}
	l.Listeners[1].Routes[0].Host = "changed"
	out.Outcomes[0].VIPs[0] = addr("9.9.9.9")
	if w.LoadBalancer.Listeners[0].Port != 80 || w.LoadBalancer.Listeners[0].Routes[0].Host != "" ||
		l.VIPs[0] == addr("9.9.9.9") {
		t.Error("the plan changes or shares its input")
	}
}
