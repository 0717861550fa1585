package configmap

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

const (
	id       = "11111111-2222-3333-4444-555555555555"
	barbican = "https://barbican.example.com:9311/v1/"
)

// What a cloud is asked for is read from its keys.
func TestCloud(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		want  lb.Cloud
	}{
		{"nothing", nil, lb.Cloud{}},
		{"placement", []string{KeySubnet, id, KeySubnetIPv6, "AAAAAAAA222233334444555555555555", KeyMemberSubnet, id,
			KeyFlavor, id, KeyZone, "nova-1", KeyDriver, "ovn"},
			lb.Cloud{Subnet: id, SubnetIPv6: "aaaaaaaa222233334444555555555555", MemberSubnet: id, Flavor: id, Zone: "nova-1",
				Driver: "ovn"}},
		{"a network", []string{KeyNetwork, id}, lb.Cloud{Network: id}},
		{"a port", []string{KeyVIPPort, id}, lb.Cloud{Port: id}},
		{"traffic", []string{KeyMethod, "Least-Connections", KeyClientTimeout, "90s", KeyInspectTimeout, "2s", KeyForwardedFor, "false", KeyMember, "pod"},
			lb.Cloud{Method: lb.LeastConnections, ClientTimeout: 90 * time.Second, InspectTimeout: 2 * time.Second, NoForwardedFor: true, Pods: true}},
		{"floating IP", []string{KeyFloatNetwork, id, KeyFloatSubnet, id, KeyFloatKeep, "true", KeyAdopt, id},
			lb.Cloud{FloatingNetwork: id, FloatingSubnet: id, KeepFloating: true, Adopt: id}},
		{"Barbican", []string{KeyTLSContainer, barbican + "secrets/" + id + ", " + barbican + "containers/" + id, KeyProtocol, "HTTPS"},
			lb.Cloud{Certificates: []string{barbican + "secrets/" + id, barbican + "containers/" + id}}},
		{"nodes", []string{KeyNodeSelector, "zone in (a,b)"}, lb.Cloud{NodeSelector: "zone in (a,b)"}},
		{"internal", []string{KeyInternal, "true"}, lb.Cloud{Internal: true}},
		{"own cookie", []string{KeyAffinity, "cookie = JSESSIONID", KeyProtocol, "HTTP"}, lb.Cloud{Cookie: "JSESSIONID"}},
		{"monitor", []string{KeyMonitorType, "http", KeyMonitorDelay, "9s", KeyMonitorTimeout, "8", KeyMonitorUp, "2",
			KeyMonitorDown, "4", KeyMonitorPath, "/healthz", KeyMonitorCodes, "200, 204"},
			lb.Cloud{Monitor: lb.CloudMonitor{Type: "HTTP", Delay: 9 * time.Second, Timeout: 8 * time.Second, Retries: 2,
				RetriesDown: 4, Path: "/healthz", Codes: "200,204"}}},
	} {
		w := Parse(object(append([]string{KeyProvider, "Octavia"}, c.pairs...)...), cluster())
		if len(w.Findings) > 0 || w.LoadBalancer.Provider != lb.ProviderOctavia {
			t.Errorf("%s: provider %q, %s", c.name, w.LoadBalancer.Provider, texts(w.Findings))
		}
		if d := cmp.Diff(c.want, w.LoadBalancer.Cloud); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		// Those that other backends know as well are not for a cloud only.
		known := 0
		for i := 0; i < len(c.pairs); i += 2 {
			if k := c.pairs[i]; k == KeyMethod || k == KeyProtocol {
				known++
			}
		}
		if len(w.Clouded) != len(c.pairs)/2-known {
			t.Errorf("%s: %d keys for a cloud only: %v", c.name, len(w.Clouded), w.Clouded)
		}
	}
}

// What is no value of a key of a cloud is said so.
func TestCloudFindings(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{KeyProvider, "metal", `LB0104 data[provider]: "metal" is neither software nor octavia`},
		{KeySubnet, "public", `LB0104 data[vip-subnet]: "public" is not a UUID; give an ID such as openstack shows it, not a name`},
		{KeyZone, "a b", `LB0104 data[availability-zone]: "a b" is not a name; it takes letters, digits and . _ -`},
		{KeyAffinity, "client-ip=x", `LB0104 data[session-affinity]: "client-ip" takes no name; give cookie=NAME, or leave it out`},
		{KeyAffinity, "cookie=a;b", `LB0104 data[session-affinity]: "a;b" is not a name; it takes letters, digits and . _ -` + "\n" +
			"LB0108 data[session-affinity]: the key needs a port of protocol HTTP; remove it, or set protocol or ports"},
		{KeyNodeSelector, "zone in a", `LB0104 data[node-selector]: "zone in a" is not a label selector: unable to parse requirement: ` +
			`found 'a' expected: '('`},
		{KeyMonitorDelay, "1500ms", `LB0104 data[monitor-delay]: "1500ms" is not a time of whole seconds`},
		{KeyMonitorCodes, "2xx",
			`LB0104 data[monitor-codes]: "2xx" is not a list of status codes; give such as "200", "200,202" or "200-204"`},
		{KeyMonitorPath, "/healthz",
			"LB0108 data[monitor-path]: the key is about checks of HTTP; set monitor-type to HTTP or HTTPS"},
		{KeyMonitorUp, "11", `LB0104 data[monitor-retries]: "11" is not a number from 1 to 10`},
	} {
		if d := cmp.Diff(c.want, texts(Parse(object(c.key, c.value), cluster()).Findings)); d != "" {
			t.Errorf("%s %q: %s", c.key, c.value, d)
		}
	}
	for want, pairs := range map[string][]string{
		"LB0108 data[vip-network]: vip-subnet says where the address is; remove one of the two": {KeyNetwork, id, KeySubnet, id},
		"LB0108 data[tls-container]: the key needs a port of protocol HTTPS or TLS; remove it, or set protocol, ports or SSL": {
			KeyTLSContainer, barbican + "secrets/" + id},
		"LB0108 data[tls-container]: tls-secret-name says which certificates there are; remove one of the two": {
			KeyTLSContainer, barbican + "secrets/" + id, KeyTLSSecret, "web", KeyProtocol, "HTTPS"},
		`LB0104 data[tls-container]: "https://x/y" is not the URL of a secret or a container in Barbican; give one such as ` +
			"https://barbican.example.com/v1/secrets/ID": {KeyTLSContainer, "https://x/y", KeyProtocol, "HTTPS"},
		"LB0108 data[internal]: there is no floating IP then; remove the key, or floating-network, floating-subnet and " +
			"keep-floating-ip": {KeyInternal, "true", KeyFloatKeep, "true"},
		"LB0108 data[vip-port]: the port has a network of its own; remove the other keys of the address": {
			KeyVIPPort, id, KeySubnet, id},
		"LB0108 data[monitor-timeout]: 9s is longer than monitor-delay, which is 5s; Octavia would start a check before the " +
			"last one is over": {KeyMonitorDelay, "5s", KeyMonitorTimeout, "9s"},
	} {
		if d := cmp.Diff(want, texts(Parse(object(pairs...), cluster()).Findings)); d != "" {
			t.Errorf("%v: %s", pairs, d)
		}
	}
}

// SCTP and version 2 of the PROXY protocol are read like the rest.
func TestCloudTraffic(t *testing.T) {
	w := Parse(object(KeyService, "sctp", KeyPorts, "9/SCTP, 80"), cluster())
	if len(w.Findings) > 0 || len(w.LoadBalancer.Listeners) != 2 || w.LoadBalancer.Listeners[0].Protocol != lb.SCTP {
		t.Errorf("%+v, %s", w.LoadBalancer.Listeners, texts(w.Findings))
	}
	w = Parse(object(KeyService, "sctp", KeyProtocol, "SCTP"), cluster())
	if len(w.Findings) > 0 || len(w.LoadBalancer.Listeners) != 1 || w.LoadBalancer.Listeners[0].Port != 9 {
		t.Errorf("%+v, %s", w.LoadBalancer.Listeners, texts(w.Findings))
	}
	w = Parse(object(KeyProxy, "send-v2"), cluster())
	if len(w.Findings) > 0 || !w.LoadBalancer.Listeners[0].Options.SendProxyV2 {
		t.Errorf("%+v, %s", w.LoadBalancer.Listeners, texts(w.Findings))
	}
}
