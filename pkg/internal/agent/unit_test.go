package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, t := range texts {
		as = append(as, netip.MustParseAddr(t))
	}
	return as
}

func key(name string) lb.Key { return lb.Key{Namespace: "ns", Name: name} }

// entry returns a load balancer with a port that tells its version.
func entry(name string, port uint16, vips ...string) nodeconfig.Entry {
	var e nodeconfig.Entry
	e.Origin.Key = key(name)
	e.VIPs = addrs(vips...)
	e.Listeners = []lb.Listener{{Port: port}}
	return e
}

func shards(entries ...nodeconfig.Entry) nodeconfig.Config {
	return nodeconfig.Config{Shards: map[string]nodeconfig.Shard{"s": {Revision: 9, LoadBalancers: entries}}}
}

func TestIsolation(t *testing.T) {
	last := shards(entry("a", 1, "10.0.0.1"), entry("b", 1, "10.0.0.2"))
	asked := shards(entry("a", 2, "10.0.0.1"), entry("b", 2, "10.0.0.3"), entry("c", 2, "10.0.0.4"))
	tests := []struct {
		name   string
		last   *nodeconfig.Config
		refuse []string
		want   map[string]uint16
	}{
		{"nothing is bad", &last, nil, map[string]uint16{"a": 2, "b": 2, "c": 2}},
		{"a bad one is held", &last, []string{"a"}, map[string]uint16{"a": 1, "b": 2, "c": 2}},
		{"a held one is bad too", &last, []string{"a", "a"}, map[string]uint16{"b": 2, "c": 2}},
		{"one that lets go of an address is not held", &last, []string{"b"}, map[string]uint16{"a": 2, "c": 2}},
		{"a new one is left out", &last, []string{"c"}, map[string]uint16{"a": 2, "b": 2}},
		{"nothing runs", nil, []string{"a"}, map[string]uint16{"b": 2, "c": 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			iso := isolation{asked: asked, last: tt.last}
			for _, name := range tt.refuse {
				if !iso.refuse(key(name), lb.Finding{Message: name}) {
					t.Errorf("refusing %s changed nothing", name)
				}
			}
			c := iso.config()
			got := make(map[string]uint16)
			for _, e := range c.Shards["s"].LoadBalancers {
				got[e.Origin.Name] = e.Listeners[0].Port
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Shards["s"].Revision != 9 {
				t.Error("the shard lost its revision")
			}
			if len(slices.Compact(slices.Clone(tt.refuse))) != len(iso.findings) {
				t.Errorf("findings %v", iso.findings)
			}
		})
	}
	iso := isolation{asked: asked}
	for range 2 {
		iso.refuse(key("a"), lb.Finding{})
	}
	if iso.refuse(key("a"), lb.Finding{}) {
		t.Error("a load balancer can be refused for ever")
	}
}

// TestUnread: a load balancer that asks for more than this program reads stays as it was, and the others change. One that
// is new is left out rather than served without it.
func TestUnread(t *testing.T) {
	last := shards(entry("a", 1, "10.0.0.1"), entry("b", 1, "10.0.0.2"))
	future := func(e nodeconfig.Entry) nodeconfig.Entry {
		e.Requires = []nodeconfig.Feature{"quic", nodeconfig.FeatureTLS}
		return e
	}
	secure := entry("d", 2, "10.0.0.4")
	secure.Listeners[0].TLS = &lb.TLS{}
	secure.Requires = nodeconfig.Requires(secure.LoadBalancer)
	iso := isolation{last: &last, asked: shards(
		future(entry("a", 2, "10.0.0.1")), entry("b", 2, "10.0.0.2"), future(entry("c", 2, "10.0.0.3")), secure)}
	iso.refuseUnread("lb1")
	var got []string
	for _, e := range iso.config().Shards["s"].LoadBalancers {
		got = append(got, fmt.Sprintf("%s:%d", e.Origin.Name, e.Listeners[0].Port))
	}
	if text := strings.Join(got, " "); text != "a:1 b:2 d:2" {
		t.Errorf("served: %s", text)
	}
	const want = `the lb-daemon of node lb1, or the lb-controller, is too old for what it asks for ("quic, tls"); update both ` +
		`to one version`
	if len(iso.findings) != 2 || iso.findings[0].Key != key("a") || iso.findings[1].Key != key("c") ||
		iso.findings[0].Message != want || iso.findings[0].Code != lb.CodeNodeRefused {
		t.Errorf("findings: %+v", iso.findings)
	}
}

// TestHeldBackMakesRoom: the version that is held gives up the ports that others share its address for by now.
func TestHeldBackMakesRoom(t *testing.T) {
	shared := func(name, share string, ports ...uint16) nodeconfig.Entry {
		e := entry(name, ports[0], "10.0.0.1")
		e.Share, e.Listeners = share, nil
		for _, p := range ports {
			e.Listeners = append(e.Listeners, lb.Listener{Port: p, Protocol: lb.TCP})
		}
		return e
	}
	const edge = "default/edge"
	for _, tt := range []struct {
		name          string
		last, a, b    nodeconfig.Entry
		want, refused string
	}{
		{"its port is another one's", shared("a", edge, 80, 81), shared("a", edge, 81, 82), shared("b", edge, 80),
			"a:81 b:80", "a"},
		{"all are", shared("a", edge, 80), shared("a", edge, 82), shared("b", edge, 80), "b:80", "a"},
		{"none is", shared("a", edge, 80), shared("a", edge, 82), shared("b", edge, 81), "a:80 b:81", "a"},
		{"it did not share", shared("a", "", 80), shared("a", edge, 82), shared("b", edge, 80), "b:80", "a"},
		{"the other one is bad, too", shared("a", edge, 80), shared("a", edge, 82), shared("b", edge, 80), "a:80", "a b"},
	} {
		last := shards(tt.last)
		iso := isolation{asked: shards(tt.a, tt.b), last: &last}
		for name := range strings.FieldsSeq(tt.refused) {
			iso.refuse(key(name), lb.Finding{})
		}
		c := iso.config()
		var got []string
		for _, e := range c.Shards["s"].LoadBalancers {
			text := e.Origin.Name
			for _, l := range e.Listeners {
				text += fmt.Sprintf(":%d", l.Port)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, text, tt.want)
		}
		if len(last.Shards["s"].LoadBalancers[0].Listeners) != len(tt.last.Listeners) {
			t.Errorf("%s: what runs has changed", tt.name)
		}
	}
}

func TestRemaining(t *testing.T) {
	in := func(vips ...string) []nodeconfig.Instance {
		return []nodeconfig.Instance{{Group: 1, VIPs: addrs(vips...)}}
	}
	for _, tt := range []struct {
		name            string
		wanted, running []nodeconfig.Instance
		stay            []nodeconfig.Instance
		shrinks         bool
	}{
		{"only more", in("10.0.0.1", "10.0.0.2"), in("10.0.0.1"), in("10.0.0.1"), false},
		{"only fewer", in("10.0.0.1"), in("10.0.0.1", "10.0.0.2"), in("10.0.0.1"), true},
		{"both", in("10.0.0.1", "10.0.0.3"), in("10.0.0.1", "10.0.0.2"), in("10.0.0.1"), true},
		{"all", in("10.0.0.3"), in("10.0.0.1"), []nodeconfig.Instance{{Group: 1, VIPs: []netip.Addr{}}}, true},
	} {
		stay, shrinks := remaining(tt.wanted, tt.running)
		same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(tt.stay, stay, same); diff != "" || shrinks != tt.shrinks {
			t.Errorf("%s: shrinks %v (-want +got):\n%s", tt.name, shrinks, diff)
		}
	}
}

func TestLedger(t *testing.T) {
	dir := t.TempDir()
	l, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	with := func(vip string) *candidate {
		c := &candidate{iface: "eth0"}
		c.announce.instances = []driver.Instance{{Anchor: addrs("169.254.0.1")[0], VIPs: addrs(vip)}}
		c.view.LoadBalancers = []lb.LoadBalancer{entry("a", 80, vip).LoadBalancer}
		return c
	}
	for _, step := range []struct {
		do   func(*candidate) error
		vip  string
		want []netip.Addr
	}{
		{l.widen, "10.0.0.1", addrs("10.0.0.1", "169.254.0.1")},
		{l.settle, "10.0.0.1", addrs("10.0.0.1", "169.254.0.1")},
		{l.widen, "10.0.0.2", addrs("10.0.0.1", "10.0.0.2", "169.254.0.1")},
		{l.settle, "10.0.0.2", addrs("10.0.0.2", "169.254.0.1")},
	} {
		if err := step.do(with(step.vip)); err != nil {
			t.Fatal(err)
		}
		again, err := openLedger(dir) // what a daemon would find that comes back now
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again.Addresses, step.want) || again.Interface != "eth0" {
			t.Errorf("the ledger has %v, want %v", again.Addresses, step.want)
		}
	}
	if want := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:80")}; !slices.Equal(l.Listening, want) {
		t.Errorf("listening %v, want %v", l.Listening, want)
	}
}

func TestSavedConfiguration(t *testing.T) {
	dir := t.TempDir()
	if c, err := loadConfig(dir); c != nil || err != nil {
		t.Errorf("nothing saved: %v, %v", c, err)
	}
	want := shards(entry("a", 80, "10.0.0.1"))
	if err := saveConfig(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := loadConfig(dir)
	if err != nil || got == nil || got.Shards["s"].LoadBalancers[0].VIPs[0] != addrs("10.0.0.1")[0] {
		t.Errorf("%+v, %v", got, err)
	}
	path := filepath.Join(dir, configName)
	if err := os.WriteFile(path, []byte(`{"Version":77}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := loadConfig(dir); c != nil || err != nil {
		t.Errorf("another version: %v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(dir); err == nil {
		t.Error("half a file was read")
	}
}

func TestKeeperBacksOff(t *testing.T) {
	var k keeper
	for i, want := range []int64{0, 500, 1000, 2000, 4000, 8000, 10000, 10000} {
		if got := k.wait(); got.Milliseconds() != want {
			t.Errorf("death %d: %s", i, got)
		}
		k.deaths++
	}
	k.deaths = 1 << 20
	if got := k.wait(); got != restartLongest {
		t.Errorf("after many deaths: %s", got)
	}
}

func TestBlame(t *testing.T) {
	a := &Agent{opts: Options{Node: "lb1"}}
	c := &candidate{}
	c.view.LoadBalancers = []lb.LoadBalancer{
		entry("a", 80, "10.0.0.1").LoadBalancer, entry("b", 81, "10.0.0.1", "fd00::1").LoadBalancer,
	}
	refused := func(words string) error { return &driver.RefusedError{Program: "nginx", Words: words} }
	for _, tt := range []struct {
		err  error
		want []lb.Key
	}{
		{errors.New("x"), []lb.Key{{}}},
		{refused("[emerg] x"), []lb.Key{{}}},
		{refused("bind() to 10.0.0.1:80 failed (98)"), []lb.Key{key("a")}},
		{refused("bind() to [fd00::1]:81 failed (98); bind() to [fd00::1]:81 failed (98)"), []lb.Key{key("b")}},
		{refused("bind() to 10.0.0.1:80 failed; bind() to 10.0.0.1:81 failed"), []lb.Key{key("a"), key("b")}},
		{refused("bind() to 0.0.0.0:80 failed"), []lb.Key{{}}},
	} {
		var got []lb.Key
		for _, f := range a.blame(c, tt.err) {
			got = append(got, f.Key)
			if f.Code != lb.CodeNodeRefused {
				t.Errorf("%v: code %s", tt.err, f.Code)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestAllowForeignAddresses(t *testing.T) {
	root := t.TempDir()
	if err := allowForeignAddresses(root); err != nil {
		t.Errorf("a kernel without either family: %v", err)
	}
	path := filepath.Join(root, "ipv4", "ip_nonlocal_bind")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := allowForeignAddresses(root); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "1\n" {
		t.Errorf("it is %q", data)
	}
	// A directory stands for what cannot be written.
	if err := os.MkdirAll(filepath.Join(root, "ipv6", "ip_nonlocal_bind"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := allowForeignAddresses(root); err == nil {
		t.Error("no error though it cannot be set")
	}
}

func TestSeverityOfLines(t *testing.T) {
	for line, want := range map[string]string{
		"2026/01/02 03:04:05 [emerg] 1#1: bind() failed": "ERROR",
		"2026/01/02 03:04:05 [warn] 1#1: x":              "WARN",
		"2026/01/02 03:04:05 [notice] 1#1: exiting":      "DEBUG",
		"nginx: [error] invalid PID number":              "ERROR",

		// What a client may have written.
		`{"agent":"[notice]"}`: "INFO",

		"(g0) Entering MASTER STATE":  "INFO",
		"Printing VRRP as json for x": "DEBUG",
	} {
		if got := severity(line).String(); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}
