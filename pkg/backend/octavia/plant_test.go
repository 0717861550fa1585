package octavia

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shop has routes of every kind.
func shop() lb.LoadBalancer {
	l := tcp(5432, "192.0.2.12:30432", "192.0.2.11:30432", "192.0.2.12:30432")
	l.Listeners = append(l.Listeners, lb.Listener{Port: 80, Protocol: lb.HTTP, Routes: []lb.Route{
		{Target: endpoints("192.0.2.11:30080")},
		{Path: "/tea", Target: endpoints("192.0.2.11:30081")},
		{Path: "/tea/green", Target: endpoints("192.0.2.11:30082")},
		{Host: "b.example", Target: endpoints("192.0.2.11:30083")},
		{Host: "a.example", Path: "/x", Target: endpoints("[2001:db8::1]:30084")},
	}})
	return l
}

// TestGolden holds the body of the one call that creates everything.
func TestGolden(t *testing.T) {
	subnet := Placement{SubnetID: "s"}
	all := Settings{
		Placement: Placement{NetworkID: "n", FlavorID: "f", AvailabilityZone: "z", Provider: "p"}, MemberSubnetID: "m",
		Method: "LEAST_CONNECTIONS", Persistence: "SOURCE_IP", ConnectionLimit: 9, ClientTimeout: 1, ConnectTimeout: 2,
		MemberTimeout: 3, InspectTimeout: 4, ProxyProtocol: "v1", ForwardedFor: true,
		AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("10.0.0.0/8")},
		Monitor:      MonitorSettings{Type: "HTTP", Delay: 9, Timeout: 8, Retries: 7, RetriesDown: 6, Path: "/healthz", Codes: "200-204"},
	}
	withVIP := tcp(80, "192.0.2.11:30080")
	withVIP.VIPs = []netip.Addr{netip.MustParseAddr("198.51.100.7")}
	for name, tt := range map[string]struct {
		model    lb.LoadBalancer
		settings Settings
	}{
		"tcp":         {tcp(80, "192.0.2.11:30080", "192.0.2.12:30080"), Settings{Placement: subnet}},
		"no-members":  {tcp(80), Settings{Placement: subnet}},
		"address":     {withVIP, Settings{Placement: subnet}},
		"no-monitor":  {tcp(80, "192.0.2.11:30080"), Settings{Placement: subnet, Monitor: MonitorSettings{Type: "NONE"}}},
		"shop":        {shop(), Settings{Placement: subnet}},
		"all":         {shop(), all},
		"no-listener": {lb.LoadBalancer{Origin: origin("default", "web")}, Settings{Placement: subnet}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(whole(plant(tt.model, tt.settings)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)+"\n"); d != "" {
				t.Error(d)
			}
		})
	}
}

// The order of the model's parts means nothing.
func TestPlantOrder(t *testing.T) {
	want := plant(shop(), Settings{})
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l := shop()
		rnd.Shuffle(len(l.Listeners), func(i, j int) { l.Listeners[i], l.Listeners[j] = l.Listeners[j], l.Listeners[i] })
		for _, x := range l.Listeners {
			rnd.Shuffle(len(x.Routes), func(i, j int) { x.Routes[i], x.Routes[j] = x.Routes[j], x.Routes[i] })
			for _, r := range x.Routes {
				e := r.Target.Endpoints
				rnd.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
			}
		}
		if d := cmp.Diff(want, plant(l, Settings{})); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

// Names of pools are unique in a load balancer, and no member is there twice: Octavia would refuse, or worse.
func TestPlantUnique(t *testing.T) {
	tree := plant(shop(), Settings{})
	names := map[string]bool{}
	for _, p := range tree.Pools {
		if names[p.Name] {
			t.Errorf("pool %s is there twice", p.Name)
		}
		names[p.Name] = true
		for i := range p.Members {
			if i > 0 && p.Members[i].compare(p.Members[i-1]) <= 0 {
				t.Errorf("pool %s: members %v", p.Name, p.Members)
			}
		}
	}
	if len(names) != 6 {
		t.Errorf("%d pools, want 6", len(names))
	}
}

func TestIdentity(t *testing.T) {
	long := strings.Repeat("x", 253)
	for _, k := range []lb.Key{{Namespace: "default", Name: "web"}, {Namespace: "a-b", Name: "c"}, {Namespace: "n", Name: long}} {
		i := Identity{Cluster: "c", Origin: lb.Origin{Key: k, UID: "u"}}
		for _, s := range append(i.Tags(), i.Name()) {
			if len(s) > maxText || strings.Contains(s, ",") {
				t.Errorf("%s: %q", k, s)
			}
		}
		got, ok := keyOf(i.Tags())
		if want := len(k.Name) < 200; ok != want || ok && got != k {
			t.Errorf("%s reads as %s, %v", k, got, ok)
		}
	}
	// The same name, as the 2016 form has it, but never the same tags.
	a := Identity{Cluster: "c", Origin: origin("a-b", "c")}
	b := Identity{Cluster: "c", Origin: origin("a", "b-c")}
	if a.Name() != b.Name() || owned(a.Tags(), b.ChildTags()) {
		t.Errorf("%v and %v", a.Tags(), b.Tags())
	}
	if objectTag(lb.Key{Namespace: "n", Name: long}) == objectTag(lb.Key{Namespace: "n", Name: long[:252] + "y"}) {
		t.Error("long names are not told apart")
	}
	tags := withTags([]string{"theirs", "kubectl-lb-uid=old", "kubectl-lb-cluster=c"}, a.Tags())
	if want := append(a.Tags(), "theirs"); !reflect.DeepEqual(tags, sorted(want)) {
		t.Errorf("tags %v", tags)
	}
}

// FuzzObjectTag says that no two objects share a tag.
func FuzzObjectTag(f *testing.F) {
	f.Add("a", "b", "a", "c")
	f.Add("a", strings.Repeat("x", 300), "a", strings.Repeat("x", 301))
	f.Fuzz(func(t *testing.T, ns, name, ns2, name2 string) {
		a, b := lb.Key{Namespace: ns, Name: name}, lb.Key{Namespace: ns2, Name: name2}
		if objectTag(a) == objectTag(b) && a.String() != b.String() {
			t.Errorf("%q and %q have the tag %q", a, b, objectTag(a))
		}
		if len(objectTag(a)) > maxText {
			t.Errorf("%q is too long", objectTag(a))
		}
		if k, ok := keyOf([]string{objectTag(a)}); ok && k.String() != a.String() {
			t.Errorf("%q reads as %q", a, k)
		}
	})
}

func TestSettingsCheck(t *testing.T) {
	placed := func(change func(*Settings)) Settings {
		s := Settings{Placement: Placement{SubnetID: "s"}}
		change(&s)
		return s
	}
	for want, s := range map[string]Settings{
		"":                             placed(func(*Settings) {}),
		`method "X"`:                   placed(func(s *Settings) { s.Method = "X" }),
		`session persistence "X"`:      placed(func(s *Settings) { s.Persistence = "X" }),
		`PROXY protocol "v3"`:          placed(func(s *Settings) { s.ProxyProtocol = "v3" }),
		`monitor type "X"`:             placed(func(s *Settings) { s.Monitor.Type = "X" }),
		"longer than its delay of 5 s": placed(func(s *Settings) { s.Monitor.Timeout = 6 }),
		"at least a second":            placed(func(s *Settings) { s.Monitor.Delay = -1 }),
		"1 to 10":                      placed(func(s *Settings) { s.Monitor.Retries = 11 }),
	} {
		err := s.Check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
