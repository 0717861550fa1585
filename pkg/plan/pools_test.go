package plan

import (
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

func TestFamilies(t *testing.T) {
	six := []ipam.Pool{pool(t, "six", "fd00::1-fd00::4")}
	runAll(t, []scenario{
		{name: "IPv6 where there is no IPv4", wishes: []lb.Wish{wish("a", 1)}, pools: six, want: "a=fd00::1"},
		{name: "a manual pool is no default", wishes: []lb.Wish{wish("a", 1)},
			pools: append(six, pool(t, "manual", "10.0.9.1")), want: "a=fd00::1"},
		{name: "the named pool's family", wishes: []lb.Wish{wish("a", 1, inPool("six"))}, want: "a=fd00::1"},
		{name: "the requested address's family", wishes: []lb.Wish{wish("a", 1, requestedIP("fd00::3"))}, want: "a=fd00::3"},
		{name: "dual stack, IPv4 first", wishes: []lb.Wish{wish("a", 1, families(lb.IPv6, lb.IPv4))},
			want: "a=10.0.0.1,fd00::1"},
		{name: "dual stack with one address requested",
			wishes: []lb.Wish{wish("a", 1, families(lb.IPv4, lb.IPv6), requestedIP("fd00::3"))}, want: "a=10.0.0.1,fd00::3"},
		{name: "dual stack with both recorded",
			wishes: []lb.Wish{wish("a", 1, families(lb.IPv4, lb.IPv6), recordedIP("10.0.0.3,fd00::3"))},
			want:   "a=10.0.0.3,fd00::3"},
		{name: "half recorded, half allocated: not from what another one records", wishes: []lb.Wish{
			wish("a", 9, families(lb.IPv4, lb.IPv6), recordedIP("10.0.0.3")), wish("b", 1, recordedIP("fd00::1")),
		}, want: "a=10.0.0.3,fd00::2 b=fd00::1"},
		{name: "half recorded, half requested: not what another one records", wishes: []lb.Wish{
			wish("a", 9, families(lb.IPv4, lb.IPv6), recordedIP("10.0.0.3"), requestedIP("fd00::1"), onPort(81)),
			wish("b", 1, recordedIP("fd00::1")),
		}, want: "b=fd00::1", findings: `
a: LB0302 requested: fd00::1 belongs to default/b; request another address`},
		{name: "adding a family", wishes: []lb.Wish{wish("a", 1, families(lb.IPv4, lb.IPv6))},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3")}, want: "a=10.0.0.3,fd00::1"},
		{name: "removing a family", wishes: []lb.Wish{wish("a", 1, families(lb.IPv6))},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3,fd00::3")}, want: "a=fd00::3"},
		{name: "removing the key", wishes: []lb.Wish{wish("a", 1)},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.0.3,fd00::3")}, want: "a=10.0.0.3"},
		{name: "no wish, and the default has changed since", wishes: []lb.Wish{wish("a", 1)},
			current: []lb.LoadBalancer{balancer("a", 1, "fd00::3")}, want: "a=fd00::3"},
		{name: "the same from the record", wishes: []lb.Wish{wish("a", 1, recordedIP("fd00::3"))}, want: "a=fd00::3"},
		{name: "half of dual stack is not served", wishes: []lb.Wish{wish("a", 1, families(lb.IPv4, lb.IPv6)), wish("b", 0)},
			pools: []ipam.Pool{pool(t, "p", "10.0.0.1")}, want: "b=10.0.0.1", findings: `
a: LB0304 pool: no IPv4 address is free in address pool "p" (1 in all); delete load balancers that are not needed ` +
				`or have the pool extended
a: LB0304 pool: no address pool has IPv6 addresses`},
	})
}

func TestPools(t *testing.T) {
	one := []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.2")}
	two := []lb.LoadBalancer{balancer("a", 1, "10.0.0.1"), balancer("b", 1, "10.0.0.2")}
	runAll(t, []scenario{
		{name: "unknown", wishes: []lb.Wish{wish("a", 1, inPool("gold"))}, pools: one, findings: `
a: LB0305 pool: there is no address pool "gold"; the pools are "p" (10.0.0.1-10.0.0.2)`},
		{name: "unknown, with a last good version", wishes: []lb.Wish{wish("a", 1, inPool("gold"))}, pools: one,
			current: two[:1], want: "a=10.0.0.1", findings: `
a stale: LB0305 pool: there is no address pool "gold"; the pools are "p" (10.0.0.1-10.0.0.2)`},
		{name: "none", wishes: []lb.Wish{wish("a", 1)}, pools: []ipam.Pool{}, findings: `
a: LB0304 pool: there is no pool to take an address from; have one added to the controller's configuration`},
		{name: "manual ones only", wishes: []lb.Wish{wish("a", 1)}, pools: []ipam.Pool{pool(t, "manual", "10.0.9.1")},
			findings: `
a: LB0304 pool: there is no pool to take an address from; have one added to the controller's configuration; ` +
				`these give addresses only on request: "manual"`},
		{name: "exhausted", wishes: []lb.Wish{wish("a", 1), wish("b", 1), wish("c", 9)}, current: two, pools: one,
			want: "a=10.0.0.1 b=10.0.0.2", findings: `
c: LB0304 pool: no IPv4 address is free in address pool "p" (2 in all); delete load balancers that are not needed ` +
				`or have the pool extended`},
		{name: "exhausted for now", wishes: []lb.Wish{wish("c", 9)}, current: two[:1], pools: one,
			withdrawn: []Hold{hold("x", "10.0.0.2")}, findings: `
c: LB0304 pool: no IPv4 address is free in address pool "p" (2 in all, 2 wait for their withdrawal from the ` +
				`nodes); delete load balancers that are not needed or have the pool extended`},
		{name: "exhausted while one moves", wishes: []lb.Wish{wish("a", 1, requestedIP("10.0.0.2")), wish("c", 9)},
			current: two[:1], pools: one, want: "a=10.0.0.2", findings: `
c: LB0304 pool: no IPv4 address is free in address pool "p" (2 in all, 1 wait for their withdrawal from the ` +
				`nodes); delete load balancers that are not needed or have the pool extended`},
		{name: "the named pool lacks the family", wishes: []lb.Wish{wish("a", 1, inPool("p"), families(lb.IPv6))}, pools: one,
			findings: `
a: LB0304 pool: address pool "p" has no IPv6 addresses`},
		{name: "what others want is given away when nothing else is left and they do not get it",
			wishes: []lb.Wish{wish("a", 9), wish("b", 1, requestedIP("10.0.0.1,fd00::1"), families(lb.IPv4, lb.IPv6))},
			pools:  []ipam.Pool{pool(t, "p", "10.0.0.1")}, want: "a=10.0.0.1", findings: `
b: LB0301 requested: fd00::1 is in no address pool; the pools are "p" (10.0.0.1)`},
		{name: "a shrunk pool takes nothing away", wishes: []lb.Wish{wish("a", 1), wish("b", 1, requestedIP("10.0.7.7"))},
			current: []lb.LoadBalancer{balancer("a", 1, "10.0.7.8"), balancer("b", 1, "10.0.7.7")}, pools: one,
			want: "a=10.0.7.8 b=10.0.7.7", findings: `
a: LB0306 10.0.7.8 is in no address pool any more; it is kept until the object is deleted or requests another address
b: LB0306 10.0.7.7 is in no address pool any more; it is kept until the object is deleted or requests another address`},
		{name: "another pool's name moves nothing", wishes: []lb.Wish{wish("a", 1, inPool("manual"))}, current: two[:1],
			want: "a=10.0.0.1", findings: `
a: LB0306 pool: 10.0.0.1 is not in address pool "manual"; it is kept until the object is deleted or requests another ` +
				`address`},
		{name: "but a request does", wishes: []lb.Wish{wish("a", 1, inPool("manual"), requestedIP("10.0.9.1"))},
			current: two[:1], want: "a=10.0.9.1"},
	})
}

func TestCapabilities(t *testing.T) {
	w := wish("a", 1, families(lb.IPv6))
	w.LoadBalancer.Listeners[0].Protocol = "UDP"
	w.LoadBalancer.Listeners[0].TLS = &lb.TLS{}
	w.LoadBalancer.Listeners[0].Routes[0].Host = "h"
	w.LoadBalancer.Listeners[0].Routes[0].Path = "/p"
	second := w.LoadBalancer.Listeners[0]
	second.Port++
	w.LoadBalancer.Listeners = append(w.LoadBalancer.Listeners, second)
	in := Input{Wishes: []lb.Wish{w, wish("b", 1)}, Pools: []ipam.Pool{pool(t, "p", "10.0.0.1", "fd00::1")},
		Capabilities: lb.Capabilities{Protocols: []lb.Protocol{lb.HTTP, lb.TCP}, Families: []lb.Family{lb.IPv4}}}
	out := Make(in)
	if got := served(out); got != "b=10.0.0.1" {
		t.Errorf("served %s", got)
	}
	want := `a: LB0401 protocol: the backend cannot serve protocol UDP; it can serve HTTP, TCP
a: LB0401 tls: the backend cannot terminate TLS; leave it to the Service and use protocol TCP
a: LB0401 host: the backend cannot route by host
a: LB0401 path: the backend cannot route by path
a: LB0401 families: the backend cannot hold IPv6 addresses; it can hold IPv4`
	if got := findings(out); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	in.Capabilities = everything()
	if got := served(Make(in)); got != "a=fd00::1 b=10.0.0.1" {
		t.Errorf("a backend that can do everything serves %s", got)
	}
}
