package octavia

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func texts(ops []Op) (out []string) {
	for _, o := range ops {
		out = append(out, o.String())
	}
	return out
}

// TestDiff changes one thing at a time, on either side.
func TestDiff(t *testing.T) {
	const member = "192.0.2.11:30080"
	base := func() lb.LoadBalancer { return tcp(80, member) }
	for name, tt := range map[string]struct {
		want lb.LoadBalancer
		set  Settings
		have func(*Seen)
		ops  []string
	}{
		"nothing":  {want: base()},
		"a node":   {want: tcp(80, member, "192.0.2.12:30080"), ops: []string{"fill pool tcp-80"}},
		"no nodes": {want: tcp(80), ops: []string{"fill pool tcp-80"}},
		"a port": {want: tcp(81, member), ops: []string{"delete listener tcp-80", "create pool tcp-81", "fill pool tcp-81",
			"create monitor tcp-81", "create listener tcp-81", "delete pool tcp-80"}},
		"method":  {want: base(), set: Settings{Method: "SOURCE_IP"}, ops: []string{"update pool tcp-80"}},
		"sticky":  {want: base(), set: Settings{Persistence: "SOURCE_IP"}, ops: []string{"update pool tcp-80"}},
		"limit":   {want: base(), set: Settings{ConnectionLimit: 9}, ops: []string{"update listener tcp-80"}},
		"timeout": {want: base(), set: Settings{ClientTimeout: 9}, ops: []string{"update listener tcp-80"}},
		"monitor": {want: base(), set: Settings{Monitor: MonitorSettings{Delay: 9}}, ops: []string{"update monitor tcp-80"}},
		"other monitor": {want: base(), set: Settings{Monitor: MonitorSettings{Type: "HTTP"}},
			ops: []string{"delete monitor tcp-80", "create monitor tcp-80"}},
		"no monitor": {want: base(), set: Settings{Monitor: MonitorSettings{Type: "NONE"}}, ops: []string{"delete monitor tcp-80"}},
		// The protocol of a pool cannot change; the listener is switched to a new one before the old one goes.
		"PROXY": {want: base(), set: Settings{ProxyProtocol: "v2"}, ops: []string{"create pool proxyv2-80", "fill pool proxyv2-80",
			"create monitor proxyv2-80", "update listener tcp-80", "delete pool tcp-80"}},
		"renamed":      {want: base(), have: func(s *Seen) { s.Name = "x" }, ops: []string{"update loadbalancer default-web-loadbalancer"}},
		"tags lost":    {want: base(), have: func(s *Seen) { s.Tags = nil }, ops: []string{"update loadbalancer default-web-loadbalancer"}},
		"tags added":   {want: base(), have: func(s *Seen) { s.Tags = append([]string{"theirs"}, s.Tags...) }},
		"no pool left": {want: base(), have: func(s *Seen) { s.Listeners[0].DefaultPool = "" }, ops: []string{"update listener tcp-80"}},
		"monitor gone": {want: base(), have: func(s *Seen) { s.Pools[0].Monitor = nil }, ops: []string{"create monitor tcp-80"}},
		"listener gone": {want: base(), have: func(s *Seen) { s.Listeners = nil },
			ops: []string{"create listener tcp-80"}},
		"listener forgotten": {want: base(), have: func(s *Seen) { s.Listeners[0].Status = "PENDING_CREATE" },
			ops: []string{"delete listener tcp-80", "create listener tcp-80"}},
		"member forgotten": {want: base(), have: func(s *Seen) { s.Pools[0].Stuck = true },
			ops: []string{"delete pool tcp-80", "create pool tcp-80", "fill pool tcp-80", "create monitor tcp-80", "update listener tcp-80"}},
		"monitor forgotten": {want: base(), have: func(s *Seen) { s.Pools[0].MonitorStatus = "PENDING_CREATE" },
			ops: []string{"delete pool tcp-80", "create pool tcp-80", "fill pool tcp-80", "create monitor tcp-80", "update listener tcp-80"}},
		"foreign children": {want: base(), have: func(s *Seen) {
			s.Listeners = append(s.Listeners, SeenListener{ID: "f", Status: statusActive, Listener: Listener{Port: 8080}})
			s.Pools = append(s.Pools, SeenPool{ID: "f", Status: statusActive, Pool: Pool{Name: "theirs"}})
		}},
		"foreign listener on our port": {want: base(), have: func(s *Seen) { s.Listeners[0].Tags = nil; s.Listeners[0].Protocol = "HTTP" },
			ops: []string{"delete listener tcp-80", "create listener tcp-80"}},
		"everything forgotten": {want: base(), have: func(s *Seen) { s.Listeners, s.Pools = nil, nil },
			ops: []string{"create pool tcp-80", "fill pool tcp-80", "create monitor tcp-80", "create listener tcp-80"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := grown(plant(base(), Settings{}))
			if tt.have != nil {
				tt.have(&have)
			}
			if d := cmp.Diff(tt.ops, texts(Diff(plant(tt.want, tt.set), have))); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestDiffPolicies: rules come one by one, and a policy with several is not used before it has them all.
func TestDiffPolicies(t *testing.T) {
	both := tcp(80)
	both.Listeners[0] = lb.Listener{Port: 80, Protocol: lb.HTTP, Routes: []lb.Route{{Host: "h", Path: "/a"}}}
	want := plant(both, Settings{})
	name := want.Pools[0].Name
	for what, tt := range map[string]struct {
		have []SeenPolicy
		ops  []string
	}{
		"none": {nil, []string{"create policy " + name, "create rule " + name, "create rule " + name, "update policy " + name}},
		"one rule": {[]SeenPolicy{{ID: "p", Name: name, Status: statusActive, Rules: 1, Off: true}},
			[]string{"create rule " + name, "update policy " + name}},
		"off":  {[]SeenPolicy{{ID: "p", Name: name, Status: statusActive, Rules: 2, Off: true}}, []string{"update policy " + name}},
		"done": {[]SeenPolicy{{ID: "p", Name: name, Status: statusActive, Rules: 2}}, nil},
		"too many rules": {[]SeenPolicy{{ID: "p", Name: name, Status: statusActive, Rules: 3}}, []string{"delete policy " + name,
			"create policy " + name, "create rule " + name, "create rule " + name, "update policy " + name}},
		"another": {[]SeenPolicy{{ID: "p", Name: name, Status: statusActive, Rules: 2}, {ID: "q", Name: "x", Status: statusActive}},
			[]string{"delete policy x"}},
	} {
		have := grown(want)
		have.Listeners[0].Policies = tt.have
		if d := cmp.Diff(tt.ops, texts(Diff(want, have))); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
}

// randomModel is a load balancer of a few ports and routes out of few choices, so that two have much in common.
func randomModel(rnd *rand.Rand) (lb.LoadBalancer, Settings) {
	l := lb.LoadBalancer{Origin: origin("default", "web")}
	for port := uint16(80); port < 83; port++ {
		switch rnd.IntN(4) {
		case 0:
			continue
		case 1:
			l.Listeners = append(l.Listeners, tcp(port, randomMembers(rnd)...).Listeners...)
		default:
			x := lb.Listener{Port: port, Protocol: lb.HTTP}
			for _, r := range []lb.Route{{}, {Path: "/a"}, {Host: "h"}, {Host: "h", Path: "/a/b"}} {
				if rnd.IntN(2) == 0 {
					r.Target = endpoints(randomMembers(rnd)...)
					x.Routes = append(x.Routes, r)
				}
			}
			l.Listeners = append(l.Listeners, x)
		}
	}
	one := func(values ...string) string { return values[rnd.IntN(len(values))] }
	return l, Settings{
		Method: one("", "SOURCE_IP"), ProxyProtocol: one("", "v1", "v2"), ForwardedFor: rnd.IntN(2) == 0,
		ConnectionLimit: rnd.IntN(2), Monitor: MonitorSettings{Type: one("", "NONE", "HTTP")},
	}
}

func randomMembers(rnd *rand.Rand) (out []string) {
	for n := range 3 {
		if rnd.IntN(2) == 0 {
			out = append(out, fmt.Sprintf("192.0.2.%d:30080", 11+n))
		}
	}
	return out
}

// damage makes things stuck, missing or foreign.
func damage(rnd *rand.Rand, s *Seen) {
	for i := range s.Listeners {
		if rnd.IntN(6) == 0 {
			s.Listeners[i].Status = "PENDING_CREATE"
		}
	}
	for i := range s.Pools {
		switch rnd.IntN(8) {
		case 0:
			s.Pools[i].Stuck = true
		case 1:
			s.Pools[i].Status = statusError
		}
	}
}

// TestConvergence goes from anything to anything as the engine does: the first operation, then a look at what differs
// now. It ends, at what is wanted; what Octavia would refuse is never asked for; and no listener gets a pool that is
// not complete.
func TestConvergence(t *testing.T) {
	longest := 0
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		from, to := plant(randomModel(rnd)), plant(randomModel(rnd))
		seen := grown(from)
		damage(rnd, &seen)
		a := fakeAPI(obedient(t))
		var done []string
		for {
			ops := Diff(to, seen)
			if len(ops) == 0 {
				break
			}
			if breach := forbidden(ops[0], to, seen); breach != "" {
				t.Fatalf("seed %d: after %v: %s: %s", seed, done, ops[0], breach)
			}
			done = append(done, ops[0].String())
			if len(done) > 100 {
				t.Fatalf("seed %d: no end: %v", seed, done)
			}
			if err := a.do(t.Context(), ops[0], to, &seen); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, ops[0], err)
			}
		}
		longest = max(longest, len(done))
		if len(to.Listeners) > 0 && (len(seen.Listeners) != len(to.Listeners) || len(seen.Pools) != len(to.Pools)) {
			t.Fatalf("seed %d: %d listeners and %d pools, want %d and %d", seed, len(seen.Listeners), len(seen.Pools),
				len(to.Listeners), len(to.Pools))
		}
	}
	if longest < 20 {
		t.Errorf("the longest way has %d operations; the test is blind", longest)
	}
}

// forbidden says what is wrong with an operation.
func forbidden(o Op, want Tree, s Seen) string {
	switch {
	case o.NeedsID:
		return "its id is not known"
	case o.Verb == Delete && o.Kind == KindPool:
		for _, l := range s.Listeners {
			for _, p := range l.Policies {
				if p.Name == o.Name {
					return "a policy needs the pool"
				}
			}
			if p := s.pool(o.Name); l.DefaultPool == o.Name && p.Status == statusActive && !p.Stuck && l.Status == statusActive {
				return "a listener sends to the pool"
			}
		}
	case o.Verb == Create && o.Kind == KindListener:
		if s.listener(o.Listener.Protocol, o.Listener.Port) != nil {
			return "the port is taken"
		}
		return incomplete(o.Listener.DefaultPool, want, s)
	case o.Verb == Create && o.Kind == KindPool && s.pool(o.Name) != nil:
		return "the name is taken"
	case o.Verb == Update && o.Kind == KindListener:
		return incomplete(o.Listener.DefaultPool, want, s)
	case o.Kind == KindPolicy && o.Verb == Create:
		return incomplete(o.Policy.Pool, want, s)
	}
	return ""
}

func incomplete(pool string, want Tree, s Seen) string {
	if pool == "" {
		return ""
	}
	p, w := s.pool(pool), want.pool(pool)
	switch {
	case p == nil:
		return "its pool is not there"
	case len(p.Members) != len(w.Members):
		return "its pool is not full"
	case (p.Monitor == nil) != (w.Monitor == nil):
		return "its pool has no monitor"
	}
	return ""
}

// Policies are tried in the order of the tree, whichever were there before.
func TestPolicyPositions(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		to := plant(randomModel(rnd))
		seen := grown(plant(randomModel(rnd)))
		a := fakeAPI(obedient(t))
		order := map[uint16][]string{}
		for _, l := range seen.Listeners {
			for _, p := range l.Policies {
				order[l.Port] = append(order[l.Port], p.Name)
			}
		}
		for ops := Diff(to, seen); len(ops) > 0; ops = Diff(to, seen) {
			o := ops[0]
			switch {
			case o.Kind == KindListener && o.Verb == Delete:
				delete(order, o.Port)
			case o.Kind == KindPolicy && o.Verb == Delete:
				order[o.Port] = slices.DeleteFunc(order[o.Port], func(n string) bool { return n == o.Name })
			case o.Kind == KindPolicy && o.Verb == Create:
				at := min(o.Position-1, len(order[o.Port])) // as Octavia does
				order[o.Port] = slices.Insert(order[o.Port], at, o.Name)
			}
			if err := a.do(t.Context(), o, to, &seen); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range to.Listeners {
			var want []string
			for _, p := range l.Policies {
				want = append(want, p.Name)
			}
			if !slices.Equal(want, order[l.Port]) {
				t.Fatalf("seed %d: port %d: %s, want %s", seed, l.Port, strings.Join(order[l.Port], " "), strings.Join(want, " "))
			}
		}
	}
}
