package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func load(t *testing.T, file string, env, args []string) (Configuration, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		head := "apiVersion: " + APIVersion + "\nkind: " + Kind + "\n"
		if err := os.WriteFile(path, []byte(head+file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config="+path)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(fs, env)
}

func TestLayers(t *testing.T) {
	const file = "log: {level: warn, format: json}\nsystemNamespace: from-file\nleaderElection: {enabled: false}\n"
	env := []string{"LB_LOG_LEVEL=error", "LB_SYSTEM_NAMESPACE=from-env", "LB_LOG_FORMAT=", "OTHER=x"}
	for _, tc := range []struct {
		name  string
		file  string
		env   []string
		args  []string
		check func(Configuration) string
		want  string
	}{
		{"default", "", nil, nil, func(c Configuration) string { return c.Log.Level }, "info"},
		{"file over default", file, nil, nil, func(c Configuration) string { return c.Log.Level }, "warn"},
		{"environment over file", file, env, nil, func(c Configuration) string { return c.Log.Level }, "error"},
		{"an empty variable does not count", file, env, nil, func(c Configuration) string { return c.Log.Format }, "json"},
		{"flag over environment", file, env, []string{"--log-level=debug"},
			func(c Configuration) string { return c.Log.Level }, "debug"},
		{"namespace", file, env, nil, func(c Configuration) string { return c.SystemNamespace }, "from-env"},
		{"certificates", "", nil, nil, func(c Configuration) string { return c.TLSNamespace }, "kubectl-lb-tls"},
		{"certificates by variable", "tlsNamespace: from-file\n", []string{"LB_TLS_NAMESPACE=from-env"}, nil,
			func(c Configuration) string { return c.TLSNamespace }, "from-env"},
		{"certificates by flag", "", []string{"LB_TLS_NAMESPACE=from-env"}, []string{"--tls-namespace=from-flag"},
			func(c Configuration) string { return c.TLSNamespace }, "from-flag"},
		{"what a file leaves out", file, nil, nil,
			func(c Configuration) string { return c.LeaderElection.LeaseDuration.Duration.String() }, "15s"},
		{"a file can turn the election off", file, nil, nil,
			func(c Configuration) string {
				return map[bool]string{true: "on", false: "off"}[c.LeaderElection.Enabled]
			}, "off"},
		{"a flag can turn it on", file, nil, []string{"--leader-elect"},
			func(c Configuration) string {
				return map[bool]string{true: "on", false: "off"}[c.LeaderElection.Enabled]
			}, "on"},
		{"the pod's name", "", []string{"POD_NAME=lb-controller-a"}, nil,
			func(c Configuration) string { return c.LeaderElection.Identity }, "lb-controller-a"},
		{"kubeconfig", "", []string{"KUBECONFIG=/k"}, nil, func(c Configuration) string { return c.Kubeconfig }, "/k"},
		{"2016's variable", "", []string{"BACKEND=software"}, nil,
			func(c Configuration) string { return c.Backend }, "software"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := load(t, tc.file, tc.env, tc.args)
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.check(c); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct{ name, file, env, want string }{
		{"unknown field", "adressPools: []\n", "", `unknown field "adressPools"`},
		{"unknown nested field", "software: {vridbase: 3}\n", "", `unknown field "software.vridbase"`},
		{"no yaml", "a: [\n", "", "yaml"},
		{"backend", "backend: neutron\n", "", `backend "neutron": valid is software, octavia`},
		{"backend of 2016's variable", "", "BACKEND=nginx", `backend "nginx": valid is software, octavia`},
		{"octavia without credentials", "backend: octavia\n", "", "there are no credentials"},
		{"octavia beside, without credentials", "octavia: {enabled: true}\n", "", "there are no credentials"},
		{"octavia's names", "octavia: {subnet: public}\n", "", `octavia.subnet "public": not a UUID`},
		{"octavia's field", "octavia: {subnetID: public}\n", "", `unknown field "octavia.subnetID"`},
		{"octavia's network", "octavia: {subnet: " + uuid + ", network: " + uuid + "}\n", "", "contradicts octavia.subnet"},
		{"octavia's monitor", "octavia: {monitor: {delay: 1500ms}}\n", "", "whole seconds"},
		{"octavia's monitor's timeout", "octavia: {monitor: {delay: 2s}}\n", "", "longer than its delay"},
		{"octavia's method", "octavia: {method: RANDOM}\n", "", `method "RANDOM" is none of`},
		{"octavia's nodes", "octavia: {nodeSelector: 'a in'}\n", "", "octavia.nodeSelector"},
		{"octavia's workers", "octavia: {parallel: 0}\n", "", "octavia.parallel"},
		{"octavia's resync", "octavia: {resync: 0s}\n", "", "octavia.resync"},
		{"pool", "addressPools: [{name: p, addresses: [10.0.0.300]}]\n", "", "addressPools[0]"},
		{"overlap", "addressPools: [{name: p, addresses: [10.0.0.0/24]}, {name: q, addresses: [10.0.0.7]}]\n", "", "overlap"},
		{"namespace", "systemNamespace: A_b\n", "", "systemNamespace"},
		{"namespace of certificates", "tlsNamespace: A_b\n", "", "tlsNamespace"},
		{"one namespace for both", "tlsNamespace: kubectl-lb-system\n", "", "it is the systemNamespace too"},
		{"selector", "software: {nodeSelector: ''}\n", "", "software.nodeSelector"},
		{"selector syntax", "software: {nodeSelector: 'a in'}\n", "", "software.nodeSelector"},
		{"vrid", "software: {vridBase: 0}\n", "", "software.vridBase"},
		{"profile", "software: {timing: {profile: turbo}}\n", "", "software.timing.profile"},
		{"own times without custom", "software: {timing: {advertInterval: 10ms}}\n", "", `need profile "custom"`},
		{"custom bounds", "software: {timing: {profile: custom, advertInterval: 15ms}}\n", "", "steps of 10ms"},
		{"vrid without room for the groups", "software: {vridBase: 245}\n", "", "not between 1 and 244"},
		{"witness mode", "software: {witness: {mode: smoke}}\n", "", "software.witness.mode"},
		{"witness without mode", "software: {witness: {addresses: [10.0.0.1]}}\n", "", "they need a mode"},
		{"witness address", "software: {witness: {mode: arp, addresses: [gateway]}}\n", "", "software.witness.addresses[0]"},
		{"witness multicast", "software: {witness: {mode: arp, addresses: [224.0.0.1]}}\n", "", "another machine"},
		{"witness twice", "software: {witness: {mode: ping, addresses: [10.0.0.1, '::ffff:10.0.0.1']}}\n", "", "twice"},
		{"level", "log: {level: loud}\n", "", "log.level"},
		{"lease", "leaderElection: {leaseDuration: 5s}\n", "", "leaderElection.leaseDuration"},
		{"elect", "", "LB_LEADER_ELECT=perhaps", "perhaps"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.file, []string{tc.env}, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v does not say %q", err, tc.want)
			}
		})
	}
}

const uuid = "11111111-2222-3333-4444-555555555555"

// Octavia can be the default by the variables of 2016 alone, or be there beside the software backend.
func TestOctavia(t *testing.T) {
	env := []string{"BACKEND=octavia", "OS_AUTH_URL=http://keystone/v3", "OS_USERNAME=demo", "OTHER=x",
		"LB_OCTAVIA_SUBNET=" + uuid}
	c, err := load(t, "", env, nil)
	if err != nil || !c.UsesOctavia() || c.Octavia.Settings().Placement.SubnetID != uuid {
		t.Errorf("%v, %+v", err, c.Octavia)
	}
	getenv := c.Octavia.Credentials().Getenv
	if getenv("OS_USERNAME") != "demo" || getenv("OTHER") != "" {
		t.Errorf("the variables are %v", c.Octavia.Variables)
	}
	if text, err := c.Encode(); err != nil || strings.Contains(text, "demo") {
		t.Errorf("credentials are printed: %s, %v", text, err)
	}
	c, err = load(t, "octavia: {enabled: true, cloudsFile: /c.yaml, monitor: {delay: 9s}}\n", nil, nil)
	if err != nil || !c.UsesOctavia() || c.Backend != "software" || c.Octavia.Settings().Monitor.Delay != 9 {
		t.Errorf("%v, %+v", err, c.Octavia)
	}
	if Default().UsesOctavia() {
		t.Error("it is used without being asked for")
	}
}

func TestHeadIsRequired(t *testing.T) {
	if _, err := Decode([]byte("backend: software\n")); err == nil || !strings.Contains(err.Error(), "apiVersion") {
		t.Errorf("error %v", err)
	}
}

// TestDefaultIsADocument: what "config default" prints is read as the same configuration, and is valid.
func TestDefaultIsADocument(t *testing.T) {
	text, err := Default().Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Error(diff)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	for profile, want := range map[string][2]time.Duration{
		ProfileDefault: {50 * time.Millisecond, 5 * time.Second},
		ProfileFast:    {20 * time.Millisecond, 5 * time.Second},
		ProfileVM:      {time.Second, 10 * time.Second},
	} {
		got, err := (Timing{Profile: profile}).Times()
		if err != nil || [2]time.Duration{time.Duration(got.AdvertInterval), time.Duration(got.HoldTime)} != want {
			t.Errorf("%s: %v %v", profile, got, err)
		}
	}
	c, err := load(t, "software: {timing: {profile: custom, advertInterval: 200ms, holdTime: 3s}}\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Software.Timing.Times()
	if err != nil || time.Duration(got.AdvertInterval) != 200*time.Millisecond ||
		time.Duration(got.HoldTime) != 3*time.Second {
		t.Errorf("custom: %v %v", got, err)
	}
}

func TestWitness(t *testing.T) {
	c, err := load(t, "software: {witness: {mode: arp, addresses: ['fd00::1', 10.0.0.1]}}\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Software.Witness.Witness()
	if err != nil || w.Mode != "arp" || fmt.Sprint(w.Addresses) != "[10.0.0.1 fd00::1]" {
		t.Errorf("%+v %v", w, err)
	}
	if w, err := Default().Software.Witness.Witness(); err != nil || w.Mode != "" {
		t.Errorf("default: %+v %v", w, err)
	}
}

func TestSamplePoolsKeepTheirOrder(t *testing.T) {
	no := false
	c := Default()
	c.AddressPools = []AddressPool{
		{Name: "z", Addresses: []string{"10.0.1.0/30"}, IncludeNetworkAndBroadcast: true},
		{Name: "a", Addresses: []string{"10.0.0.0/30"}, AutoAssign: &no},
	}
	pools, err := c.Pools()
	if err != nil {
		t.Fatal(err)
	}
	if pools[0].Name != "z" || pools[0].Size("IPv4") != 4 || pools[0].Manual {
		t.Errorf("first: %+v", pools[0])
	}
	if pools[1].Name != "a" || pools[1].Size("IPv4") != 2 || !pools[1].Manual {
		t.Errorf("second: %+v", pools[1])
	}
}

// FuzzDecode: no document makes it panic, and what it takes for valid can be printed and read again.
func FuzzDecode(f *testing.F) {
	text, err := Default().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("addressPools: [{name: p, addresses: [10.0.0.0/24]}]")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Decode([]byte(s))
		if err != nil || c.Validate() != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode([]byte(again)); err != nil {
			t.Errorf("%v in\n%s", err, again)
		}
	})
}

// UUIDs are compared with those of OpenStack, which writes them in lower case.
func TestOctaviaUUIDs(t *testing.T) {
	const text = "c0ffee00-0000-4000-8000-00000000000a"
	c, err := load(t, "octavia: {floatingNetwork: "+strings.ToUpper(text)+", subnet: "+strings.ToUpper(text)+"}\n", nil, nil)
	if s := c.Octavia.Settings(); err != nil || s.FloatingNetwork != text || s.Placement.SubnetID != text {
		t.Errorf("%v, %+v", err, s)
	}
}
