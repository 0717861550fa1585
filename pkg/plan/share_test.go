package plan

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

func sharing(s string) option { return func(w *lb.Wish) { w.LoadBalancer.Share = s } }

func of(namespace string) option {
	return func(w *lb.Wish) { w.LoadBalancer.Origin.Namespace = namespace }
}

func with(namespaces ...string) option {
	return func(w *lb.Wish) { w.Address.ShareWith = namespaces }
}

// hosts makes the wish one for HTTP of some hosts.
func hosts(names ...string) option {
	return func(w *lb.Wish) {
		l := &w.LoadBalancer.Listeners[0]
		l.Protocol = lb.HTTP
		target := l.Routes[0].Target
		l.Routes = nil
		for _, n := range names {
			l.Routes = append(l.Routes, lb.Route{Host: n, Target: target})
		}
	}
}

func at(vips string) option { return func(w *lb.Wish) { w.LoadBalancer.VIPs = addrs(vips) } }

// guest is a load balancer of namespace x.
func guest(name string, port uint16, vips string) lb.LoadBalancer {
	l := balancer(name, 1, vips)
	l.Origin.Namespace, l.Listeners[0].Port = "x", port
	l.Listeners[0].Routes[0].Target.Service.Namespace = "x"
	return l
}

// uninvitedB is what b of namespace x reads.
const uninvitedB = `b: LB0307 share: no load balancer of namespace "default" shares "default/edge" with ` +
	`namespace "x"; one there may do so by share-with-namespaces`

// TestShare has those who share, and those who cannot.
func TestShare(t *testing.T) {
	const edge = "default/edge"
	p := []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.9")}
	shared := func(l lb.LoadBalancer) lb.LoadBalancer {
		l.Share = edge
		return l
	}
	for _, tc := range []struct {
		name     string
		wishes   []lb.Wish
		current  []lb.LoadBalancer
		want     string
		findings string
	}{
		{name: "ports apart", wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81)),
			wish("c", 1, onPort(82))}, want: "a=10.0.0.1 b=10.0.0.1 c=10.0.0.2"},
		{name: "hosts apart", wishes: []lb.Wish{wish("a", 2, sharing(edge), hosts("a", "*.a")),
			wish("b", 1, sharing(edge), hosts(""))}, want: "a=10.0.0.1 b=10.0.0.1"},
		{name: "the same host", wishes: []lb.Wish{wish("a", 2, sharing(edge), hosts("a", "b")),
			wish("b", 3, sharing(edge), hosts("b", "c"))}, want: "b=10.0.0.1", findings: "a: LB0303 port: port 80 is served by " +
			"default/b, with which the address is shared; choose another port, or for HTTP other hosts, spoken alike"},
		{name: "TCP beside HTTP", wishes: []lb.Wish{wish("a", 2, sharing(edge), hosts("a")), wish("b", 1, sharing(edge))},
			want: "a=10.0.0.1", findings: "b: LB0303 port: port 80 is served by default/a, with which the address is shared; " +
				"choose another port, or for HTTP other hosts, spoken alike"},
		{name: "who is served keeps what it has", current: []lb.LoadBalancer{shared(balancer("b", 1, "10.0.0.5"))},
			wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), recordedIP("10.0.0.5"))},
			want:   "b=10.0.0.5", findings: "a: LB0303 port: port 80 is served by default/b, with which the address is shared; " +
				"choose another port, or for HTTP other hosts, spoken alike"},
		{name: "who begins to share keeps its address", current: []lb.LoadBalancer{balancer("a", 2, "10.0.0.5")},
			wishes: []lb.Wish{wish("a", 2, sharing(edge), recordedIP("10.0.0.5")), wish("b", 3, sharing(edge), onPort(81))},
			want:   "a=10.0.0.5 b=10.0.0.5"},
		{name: "the last one keeps it for itself", current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5"))},
			wishes: []lb.Wish{wish("a", 2, recordedIP("10.0.0.5"))}, want: "a=10.0.0.5"},
		{name: "who leaves others gets another one", current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")),
			shared(balancer("b", 1, "10.0.0.5"))}, wishes: []lb.Wish{wish("a", 2, recordedIP("10.0.0.5")),
			wish("b", 1, sharing(edge), recordedIP("10.0.0.5"))}, want: "a=10.0.0.1 b=10.0.0.5"},
		{name: "a broken one is served on", current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5"))},
			wishes: []lb.Wish{wish("a", 2, sharing(edge), broken), wish("b", 1, sharing(edge)),
				wish("c", 1, sharing(edge), onPort(81))}, want: "a=10.0.0.5 c=10.0.0.5",
			findings: "a stale: LB0103 data[bind-port]: broken\nb: LB0303 port: port 80 is served by default/a, with which the " +
				"address is shared; choose another port, or for HTTP other hosts, spoken alike"},
		{name: "another request", current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5"))},
			wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), requestedIP("10.0.0.6"))},
			want:   "a=10.0.0.5", findings: "b: LB0302 requested: the address shared with default/a is 10.0.0.5; request that or " +
				"none, or share with nobody"},
		{name: "uninvited", wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), of("x"))},
			want: "a=10.0.0.1", findings: `b: LB0307 share: no load balancer of namespace "default" shares "default/edge" with ` +
				`namespace "x"; one there may do so by share-with-namespaces`},
		{name: "invited", wishes: []lb.Wish{wish("a", 2, sharing(edge), with("y", "x")),
			wish("b", 1, sharing(edge), onPort(81), of("x"))}, want: "a=10.0.0.1 b=10.0.0.1"},
		{name: "a guest below an older wildcard", wishes: []lb.Wish{wish("a", 2, sharing(edge), with("x"), hosts("*.b.c")),
			wish("b", 1, sharing(edge), hosts("a.b.c"), of("x"))}, want: "a=10.0.0.1", findings: `b: LB0303 host: ` +
			`default/a of another namespace has "*.b.c" at port 80 of the shared address, and with it all hosts below; ` +
			`choose another host or port`},
		{name: "a guest's wildcard below an older one", wishes: []lb.Wish{wish("a", 2, sharing(edge), with("x"),
			hosts("*.c")), wish("b", 1, sharing(edge), hosts("*.a.b.c"), of("x"))}, want: "a=10.0.0.1", findings: `b: ` +
			`LB0303 host: default/a of another namespace has "*.c" at port 80 of the shared address, and with it all hosts ` +
			`below; choose another host or port`},
		{name: "below a wildcard of one's own namespace", wishes: []lb.Wish{wish("a", 2, sharing(edge), hosts("*.b.c")),
			wish("b", 1, sharing(edge), hosts("a.b.c"))}, want: "a=10.0.0.1 b=10.0.0.1"},
		{name: "beside a guest's wildcard", wishes: []lb.Wish{wish("a", 2, sharing(edge), with("x"), hosts("a.b.c")),
			wish("b", 1, sharing(edge), hosts("*.b.c"), of("x"))}, want: "a=10.0.0.1 b=10.0.0.1"},
		{name: "a guest beside the rest", wishes: []lb.Wish{wish("a", 2, sharing(edge), with("x"), hosts("")),
			wish("b", 1, sharing(edge), hosts("a.b.c"), of("x"))}, want: "a=10.0.0.1 b=10.0.0.1"},
		{name: "who is below a younger wildcard stays there", wishes: []lb.Wish{
			wish("a", 1, sharing(edge), with("x"), hosts("*.b.c")), wish("b", 2, sharing(edge), hosts("a.b.c"), of("x"))},
			current: []lb.LoadBalancer{shared(wish("a", 1, hosts("*.b.c"), at("10.0.0.5")).LoadBalancer),
				shared(wish("b", 2, hosts("a.b.c"), of("x"), at("10.0.0.5")).LoadBalancer)}, want: "a=10.0.0.5 b=10.0.0.5"},
		{name: "another guest's older wildcard", wishes: []lb.Wish{wish("a", 3, sharing(edge), with("*"), onPort(81)),
			wish("b", 2, sharing(edge), hosts("*.c"), of("x")), wish("c", 1, sharing(edge), hosts("a.c"), of("y"))},
			want: "a=10.0.0.1 b=10.0.0.1", findings: `c: LB0303 host: x/b of another namespace has "*.c" at port 80 of the ` +
				`shared address, and with it all hosts below; choose another host or port`},
		{name: "a revoked guest", wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), of("x"))},
			current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")), shared(guest("b", 81, "10.0.0.5"))},
			want:    "a=10.0.0.5", findings: uninvitedB},
		{name: "a revoked guest makes room", wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("c", 0, sharing(edge), onPort(81)),
			wish("b", 1, sharing(edge), onPort(81), of("x"))},
			current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")), shared(guest("b", 81, "10.0.0.5"))},
			want:    "a=10.0.0.5 c=10.0.0.5", findings: uninvitedB},
		{name: "a revoked guest that broke itself", wishes: []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, broken, of("x"))},
			current: []lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")), shared(guest("b", 81, "10.0.0.5"))},
			want:    "a=10.0.0.5", findings: "b: LB0103 data[bind-port]: broken"},
		{name: "a guest of a broken host", wishes: []lb.Wish{wish("a", 2, sharing(edge), broken),
			wish("b", 1, sharing(edge), onPort(81), of("x"))}, current: []lb.LoadBalancer{
			shared(balancer("a", 2, "10.0.0.5")), shared(guest("b", 81, "10.0.0.5"))}, want: "a=10.0.0.5 b=10.0.0.5",
			findings: "a stale: LB0103 data[bind-port]: broken\n" + strings.Replace(uninvitedB, "b:", "b stale:", 1)},
		{name: "a guest whose host is gone", wishes: []lb.Wish{wish("b", 1, sharing(edge), onPort(81), of("x"))},
			current: []lb.LoadBalancer{shared(guest("b", 81, "10.0.0.5"))}, want: "b=10.0.0.5",
			findings: strings.Replace(uninvitedB, "b:", "b stale:", 1)},
		{name: "a guest that is refused its new share", wishes: []lb.Wish{wish("a", 2, sharing(edge)),
			wish("b", 1, sharing(edge), onPort(81), of("x"))}, current: []lb.LoadBalancer{guest("b", 81, "10.0.0.7")},
			want: "a=10.0.0.1 b=10.0.0.7", findings: strings.Replace(uninvitedB, "b:", "b stale:", 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range tc.wishes {
				tc.wishes[i].Fields.Share = "share"
			}
			out := Make(Input{Wishes: tc.wishes, Current: tc.current, Pools: p, Capabilities: everything()})
			if got := served(out); got != tc.want {
				t.Errorf("served %s, want %s", got, tc.want)
			}
			if got := findings(out); got != tc.findings {
				t.Errorf("found\n%s\nwant\n%s", got, tc.findings)
			}
		})
	}
	can := everything()
	can.Sharing = false
	w := wish("a", 1, sharing(edge))
	w.Fields.Share = "share"
	if got := one(t, w, can); got != "a: LB0401 share: the backend cannot share addresses" {
		t.Errorf("got %q", got)
	}
}

// TestShareHosts plans random histories of those who share a port by hosts, also of two namespaces: nobody gets a host
// below a wildcard that another namespace's is served for, and planning again and again comes to an end.
func TestShareHosts(t *testing.T) {
	pools := []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.3")}
	names := []string{"", "*.a", "b.a", "*.b.a", "c.b.a", "d.a"}
	for seed := range uint64(100) {
		w := &world{rnd: rand.New(rand.NewPCG(seed, 9)), wishes: map[string]lb.Wish{}, pools: pools, age: 1000}
		for step := range 25 {
			for range 1 + w.rnd.IntN(3) {
				n := name(w.rnd.IntN(6))
				age := w.rnd.IntN(50)
				if x, ok := w.wishes[n]; ok {
					age = int(wish(n, 0).LoadBalancer.Origin.Created.Sub(x.LoadBalancer.Origin.Created).Hours())
				}
				w.wishes[n] = wish(n, age, sharing("default/edge"), with("x"),
					hosts(names[w.rnd.IntN(len(names))]), of([]string{"default", "x"}[n[3]%2]))
			}
			in := w.input()
			out := Make(in)
			checkShares(t, in, out)
			checkOrder(t, w.rnd, in, out)
			checkWildcards(t, in, out)
			checkSettles(t, in, out)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
			w.apply(out)
		}
	}
}

// checkSettles checks that what is served stays the same before long: who was refused what another one gave up in the
// same plan gets it in the next.
func checkSettles(t *testing.T, in Input, out Output) {
	t.Helper()
	for range 8 {
		in.Current = out.LoadBalancers
		again := Make(in)
		if reflect.DeepEqual(out.LoadBalancers, again.LoadBalancers) {
			return
		}
		out = again
	}
	t.Error("it does not settle")
}

func checkWildcards(t *testing.T, in Input, out Output) {
	t.Helper()
	host := func(ls []lb.LoadBalancer, key lb.Key) string {
		if l := find(ls, key); l != nil {
			return l.Listeners[0].Routes[0].Host
		}
		return "none"
	}
	for _, l := range out.LoadBalancers {
		h := host(out.LoadBalancers, l.Origin.Key)
		if h == "" || h == host(in.Current, l.Origin.Key) {
			continue
		}
		for _, o := range out.LoadBalancers {
			above := host(out.LoadBalancers, o.Origin.Key)
			if o.Origin.Namespace != l.Origin.Namespace && strings.HasPrefix(above, "*") && h != above &&
				strings.HasSuffix(h, above[1:]) && above == host(in.Current, o.Origin.Key) {
				t.Errorf("%s gets %s below %s of %s", l.Origin.Key, h, above, o.Origin.Key)
			}
		}
	}
}

// TestShareLaws plans random histories of those who share and those who do not: no two have an address that do not share
// it, no two want the same port of one, and none gets what somebody else may still hold.
func TestShareLaws(t *testing.T) {
	pools := []ipam.Pool{pool(t, "p", "10.0.0.1-10.0.0.5"), pool(t, "six", "fd00::1-fd00::4")}
	for seed := range uint64(150) {
		w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), wishes: map[string]lb.Wish{}, pools: pools, age: 1000}
		for step := range 25 {
			for range 1 + w.rnd.IntN(3) {
				w.change()
			}
			for n, x := range w.wishes {
				if len(x.LoadBalancer.Listeners) > 0 && w.rnd.IntN(3) == 0 {
					x.LoadBalancer = x.LoadBalancer.Clone()
					sharing([]string{"", "default/a", "default/b"}[w.rnd.IntN(3)])(&x)
					onPort(uint16(80 + w.rnd.IntN(3)))(&x)
					w.wishes[n] = x
				}
			}
			in := w.input()
			out := Make(in)
			checkShares(t, in, out)
			checkOrder(t, w.rnd, in, out)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
			w.apply(out)
		}
	}
}

func checkShares(t *testing.T, in Input, out Output) {
	t.Helper()
	for i, l := range out.LoadBalancers {
		for _, a := range l.VIPs {
			for _, o := range out.LoadBalancers[:i] {
				_, collides := l.Collides(o)
				if slices.Contains(o.VIPs, a) && (l.Share == "" || l.Share != o.Share || collides) {
					t.Errorf("%s is given to %s and %s (%q, %q)", a, o.Origin.Key, l.Origin.Key, o.Share, l.Share)
				}
			}
			checkOrigin(t, in, out, l, a)
		}
	}
}

// checkOrigin checks that an address that somebody has is given to nobody but those who share it with him.
func checkOrigin(t *testing.T, in Input, out Output, l lb.LoadBalancer, a netip.Addr) {
	t.Helper()
	var had []string
	for _, c := range in.Current {
		if !slices.Contains(c.VIPs, a) {
			continue
		}
		had = append(had, c.Origin.Name)
		now := find(out.LoadBalancers, c.Origin.Key)
		if c.Origin.Key == l.Origin.Key || c.Owner() == l.Owner() || now != nil && now.Owner() == l.Owner() {
			return
		}
	}
	if len(had) > 0 {
		t.Errorf("%s is taken from %s and given to %s", a, strings.Join(had, " "), l.Origin.Key)
	}
	for _, h := range in.Withdrawn {
		if len(had) == 0 && h.Address == a && h.Key != l.Origin.Key {
			sharesNow := slices.ContainsFunc(out.LoadBalancers, func(o lb.LoadBalancer) bool {
				return o.Origin.Key == h.Key && slices.Contains(o.VIPs, a) && o.Owner() == l.Owner()
			})
			if !sharesNow {
				t.Errorf("%s is given to %s while nodes hold it for %s", a, l.Origin.Key, h.Key)
			}
		}
	}
}
