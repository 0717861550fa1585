package nodeconfig_test

import (
	"flag"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var update = flag.Bool("update", false, "write the golden files anew")

var then = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// The documents use every field.
func sampleFleet() nodeconfig.Fleet {
	return nodeconfig.Fleet{
		Version: nodeconfig.Version, Revision: 7, Cluster: "uid",
		Nodes: []nodeconfig.Node{{
			Name: "lb1", Addresses: addrs("10.0.0.1", "fd00::1"), Phase: nodeconfig.PhaseJoining, Since: 6,
		}},
		Groups: []nodeconfig.Group{{
			ID: 1, VRID: 51, Home: "lb1", Former: "lb2", Priorities: []nodeconfig.Priority{{Node: "lb1", Priority: 200}},
			Anchors: addrs("169.254.1.1", "fe80::1"),
		}},
		Timing:     nodeconfig.DefaultTiming(),
		Witness:    nodeconfig.Witness{Mode: nodeconfig.WitnessARP, Addresses: addrs("10.0.0.254")},
		Rebalanced: "r1",
	}
}

func sampleOrder() nodeconfig.Order {
	return nodeconfig.Order{
		Version: nodeconfig.Version,
		Drain:   &nodeconfig.Drain{Since: then, By: "ops", Reason: "new disk"},
		Drill: &nodeconfig.Drill{
			ID: "d1", Kind: nodeconfig.DrillCrash, Requested: then, Duration: nodeconfig.Duration(10 * time.Second), By: "ops",
		},
	}
}

func sampleRebalance() nodeconfig.Rebalance {
	return nodeconfig.Rebalance{Version: nodeconfig.Version, ID: "r1", Requested: then, By: "ops"}
}

func sampleShard() nodeconfig.Shard {
	key := lb.Key{Namespace: "default", Name: "web"}
	s := nodeconfig.Shard{
		Version: nodeconfig.Version, Revision: 9,
		LoadBalancers: []nodeconfig.Entry{{
			LoadBalancer: lb.LoadBalancer{
				Origin: lb.Origin{Kind: "ConfigMap", Key: key, UID: "uid", Created: then},
				VIPs:   addrs("10.0.0.9", "fd00::9"),
				Share:  "default/edge",
				Listeners: []lb.Listener{{
					Port: 443, Protocol: lb.HTTP, TLS: sampleTLS(), Routes: []lb.Route{{
						Host: "a.b", Path: "/c", Exact: true, Rewrite: "/r", Target: sampleTarget(), Others: []lb.Target{sampleTarget()},
					}},
					Options: sampleOptions(),
				}},
			},
			Group: 2, Revision: 8,
		}},
		Withdrawn: []nodeconfig.Withdrawal{{Key: lb.Key{Namespace: "a", Name: "b"}, VIPs: addrs("10.0.0.8"), Group: 3, Revision: 6}},
	}
	s.LoadBalancers[0].Requires = nodeconfig.Requires(s.LoadBalancers[0].LoadBalancer)
	return s
}

func sampleBundle() lb.CABundle {
	return lb.CABundle{Kind: lb.KindSecret, Name: "ca", Material: lb.Material{Name: "lb-tls-ca", Digest: "ab"}}
}

func sampleTLS() *lb.TLS {
	return &lb.TLS{
		Certificates: []lb.Certificate{{
			Secret: "cert", Material: lb.Material{Name: "lb-tls-cert", Digest: "cd"}, Names: []string{"a.b"}, Expires: then,
		}},
		Clients: &lb.ClientAuth{CA: sampleBundle(), Optional: true},
	}
}

func sampleTarget() lb.Target {
	return lb.Target{
		Service: lb.Service{Key: lb.Key{Namespace: "default", Name: "web"}, Port: 80}, Weight: 3,
		Endpoints: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.1:80")},
	}
}

func sampleChanges() lb.HeaderChanges {
	return lb.HeaderChanges{Set: []lb.Header{{Name: "A", Value: "a"}, {Name: "B", Value: "b"}}, Remove: []string{"C", "D"}}
}

func sampleOptions() lb.Options {
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	return lb.Options{
		Sources: prefixes, TrustedProxies: prefixes, AcceptProxy: true, SendProxy: true, SendProxyV2: true,
		Limits: lb.Limits{Connections: 3, PerClient: 4}, Timeouts: lb.Timeouts{Connect: time.Second, Send: time.Second, Read: time.Second, Idle: time.Minute}, Responses: 1,
		Retries: 1, AccessLog: true, HTTP: lb.HTTPOptions{
			RedirectTo: 443, GRPC: true, MaxBody: 1, Gzip: true, Request: sampleChanges(), Response: sampleChanges(),
		}, BackendTLS: &lb.BackendTLS{CA: sampleBundle(), ServerName: "a.b"},
		Upstream: lb.Upstream{Endpoints: true, Method: lb.LeastConnections, Affinity: lb.Cookie},
	}
}

func sampleStatus() nodeconfig.Status {
	running := nodeconfig.Running{Generation: "abc", Fleet: 7, Shards: map[string]int64{"lb-shard-001": 2,
		"lb-shard-000": 9}, Since: then}
	return nodeconfig.Status{
		Version: nodeconfig.Version, Node: "lb1", Reported: then,
		Versions: nodeconfig.Versions{Daemon: "0.1", Nginx: "1.22.1", Keepalived: "2.2.7"},
		Wanted:   running, Running: running, Holding: addrs("10.0.0.9", "fd00::9"),
		Hardware: "02:42:0a:58:00:0b", Addresses: addrs("10.0.0.1", "fd00::1"),
		Share: nodeconfig.Share{State: nodeconfig.ShareDrained, Since: then, Reason: "new disk"},
		Drill: &nodeconfig.DrillStatus{
			ID: "d1", Kind: nodeconfig.DrillCrash, State: nodeconfig.DrillRestored, Started: then, Ended: then, Message: "in time",
		},
		Conflicts: []nodeconfig.Conflict{{
			Kind: nodeconfig.ConflictOwner, Address: netip.MustParseAddr("10.0.0.9"), Group: 1, Family: lb.IPv4,
			Other: "02:42:0a:58:00:0c", Since: then,
		}},
		Groups: []nodeconfig.GroupStatus{
			{ID: 1, Family: lb.IPv4, State: nodeconfig.StateMaster, Since: then, Withheld: true},
		},
		Processes: []nodeconfig.Process{{Name: "nginx", PID: 4, Since: then, Restarts: 5}},
		Findings: []nodeconfig.NodeFinding{{
			Key:     lb.Key{Namespace: "default", Name: "web"},
			Finding: lb.Finding{Code: lb.CodeNodeRefused, Field: "data[host]", Message: "nginx says no"},
		}},
	}
}

// TestDocuments writes each document, compares it with its golden file, and reads it back. What older daemons and newer
// controllers say to each other is in these files: they may gain fields, but must not lose or rename any.
func TestDocuments(t *testing.T) {
	document(t, "fleet", sampleFleet())
	document(t, "shard", sampleShard())
	document(t, "status", sampleStatus())
	document(t, "order", sampleOrder())
	document(t, "rebalance", sampleRebalance())
}

func document[D nodeconfig.Document](t *testing.T, name string, d D) {
	t.Helper()
	got, err := nodeconfig.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	path := "testdata/" + name + ".json"
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
	again, err := nodeconfig.Decode[D](got)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, d) {
		t.Errorf("%s: read back as %+v", name, again)
	}
	if empty := leaves(reflect.ValueOf(d), name); len(empty) > 0 {
		t.Errorf("the sample does not use %v", empty)
	}
}

// leaves returns the fields that are zero, so that a new field cannot be forgotten in the samples.
func leaves(v reflect.Value, path string) (zero []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return leaves(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			zero = append(zero, leaves(v.Index(i), path)...)
		}
	case reflect.Struct:
		if v.NumField() > 0 && v.Type().Field(0).IsExported() {
			for i := range v.NumField() {
				if v.Type().Field(i).Tag.Get("json") == "-" {
					continue // it is in no document
				}
				zero = append(zero, leaves(v.Field(i), path+"."+v.Type().Field(i).Name)...)
			}
			return zero
		}
	}
	if v.IsZero() {
		zero = append(zero, path)
	}
	return zero
}

func TestDecodeErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "unexpected end",
		"null":                           "version 0 is not supported",
		"{}":                             "version 0 is not supported",
		`{"version":2,"revision":"odd"}`: "version 2 is not supported, this program knows 1",
		`{"version":1,"revision":"odd"}`: "cannot unmarshal",
		`{"version":1} trailing`:         "invalid character",
		`{"version":1,"loadBalancers":[{"vips":["10.0.0.300"]}]}`:  "10.0.0.300",
		`{"version":1,"loadBalancers":[{"origin":{"created":1}}]}`: "Time",
	} {
		got, err := nodeconfig.Decode[nodeconfig.Shard](text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nodeconfig.Shard") {
			t.Errorf("%s: error %v lacks %q", text, err, want)
		}
		if !reflect.DeepEqual(got, nodeconfig.Shard{}) {
			t.Errorf("%s: half read as %+v", text, got)
		}
	}
}

// A newer writer of the same version may say more.
func TestDecodeUnknownField(t *testing.T) {
	got, err := nodeconfig.Decode[nodeconfig.Fleet](`{"version":1,"revision":3,"mood":"good"}`)
	if err != nil || got.Revision != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"50ms": 50 * time.Millisecond, "5s": 5 * time.Second, "0s": 0,
		"1m30s": 90 * time.Second} {
		var d nodeconfig.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s reads as %v, %v", text, time.Duration(d), err)
		}
		if b, err := d.MarshalText(); err != nil || string(b) != text {
			t.Errorf("%s is written as %s, %v", text, b, err)
		}
	}
	d := nodeconfig.Duration(time.Second)
	if err := d.UnmarshalText([]byte("soon")); err == nil || time.Duration(d) != time.Second {
		t.Errorf("got %v, %v", time.Duration(d), err)
	}
}

// FuzzDecode reads anything without harm; what it accepts it writes so that it reads the same again.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"fleet", "shard", "status"} {
		b, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	for _, text := range []string{"", "null", `{"version":1}`, `{"version":2}`,
		`{"version":1,"vips":["::ffff:1.2.3.4"]}`, "[1]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again[nodeconfig.Fleet](t, text)
		again[nodeconfig.Shard](t, text)
		again[nodeconfig.Status](t, text)
	})
}

// again reads, writes, reads and writes, and compares what was written.
func again[D nodeconfig.Document](t *testing.T, text string) {
	t.Helper()
	first, err := nodeconfig.Decode[D](text)
	if err != nil {
		return
	}
	written, err := nodeconfig.Encode(first)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	second, err := nodeconfig.Decode[D](written)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v: %s", err, written)
	}
	if rewritten, err := nodeconfig.Encode(second); err != nil || rewritten != written {
		t.Fatalf("written as %s, then as %s, %v", written, rewritten, err)
	}
}
