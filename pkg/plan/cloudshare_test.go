package plan

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func inCloud(change func(*lb.Cloud)) option {
	return func(w *lb.Wish) { change(&w.LoadBalancer.Cloud) }
}

func subnet(id string) option { return inCloud(func(c *lb.Cloud) { c.Subnet = id }) }

func inTrouble(w *lb.Wish) { w.Address.Troubled = true }

// unreadable is a wish that nobody can say anything of but whose it is.
func unreadable(w *lb.Wish) {
	broken(w)
	w.LoadBalancer.Share = ""
}

// TestShareForCloud has those who share a load balancer of a cloud, and those who cannot.
func TestShareForCloud(t *testing.T) {
	const edge = "default/edge"
	shared := func(l lb.LoadBalancer) lb.LoadBalancer {
		l.Share = edge
		return l
	}
	const taken = ", with which the address is shared; choose another port, or for HTTP other hosts, spoken alike"
	for _, tc := range []struct {
		name    string
		wishes  []lb.Wish
		current []lb.LoadBalancer
		want    string
	}{
		{"ports apart", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81))}, nil, "a=/1 b=/1 "},
		{"hosts apart", []lb.Wish{wish("a", 2, sharing(edge), hosts("a", "*.a")), wish("b", 1, sharing(edge), hosts(""))}, nil,
			"a=/1 b=/1 "},
		{"the younger clashes", []lb.Wish{wish("a", 1, sharing(edge)), wish("b", 2, sharing(edge))}, nil,
			"a=/0 b=/1 a stale: LB0303 port: port 80 is served by default/b" + taken},
		{"the same host", []lb.Wish{wish("a", 2, sharing(edge), hosts("a")), wish("b", 1, sharing(edge), hosts("a"))}, nil,
			"a=/1 b=/0 b stale: LB0303 port: port 80 is served by default/a" + taken},
		{"who is served keeps what it has", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge))},
			[]lb.LoadBalancer{shared(balancer("b", 1, "10.0.0.5"))}, "a=/0 b=/1 a stale: LB0303 port: port 80 is served by default/b" + taken},
		{"who was served keeps what it had", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), recordedIP("10.0.0.5"))},
			nil, "a=/0 b=/1 a stale: LB0303 port: port 80 is served by default/b" + taken},
		{"who was refused has not been served", []lb.Wish{
			wish("a", 2, sharing(edge), recordedIP("10.0.0.4"), inTrouble), wish("b", 1, sharing(edge), recordedIP("10.0.0.5")),
		}, nil, "a=/0 b=/1 a stale: LB0303 port: port 80 is served by default/b" + taken},
		{"who cannot be read has no right of the first", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge))},
			[]lb.LoadBalancer{shared(unserved(balancer("a", 2, "10.0.0.5"))), shared(balancer("b", 1, "10.0.0.5"))},
			"a=10.0.0.5/0 b=/1 a stale: LB0303 port: port 80 is served by default/b" + taken},
		{"a refused one keeps its own", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge))},
			[]lb.LoadBalancer{balancer("b", 1, "10.0.0.5")}, "a=/1 b=10.0.0.5/1 b stale: LB0303 port: port 80 is served by default/a" + taken},
		{"a broken one is served on", []lb.Wish{wish("a", 2, sharing(edge), broken), wish("b", 1, sharing(edge))},
			[]lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5"))}, "a=10.0.0.5/1 b=/0 a stale: LB0103 data[bind-port]: broken\n" +
				"b stale: LB0303 port: port 80 is served by default/a" + taken},
		{"a broken one of whom nothing is known", []lb.Wish{wish("a", 2, sharing(edge), broken), wish("b", 1, sharing(edge))}, nil,
			"a=/0 b=/1 a stale: LB0103 data[bind-port]: broken"},
		{"another subnet", []lb.Wish{wish("a", 2, sharing(edge), subnet("x")), wish("b", 1, sharing(edge), onPort(81), subnet("y"))},
			nil, "a=/1 b=/0 b stale: LB0401 share: the load balancer is shared with default/a, which was first and has another " +
				"vip-subnet, and Octavia has that once for all; give both the same, or share with nobody"},
		{"no subnet", []lb.Wish{wish("a", 2, sharing(edge), subnet("x")), wish("b", 1, sharing(edge), onPort(81))},
			nil, "a=/1 b=/0 b stale: LB0401 share: the load balancer is shared with default/a, which was first and has another " +
				"vip-subnet, and Octavia has that once for all; give both the same, or share with nobody"},
		{"another subnet of a broken one", []lb.Wish{wish("a", 2, sharing(edge), subnet("x"), broken), wish("b", 1, sharing(edge), onPort(81))},
			nil, "a=/0 b=/1 a stale: LB0103 data[bind-port]: broken"},
		{"another request", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), requestedIP("10.0.0.6"))},
			[]lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5"))}, "a=/1 b=/0 b stale: LB0302 requested: the address shared with " +
				"default/a is 10.0.0.5; request that or none, or share with nobody"},
		{"the first request is everybody's", []lb.Wish{wish("a", 2, sharing(edge)),
			wish("b", 1, sharing(edge), onPort(81), requestedIP("10.0.0.5"))}, nil, "a=10.0.0.5/1 b=10.0.0.5/1 "},
		{"the same request", []lb.Wish{wish("a", 2, sharing(edge), requestedIP("10.0.0.5")),
			wish("b", 1, sharing(edge), onPort(81), requestedIP("10.0.0.5"))}, nil, "a=10.0.0.5/1 b=10.0.0.5/1 "},
		{"uninvited", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), of("x"))}, nil,
			"a=/1 " + uninvitedB},
		{"invited", []lb.Wish{wish("a", 2, sharing(edge), with("x")), wish("b", 1, sharing(edge), onPort(81), of("x"))}, nil,
			"a=/1 b=/1 "},
		{"no more invited", []lb.Wish{wish("a", 2, sharing(edge)), wish("b", 1, sharing(edge), onPort(81), of("x"))},
			[]lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")), shared(guest("b", 81, "10.0.0.5"))}, "a=/1 " + uninvitedB},
		{"no more invited, after a start", []lb.Wish{wish("a", 2, sharing(edge), recordedIP("10.0.0.5")),
			wish("b", 1, sharing(edge), onPort(81), of("x"), recordedIP("10.0.0.5"))}, nil, "a=/1 " + uninvitedB},
		{"never invited, with a load balancer of its own, after a start", []lb.Wish{
			wish("a", 2, sharing(edge), recordedIP("10.0.0.5")),
			wish("b", 1, sharing(edge), onPort(81), of("x"), recordedIP("10.0.0.6")),
		}, nil, "a=/1 b=/0 " + strings.Replace(uninvitedB, "b:", "b stale:", 1)},
		{"the host cannot be read", []lb.Wish{wish("a", 2, unreadable), wish("b", 1, sharing(edge), onPort(81), of("x"))}, nil,
			"a=/0 b=/0 a stale: LB0103 data[bind-port]: broken\n" + strings.Replace(uninvitedB, "b:", "b stale:", 1)},
		{"the host cannot be read, a guest is served", []lb.Wish{wish("a", 2, unreadable), wish("b", 1, sharing(edge), onPort(81), of("x"))},
			[]lb.LoadBalancer{shared(guest("b", 81, "10.0.0.5"))},
			"a=/0 b=10.0.0.5/1 a stale: LB0103 data[bind-port]: broken\n" + strings.Replace(uninvitedB, "b:", "b stale:", 1)},
		{"who leaves", []lb.Wish{wish("a", 2), wish("b", 1, sharing(edge), onPort(81))},
			[]lb.LoadBalancer{shared(balancer("a", 2, "10.0.0.5")), shared(balancer("b", 1, "10.0.0.5"))}, "a=/1 b=/1 "},
	} {
		if d := cmp.Diff(tc.want, forCloud(CloudInput{Wishes: named(tc.wishes), Current: tc.current})); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

// named gives wishes the field of their share.
func named(wishes []lb.Wish) []lb.Wish {
	for i := range wishes {
		wishes[i].Fields.Share = "share"
	}
	return wishes
}

func unserved(l lb.LoadBalancer) lb.LoadBalancer {
	l.Listeners = nil
	return l
}

// TestFirstChangesForCloud: the oldest takes nothing from those it shares with that they do not give up as well.
func TestFirstChangesForCloud(t *testing.T) {
	const edge = "default/edge"
	served := func(name string, age int, port uint16) lb.LoadBalancer {
		l := balancer(name, age, "10.0.0.5")
		l.Share, l.Listeners[0].Port, l.Cloud.IPv4 = edge, port, true
		return l
	}
	asks := func(name string, age int, port uint16, more ...option) lb.Wish {
		return wish(name, age, append([]option{sharing(edge), onPort(port), families(lb.IPv4), recordedIP("10.0.0.5")}, more...)...)
	}
	leaves := wish("b", 1, onPort(81), families(lb.IPv4))
	internal := inCloud(func(c *lb.Cloud) { c.Internal = true })
	network := func(id string) option { return inCloud(func(c *lb.Cloud) { c.FloatingNetwork = id }) }
	now := []lb.LoadBalancer{served("a", 2, 80), served("b", 1, 81)}
	once := func(name, other, key string) string {
		return name + " stale: LB0401 share: the load balancer is shared with default/" + other + " and has another " + key +
			", and Octavia has that once for all; give both the same, or share with nobody"
	}
	for _, tc := range []struct {
		name   string
		wishes []lb.Wish
		want   string
	}{
		{"internal", []lb.Wish{asks("a", 2, 80, internal), asks("b", 1, 81)},
			"a=10.0.0.5/1 b=/1 " + once("a", "b, which is served", "internal")},
		{"both internal", []lb.Wish{asks("a", 2, 80, internal), asks("b", 1, 81, internal)}, "a=/1 b=/1 "},
		{"the other leaves", []lb.Wish{asks("a", 2, 80, internal), leaves}, "a=/1 b=/1 "},
		{"both, not the same", []lb.Wish{asks("a", 2, 80, network("x")), asks("b", 1, 81, network("y"))}, "a=10.0.0.5/1 b=10.0.0.5/1 " +
			once("a", "b, which is served", "floating-network") + "\n" + once("b", "a, which was first", "floating-network")},
		{"an address", []lb.Wish{asks("a", 2, 80, requestedIP("10.0.0.6")), asks("b", 1, 81)}, "a=10.0.0.5/1 b=/1 " +
			"a stale: LB0302 requested: the address shared with default/b is 10.0.0.5, and that one does not ask for another; " +
			"request the same for both, or share with nobody"},
		{"both an address", []lb.Wish{asks("a", 2, 80, requestedIP("10.0.0.6")), asks("b", 1, 81, requestedIP("10.0.0.6"))},
			"a=10.0.0.6/1 b=10.0.0.6/1 "},
		{"the address that is there", []lb.Wish{asks("a", 2, 80, requestedIP("10.0.0.5")), asks("b", 1, 81)},
			"a=10.0.0.5/1 b=10.0.0.5/1 "},
	} {
		in := CloudInput{Wishes: named(tc.wishes), Current: now}
		if d := cmp.Diff(tc.want, forCloud(in)); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		in.Capabilities = everything()
		for _, l := range MakeForCloud(in).LoadBalancers {
			if strings.Contains(tc.want, "LB0") && (l.Cloud.Internal || l.Cloud.FloatingNetwork != "") {
				t.Errorf("%s: %+v", tc.name, l)
			}
		}
	}
}

// TestOnceForCloud: each of what a load balancer has once must be alike.
func TestOnceForCloud(t *testing.T) {
	for key, change := range map[string]option{
		"vip-subnet":   subnet("x"),
		"vip-network":  inCloud(func(c *lb.Cloud) { c.Network = "x" }),
		"flavor":       inCloud(func(c *lb.Cloud) { c.Flavor = "x" }),
		"internal":     inCloud(func(c *lb.Cloud) { c.Internal = true }),
		"ip-families":  families(lb.IPv6),
		"adopt":        inCloud(func(c *lb.Cloud) { c.Adopt = "x" }),
		"keep-":        inCloud(func(c *lb.Cloud) { c.KeepFloating = true }),
		"floating-net": inCloud(func(c *lb.Cloud) { c.FloatingNetwork = "x" }),
		"port 80": func(w *lb.Wish) {
			hosts("b")(w)
			w.LoadBalancer.Listeners[0].Options.Limits.Connections = 5
		},
	} {
		older := wish("a", 2, sharing("default/edge"), hosts("a"))
		alike := wish("b", 1, sharing("default/edge"), hosts("b"))
		other := wish("b", 1, sharing("default/edge"), hosts("b"), change)
		if got := forCloud(CloudInput{Wishes: named([]lb.Wish{older, alike})}); got != "a=/1 b=/1 " {
			t.Errorf("%s: %q", key, got)
		}
		got := forCloud(CloudInput{Wishes: named([]lb.Wish{older, other})})
		if !strings.HasPrefix(got, "a=/1 b=/0 b stale: LB0401 share: ") || !strings.Contains(got, key) {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// TestShareLawsForCloud plans random histories: those who share have no port twice, are alike in what is once, and keep
// what they have for as long as they want it, whoever comes or goes; planning again changes nothing.
func TestShareLawsForCloud(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		wishes, current := map[string]lb.Wish{}, []lb.LoadBalancer(nil)
		for step := range 20 {
			changed := map[string]bool{}
			for range 1 + rnd.IntN(2) {
				n := fmt.Sprintf("w%d", rnd.IntN(6))
				changed[n] = true
				delete(wishes, n)
				if rnd.IntN(4) == 0 {
					continue
				}
				wishes[n] = wish(n, rnd.IntN(50), sharing([]string{"", "default/a", "default/b"}[rnd.IntN(3)]),
					onPort(uint16(80+rnd.IntN(3))), subnet([]string{"", "x"}[rnd.IntN(5)/4]),
					[]option{func(*lb.Wish) {}, broken}[rnd.IntN(6)/5])
			}
			in := CloudInput{Current: current, Capabilities: everything()}
			for _, n := range sortedNames(wishes) {
				in.Wishes = append(in.Wishes, wishes[n])
			}
			out := MakeForCloud(in)
			checkCloud(t, in, out, changed)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
			current = servedInCloud(out)
			for n := 0; ; n++ { // who was refused what another one gave up in the same plan gets it in the next
				in.Current = servedInCloud(out)
				again := MakeForCloud(in)
				if reflect.DeepEqual(listenersOf(out), listenersOf(again)) {
					break
				}
				if n == 8 {
					t.Fatalf("seed %d, step %d: it does not settle: %v, then %v", seed, step, listenersOf(out), listenersOf(again))
				}
				out = again
			}
		}
	}
}

// servedInCloud returns what a backend remembers of a plan.
func servedInCloud(out Output) (current []lb.LoadBalancer) {
	for _, l := range out.LoadBalancers {
		if len(l.Listeners) > 0 {
			l.VIPs = addrs("10.0.0.1")
			current = append(current, l)
		}
	}
	return current
}

func sortedNames(m map[string]lb.Wish) (all []string) {
	for n := range m {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// listenersOf writes down who has which port of which share.
func listenersOf(o Output) (all []string) {
	for _, l := range o.LoadBalancers {
		for _, x := range l.Listeners {
			all = append(all, fmt.Sprintf("%s %q %d %s", l.Origin.Name, l.Share, x.Port, l.Cloud.Subnet))
		}
	}
	return all
}

func checkCloud(t *testing.T, in CloudInput, out Output, changed map[string]bool) {
	t.Helper()
	for i, l := range out.LoadBalancers {
		for _, o := range out.LoadBalancers[:i] {
			if l.Share == "" || l.Share != o.Share || len(l.Listeners) == 0 || len(o.Listeners) == 0 {
				continue
			}
			if port, collides := l.Collides(o); collides || l.Cloud.Subnet != o.Cloud.Subnet {
				t.Errorf("%s and %s: port %d, subnets %q and %q", l.Origin.Name, o.Origin.Name, port, l.Cloud.Subnet, o.Cloud.Subnet)
			}
		}
	}
	for _, l := range in.Current {
		now := find(out.LoadBalancers, l.Origin.Key)
		w := slices.IndexFunc(in.Wishes, func(w lb.Wish) bool { return w.LoadBalancer.Origin.Key == l.Origin.Key })
		if changed[l.Origin.Name] || !alikeInCloud(in.Wishes[w].LoadBalancer, l) {
			continue
		}
		if now == nil || !alikeInCloud(*now, l) {
			t.Errorf("%s has lost what it had: %+v, %+v", l.Origin.Name, l, now)
		}
	}
}

func alikeInCloud(a, b lb.LoadBalancer) bool {
	return reflect.DeepEqual(a.Listeners, b.Listeners) && a.Share == b.Share
}
