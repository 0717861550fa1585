package octavia

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The last good version is not known after a start: what is there is left as it is, and nothing is made.
func TestLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		first := c.begin(t)
		apply(t, first, tcp(80, "192.0.2.11:30080"))
		time.Sleep(time.Minute)
		c.calls = nil
		b := c.begin(t)
		broken, never := tcp(80), tcp(81)
		broken.Listeners, never.Listeners, never.Origin = nil, nil, origin("default", "never")
		apply(t, b, broken, never)
		time.Sleep(time.Minute)
		state, err := b.State(t.Context())
		if err != nil || c.made != 1 || c.count("PUT")+c.count("DELETE") > 0 || !b.Settled() {
			t.Errorf("%v; made %d: %v", err, c.made, c.calls)
		}
		if n := len(state.LoadBalancers); n != 1 || state.Health[never.Origin.Key].Ready || !state.Health[broken.Origin.Key].Ready {
			t.Errorf("%d with an address, %+v", n, state.Health)
		}
	})
}

// A pass without anything new makes no call as long as the last list is young; what is new asks for itself.
func TestListEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t, func(o *Options) { o.ListEvery = time.Minute })
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(20 * time.Second)
		c.calls = nil
		apply(t, b, tcp(80, "192.0.2.11:30080"))
		time.Sleep(10 * time.Second)
		if len(c.calls) != 0 {
			t.Errorf("nothing is new: %v", c.calls)
		}
		more := tcp(81)
		more.Origin = origin("default", "more")
		apply(t, b, tcp(80, "192.0.2.11:30080"), more)
		time.Sleep(10 * time.Second)
		if c.count("GET loadbalancers?") > 1 || c.count("POST") != 1 {
			t.Errorf("one more: %v", c.calls)
		}
		c.calls = nil
		time.Sleep(time.Minute)
		apply(t, b, tcp(80, "192.0.2.11:30080"), more)
		if len(c.calls) != 1 {
			t.Errorf("the list is old: %v", c.calls)
		}
	})
}

// Node events come in bursts, and become one change.
func TestCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b := c.begin(t, func(o *Options) { o.ListEvery, o.Coalesce = time.Hour, time.Second })
		nodes := []string{"192.0.2.11:30080", "192.0.2.12:30080", "192.0.2.13:30080", "192.0.2.14:30080"}
		apply(t, b, tcp(80, nodes[:1]...))
		time.Sleep(time.Minute)
		c.calls = nil
		it := b.engine.items[tcp(80).Origin.Key]
		for n := range 3 {
			apply(t, b, tcp(80, nodes[:n+2]...))
			time.Sleep(300 * time.Millisecond)
		}
		if len(c.calls) > 0 {
			t.Errorf("it does not wait: %v", c.calls)
		}
		begun := it.version
		time.Sleep(150 * time.Millisecond)
		if len(c.calls) == 0 || it.version != begun {
			t.Errorf("it waits for too long: %v", c.calls)
		}
	})
}

// What objects ask for goes over what is configured, and what a port asks for over both.
func TestOverlay(t *testing.T) {
	l := tcp(80, "192.0.2.11:30080")
	l.Cloud = lb.Cloud{Flavor: "f", Driver: "ovn", MemberSubnet: "m", ClientTimeout: 7 * time.Second,
		Monitor: lb.CloudMonitor{Delay: 9 * time.Second, RetriesDown: 2}}
	l.Listeners[0].Options = lb.Options{
		SendProxyV2: true, Limits: lb.Limits{Connections: 5}, Timeouts: lb.Timeouts{Connect: time.Second, Idle: 3 * time.Second},
	}
	l.Listeners = append(l.Listeners,
		lb.Listener{Port: 80, Protocol: lb.UDP, Routes: []lb.Route{{Target: endpoints("192.0.2.11:30053")}}},
		lb.Listener{Port: 81, Protocol: lb.HTTP, Routes: []lb.Route{{Target: lb.Target{
			Endpoints: endpoints("192.0.2.11:30081").Endpoints, Check: lb.Check{Port: 32000, Path: "/healthz"},
		}}}, Options: lb.Options{Upstream: lb.Upstream{Affinity: lb.Cookie}}})
	tree := plant(l, Settings{Placement: Placement{SubnetID: "s", FlavorID: "g"}, ForwardedFor: true, MemberTimeout: 11})
	if p := tree.Placement; p.SubnetID != "s" || p.FlavorID != "f" || p.Provider != "ovn" {
		t.Errorf("placement %+v", p)
	}
	x := tree.Listeners[0]
	if x.ConnectionLimit != 5 || x.ConnectTimeout != 1000 || x.ClientTimeout != 7000 || x.MemberTimeout != 3000 {
		t.Errorf("%+v", x)
	}
	if y := tree.Listeners[1]; y.Name != "udp-80" || y.MemberTimeout != 11 || y.DefaultPool != "udp-80" {
		t.Errorf("%+v", y)
	}
	p := tree.pool("proxyv2-80")
	if p == nil || p.Persistence != nil || p.Method != methodFlow || p.Members[0].SubnetID != "m" || p.Monitor.Delay != 9 || p.Monitor.RetriesDown != 2 {
		t.Errorf("%+v", p)
	}
	if u := tree.pool("udp-80"); u == nil || u.Monitor.Type != monitorUDP {
		t.Errorf("%+v", u)
	}
	web := tree.pool("http-81-checked-at-32000")
	if web == nil || web.Persistence.Type != "HTTP_COOKIE" || web.Monitor.Type != monitorHTTP || web.Monitor.Path != "/healthz" ||
		web.Members[0].MonitorPort != 32000 {
		t.Errorf("%+v", tree.Pools)
	}
	if h := tree.Listeners[2].InsertHeaders; len(h) != 3 {
		t.Errorf("headers %v", h)
	}
}

// lb-method and session-affinity mean what they mean for the software backend.
func TestSpread(t *testing.T) {
	for _, c := range []struct {
		cloud    lb.Cloud
		affinity lb.Affinity
		method   string
		want     *Persistence
	}{
		{lb.Cloud{}, "", "SOURCE_IP", nil},
		{lb.Cloud{Method: lb.RoundRobin}, "", "ROUND_ROBIN", nil},
		{lb.Cloud{Method: lb.LeastConnections}, lb.ClientIP, "LEAST_CONNECTIONS", &Persistence{Type: "SOURCE_IP"}},
		{lb.Cloud{}, lb.Cookie, "SOURCE_IP", &Persistence{Type: "HTTP_COOKIE"}},
		{lb.Cloud{Cookie: "JSESSIONID"}, lb.Cookie, "SOURCE_IP", &Persistence{Type: "APP_COOKIE", Cookie: "JSESSIONID"}},
	} {
		l := tcp(80, "192.0.2.11:30080")
		l.Cloud, l.Listeners[0].Protocol, l.Listeners[0].Options.Upstream.Affinity = c.cloud, lb.HTTP, c.affinity
		p := plant(l, Settings{Method: "SOURCE_IP"}).Pools[0]
		if p.Method != c.method || !samePersistence(p.Persistence, c.want) {
			t.Errorf("%+v %s: %s %+v", c.cloud, c.affinity, p.Method, p.Persistence)
		}
	}
}

// Requests go to the most specific route, and a prefix ends where a segment does.
func TestRules(t *testing.T) {
	l := tcp(8080)
	l.Listeners[0].Protocol = lb.HTTP
	l.Listeners[0].Routes = []lb.Route{
		{}, {Path: "/a/"}, {Path: "/a", Exact: true}, {Host: "*.b.example"}, {Host: "*.example"}, {Host: "c.example", Path: "/x.y"},
	}
	var got []string
	for _, p := range plant(l, Settings{}).Listeners[0].Policies {
		text := ""
		for _, r := range p.Rules {
			text += r.Type + " " + r.Compare + " " + r.Value + ";"
		}
		got = append(got, text)
	}
	want := []string{
		`HOST_NAME REGEX ^c\.example(:8080)?$;PATH REGEX ^/x\.y(/|$);`, `HOST_NAME REGEX \.b\.example(:8080)?$;`,
		`HOST_NAME REGEX \.example(:8080)?$;`, `PATH EQUAL_TO /a;`, `PATH REGEX ^/a(/|$);`,
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %q, not %q", i, got[i], want[i])
		}
	}
}

// HTTPS ends at Octavia with Barbican's certificates: the first is the default, of the others the order says nothing.
func TestTerminated(t *testing.T) {
	l := tcp(443)
	l.Listeners[0].Protocol, l.Listeners[0].TLS = lb.HTTP, &lb.TLS{}
	l.Listeners[0].Routes[0].Host = "a.example"
	l.Cloud.Certificates = []string{"z", "y", "x"}
	tree := plant(l, Settings{ForwardedFor: true})
	x := tree.Listeners[0]
	if x.Protocol != "TERMINATED_HTTPS" || x.Name != "https-443" || x.Certificate != "z" || len(x.InsertHeaders) != 3 ||
		!slices.Equal(x.Certificates, []string{"x", "y"}) || x.Policies[0].Rules[0].Value != "a.example" {
		t.Errorf("%+v", x)
	}
	if p := tree.Pools[0]; p.Protocol != "HTTP" {
		t.Errorf("%+v", p)
	}
	have := grown(tree)
	if ops := Diff(tree, have); len(ops) > 0 {
		t.Errorf("%v", ops)
	}
	l.Cloud.Certificates[0] = "new"
	if ops := Diff(plant(l, Settings{ForwardedFor: true}), have); len(ops) != 1 || ops[0].String() != "update listener https-443" {
		t.Errorf("%v", ops)
	}
	if c := changeOf(x, nil); *c.Certificates == nil || c.Certificate != "z" {
		t.Errorf("%+v", c)
	}
}

// Each family has its subnet; both together make two addresses.
func TestFamilies(t *testing.T) {
	both := Settings{Placement: Placement{SubnetID: "four"}, SubnetIPv6: "six"}
	for _, c := range []struct {
		settings   Settings
		ipv4, ipv6 bool
		want       Placement
	}{
		{both, false, false, Placement{SubnetID: "four"}},
		{both, true, false, Placement{SubnetID: "four"}},
		{both, false, true, Placement{SubnetID: "six"}},
		{both, true, true, Placement{SubnetID: "four", Additional: []Additional{{SubnetID: "six"}}}},
		{Settings{SubnetIPv6: "six"}, false, false, Placement{SubnetID: "six"}},
		{Settings{Placement: Placement{NetworkID: "n"}, SubnetIPv6: "six"}, false, true, Placement{NetworkID: "n"}},
	} {
		l := tcp(80)
		l.Cloud.IPv4, l.Cloud.IPv6 = c.ipv4, c.ipv6
		if got := plant(l, c.settings).Placement; got.SubnetID != c.want.SubnetID ||
			len(got.Additional) != len(c.want.Additional) || got.NetworkID != c.want.NetworkID {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// What a provider cannot do is said before anything is made.
func TestCheck(t *testing.T) {
	b, err := New(Options{Cluster: "c", Defaults: Settings{Placement: Placement{SubnetID: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := lb.Fields{Method: "method", Monitor: "monitor", Subnet: "subnet", Families: "families", Affinity: "affinity",
		Protocol: "protocol", Idle: "idle", Certificates: "certificates"}
	for _, c := range []struct {
		name     string
		protocol lb.Protocol
		cloud    lb.Cloud
		options  lb.Options
		families []lb.Family
		want     string
	}{
		{"plain", lb.TCP, lb.Cloud{}, lb.Options{}, nil, ""},
		{"ovn", lb.TCP, lb.Cloud{Driver: "ovn"}, lb.Options{}, nil, ""},
		{"ovn's method", lb.TCP, lb.Cloud{Driver: "ovn", Method: lb.RoundRobin}, lb.Options{}, nil,
			"LB0401 method: provider ovn knows no method but its own, SOURCE_IP_PORT; remove the key"},
		{"ovn and a cookie", lb.TCP, lb.Cloud{Driver: "ovn"}, lb.Options{Upstream: lb.Upstream{Affinity: lb.Cookie}}, nil,
			"LB0401 affinity: provider ovn cannot keep clients by cookies; give client-ip"},
		{"ovn and HTTP", lb.HTTP, lb.Cloud{Driver: "ovn"}, lb.Options{}, nil,
			"LB0401 protocol: provider ovn passes connections on, and does not look into them; use protocol TCP"},
		{"UDP-CONNECT for TCP", lb.TCP, lb.Cloud{Monitor: lb.CloudMonitor{Type: monitorUDP}}, lb.Options{}, nil,
			"LB0401 monitor: UDP-CONNECT is for ports of UDP and SCTP, and port 80 is of TCP"},
		{"timeout over delay", lb.TCP, lb.Cloud{Monitor: lb.CloudMonitor{Timeout: 9 * time.Second}}, lb.Options{}, nil,
			"LB0401 monitor: monitor timeout 9 s is longer than its delay of 5 s"},
		{"UDP's idle time", lb.UDP, lb.Cloud{}, lb.Options{Timeouts: lb.Timeouts{Idle: time.Second}}, nil,
			"LB0401 idle: Octavia has no time after which a session of UDP ends; remove the key"},
		{"TLS for TCP", lb.TCP, lb.Cloud{}, lb.Options{}, nil, "LB0401 protocol: Octavia ends TLS for HTTP only; leave TLS to the " +
			"Service with protocol TCP, or use HTTPS"},
		{"a certificate of a Secret", lb.HTTP, lb.Cloud{}, lb.Options{}, nil, ""},
		{"a certificate of Barbican", lb.HTTP, lb.Cloud{Certificates: []string{"x"}}, lb.Options{}, nil, ""},
		{"two families", lb.TCP, lb.Cloud{}, lb.Options{}, []lb.Family{lb.IPv4, lb.IPv6},
			"LB0401 families: an address of each family needs vip-subnet and vip-subnet-ipv6"},
	} {
		l := tcp(80)
		l.Cloud, l.Listeners[0].Protocol, l.Listeners[0].Options = c.cloud, c.protocol, c.options
		if strings.HasPrefix(c.name, "TLS ") || strings.HasPrefix(c.name, "a certificate ") {
			l.Listeners[0].TLS = &lb.TLS{}
		}
		got := ""
		for _, f := range b.Check(lb.Wish{LoadBalancer: l, Fields: at, Address: lb.AddressWish{Families: c.families}}) {
			got += f.String()
		}
		if got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	nowhere, err := New(Options{Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if fs := nowhere.Check(lb.Wish{LoadBalancer: tcp(80), Fields: at}); len(fs) != 1 || fs[0].Field != "subnet" {
		t.Errorf("%v", fs)
	}
}
