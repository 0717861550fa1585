package lb

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// sample returns a load balancer that uses every field, in normal form.
func sample() LoadBalancer {
	target := func(name string) Target {
		return Target{
			Service: Service{Key: Key{Namespace: "default", Name: name}, Port: 80},
			Endpoints: []netip.AddrPort{
				netip.MustParseAddrPort("10.96.0.1:80"), netip.MustParseAddrPort("10.96.0.1:81"),
				netip.MustParseAddrPort("[fd00:96::1]:80"),
			},
		}
	}
	return LoadBalancer{
		Origin: Origin{Kind: "ConfigMap", Key: Key{Namespace: "default", Name: "web"}, UID: "u",
			Created: time.Date(2016, 6, 17, 22, 30, 3, 0, time.UTC)},
		VIPs: []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("fd00::1")},
		Listeners: []Listener{
			{Port: 80, Protocol: HTTP, Routes: []Route{
				{Path: "/", Target: target("a")}, {Path: "/b", Target: target("b")}, {Host: "a.b", Target: target("c")},
				{Host: "a.b", Path: "/b", Target: target("d")},
				{Host: "a.b", Path: "/b", Exact: true, Rewrite: "/r", Target: target("d"), Others: []Target{target("e"), target("f")}},
			}},
			{Port: 443, Protocol: HTTP, TLS: sampleTLS(), Routes: []Route{{Target: target("e")}}},
			{Port: 5432, Protocol: TCP, Routes: []Route{{Target: target("f")}}},
			{Port: 5432, Protocol: UDP, Routes: []Route{{Target: target("g")}}, Options: sampleOptions()},
		},
	}
}

func sampleTLS() *TLS {
	ca := CABundle{Kind: KindSecret, Name: "ca", Material: Material{Name: "n", Digest: "d"}}
	return &TLS{
		Certificates: []Certificate{
			{Secret: "s", Material: Material{Name: "m", Digest: "e"}, Names: []string{"a.b"}, Expires: time.Unix(1, 0).UTC()}, {Secret: "a"},
		},
		Clients: &ClientAuth{CA: ca, Optional: true},
	}
}

func sampleChanges() HeaderChanges {
	return HeaderChanges{Set: []Header{{Name: "A", Value: "a"}, {Name: "B", Value: "b"}}, Remove: []string{"C", "D"}}
}

// sampleOptions returns options that ask for everything.
func sampleOptions() Options {
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	return Options{
		Sources: prefixes, TrustedProxies: slices.Clone(prefixes), AcceptProxy: true, SendProxy: true, SendProxyV2: true,
		Limits: Limits{Connections: 3, PerClient: 4}, Timeouts: Timeouts{Connect: time.Second, Send: time.Second, Read: time.Second, Idle: time.Minute}, Responses: 2,
		Upstream: Upstream{Endpoints: true, Method: LeastConnections, Affinity: Cookie},
		Retries:  1, AccessLog: true, HTTP: HTTPOptions{
			RedirectTo: 443, GRPC: true, MaxBody: 1, Gzip: true, Request: sampleChanges(), Response: sampleChanges(),
		}, BackendTLS: &BackendTLS{CA: CABundle{Kind: KindSecret, Name: "ca"}, ServerName: "a.b"},
	}
}

// The sample forgets no option.
func TestSampleOptions(t *testing.T) {
	var check func(reflect.Value, string)
	check = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+"."+v.Type().Field(i).Name
			switch {
			case f.IsZero():
				t.Errorf("%s is not in the sample", name)
			case f.Kind() == reflect.Struct:
				check(f, name)
			}
		}
	}
	check(reflect.ValueOf(sampleOptions()), "Options")
}

func shuffle[T any](rnd *rand.Rand, s []T) {
	rnd.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

// Whatever the order, the normal form is one.
func TestNormalize(t *testing.T) {
	want := sample()
	for seed := range uint64(50) {
		rnd, got := rand.New(rand.NewPCG(seed, 0)), sample()
		shuffle(rnd, got.VIPs)
		shuffle(rnd, got.Listeners)
		for _, l := range got.Listeners {
			shuffle(rnd, l.Options.Sources)
			shuffle(rnd, l.Options.TrustedProxies)
			shuffle(rnd, l.Options.HTTP.Request.Set)
			shuffle(rnd, l.Options.HTTP.Response.Remove)
			shuffle(rnd, l.Routes)
			for i := range l.Routes {
				r := &l.Routes[i]
				targets := r.Targets()
				shuffle(rnd, targets)
				for _, target := range targets {
					shuffle(rnd, target.Endpoints)
				}
				if r.Target = targets[0]; len(targets) > 1 {
					r.Others = targets[1:]
				}
			}
		}
		got.Normalize()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: got %+v", seed, got)
		}
	}
	var zero LoadBalancer
	zero.Normalize()
	if !reflect.DeepEqual(zero, LoadBalancer{}) {
		t.Errorf("the zero value becomes %+v", zero)
	}
}

// TestClone changes everything that can be reached in a copy and finds the original untouched.
func TestClone(t *testing.T) {
	original := sample()
	c := original.Clone()
	if !reflect.DeepEqual(c, original) {
		t.Fatalf("the copy differs: %+v", c)
	}
	seen := scramble(reflect.ValueOf(&c).Elem())
	if !reflect.DeepEqual(original, sample()) {
		t.Errorf("the original has changed with its copy: %+v", original)
	}
	if seen < 30 {
		t.Errorf("only %d fields were changed; the test is blind", seen)
	}
	if got := (LoadBalancer{}).Clone(); !reflect.DeepEqual(got, LoadBalancer{}) {
		t.Errorf("the zero value's copy is %+v", got)
	}
}

// scramble sets everything that can be reached to its zero value, from the leaves up, and counts the leaves.
func scramble(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return scramble(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += scramble(v.Index(i))
		}
		return n
	case reflect.Struct:
		if v.NumField() > 0 && v.Type().Field(0).IsExported() {
			for _, f := range v.Fields() {
				n += scramble(f)
			}
			return n
		}
	}
	v.SetZero()
	return 1
}

func TestLoadBalancerJSON(t *testing.T) {
	b, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got LoadBalancer
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sample()) {
		t.Errorf("got %+v from %s", got, b)
	}
}

func TestParseKey(t *testing.T) {
	for s, want := range map[string]Key{
		"a/b": {Namespace: "a", Name: "b"}, "kube-system/x.y": {Namespace: "kube-system", Name: "x.y"},
		"": {}, "a": {}, "/b": {}, "a/": {}, "/": {}, "a/b/c": {}, "a//b": {},
	} {
		got, err := ParseKey(s)
		if got != want || (err != nil) != (want == Key{}) {
			t.Errorf("ParseKey(%q) = %v, %v", s, got, err)
		}
	}
}

// FuzzParseKey says that what is read is what was written.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"a/b", "", "/", "a//b", "a/b/c", "\x00/\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKey(s)
		if err == nil && (k.String() != s || k.Namespace == "" || k.Name == "") {
			t.Errorf("%q reads as %+v", s, k)
		}
		if err != nil && k != (Key{}) {
			t.Errorf("%q: %+v beside error %v", s, k, err)
		}
	})
}

func TestKeyCompare(t *testing.T) {
	sorted := []Key{{}, {"a", "b"}, {"a", "c"}, {"a-b", "a"}, {"b", "a"}}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := a.Compare(b); got < 0 != (i < j) || got == 0 != (i == j) {
				t.Errorf("%v.Compare(%v) = %d", a, b, got)
			}
		}
	}
}

func TestFamilyOf(t *testing.T) {
	for a, want := range map[string]Family{
		"10.0.0.1": IPv4, "::ffff:10.0.0.1": IPv4, "fd00::1": IPv6, "::1": IPv6, "fe80::1%eth0": IPv6,
	} {
		if got := FamilyOf(netip.MustParseAddr(a)); got != want {
			t.Errorf("FamilyOf(%s) = %s", a, got)
		}
	}
}

func TestStrings(t *testing.T) {
	s := Service{Key: Key{Namespace: "a", Name: "b"}, Port: 80}
	if got := s.String(); got != "a/b:80" {
		t.Errorf("Service %s", got)
	}
	// The addresses' own order puts IPv4 first, which Normalize relies on.
	as := sample().VIPs
	if !slices.IsSortedFunc(as, netip.Addr.Compare) || FamilyOf(as[0]) != IPv4 {
		t.Errorf("addresses %v", as)
	}
}
