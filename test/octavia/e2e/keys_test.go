package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// What an operator has, and what is only a name to the drivers of the lab.
const (
	otherSubnet = "11111111-aaaa-bbbb-cccc-dddddddddddd"
	otherNet    = "22222222-aaaa-bbbb-cccc-dddddddddddd"
	flavor      = "33333333-aaaa-bbbb-cccc-dddddddddddd"
	profile     = "44444444-aaaa-bbbb-cccc-dddddddddddd"
	zone        = "kubectl-lb-zone"
)

// keyCase is a key, or some that belong together, and what Octavia says of a load balancer that has them.
type keyCase struct {
	name string
	// data are lines such as "key: value", want lines of what Octavia shows, such as "pool tcp-80 protocol TCP".
	data, want []string
	// then are the lines in place of data afterwards, and next what Octavia shows then, without another load balancer.
	then, next []string
}

// Where the defaults of docs/configmap.md are, so that a key that is taken away shows.
var (
	plain     = []string{"listener tcp-80 protocol TCP", "pool tcp-80 protocol TCP", "pool tcp-80 session_persistence null"}
	plainTime = []string{"listener tcp-80 timeout_client_data 50000", "listener tcp-80 timeout_member_connect 5000",
		"listener tcp-80 timeout_member_data 50000", "listener tcp-80 timeout_tcp_inspect 0"}
	plainCheck = []string{"monitor tcp-80 type TCP", "monitor tcp-80 delay 5", "monitor tcp-80 timeout 3",
		"monitor tcp-80 max_retries 1", "monitor tcp-80 max_retries_down 3"}
)

// placed are the keys that count while the load balancer is made.
func placed() []keyCase {
	return []keyCase{
		{name: "subnet", data: []string{"vip-subnet: " + otherSubnet}, want: []string{"lb vip_subnet_id " + otherSubnet}},
		{name: "network", data: []string{"vip-network: " + otherNet}, want: []string{"lb vip_network_id " + otherNet}},
		{name: "port", data: []string{"vip-port: " + octavia.Port},
			want: []string{"lb vip_port_id " + octavia.Port, "lb vip_address " + octavia.PortAddress}},
		{name: "requested", data: []string{"requested-ip: 203.0.113.9"}, want: []string{"lb vip_address 203.0.113.9"}},
		{name: "six", data: []string{"ip-families: IPv6", "vip-subnet: " + octavia.Subnet, "vip-subnet-ipv6: " + octavia.SubnetIPv6,
			"requested-ip: fd00:99::9"}, want: []string{"lb vip_subnet_id " + octavia.SubnetIPv6, "lb vip_address fd00:99::9"}},
		{name: "both", data: []string{"ip-families: IPv4,IPv6", "vip-subnet: " + octavia.Subnet,
			"vip-subnet-ipv6: " + octavia.SubnetIPv6, "requested-ip: 203.0.113.8,fd00:99::8"},
			want: []string{"lb vip_address 203.0.113.8",
				`lb additional_vips [{"ip_address":"fd00:99::8","subnet_id":"` + octavia.SubnetIPv6 + `"}]`}},
		{name: "offers", data: []string{"flavor: " + flavor, "availability-zone: " + zone, "octavia-provider: amphora"},
			want: []string{"lb flavor_id " + flavor, "lb availability_zone " + zone, "lb provider amphora"}},
	}
}

// store puts a certificate into Barbican, and returns the secret's ID.
func store(t *testing.T) string {
	t.Helper()
	id, err := user.StoreCertificate(t.Context(), "tea.example")
	must(t, err)
	return id
}

// balanced are the keys about who gets a connection, and what of it. What is stored are certificates in Barbican.
func balanced(stored ...string) []keyCase {
	return []keyCase{
		{name: "members-subnet", data: []string{"member-subnet: " + otherSubnet}, want: []string{"member tcp-80 subnet_id " + otherSubnet}},
		{name: "method", data: []string{"lb-method: least-connections"}, want: []string{"pool tcp-80 lb_algorithm LEAST_CONNECTIONS"},
			then: []string{"lb-method: source-ip-hash"}, next: []string{"pool tcp-80 lb_algorithm SOURCE_IP"}},
		{name: "affinity", data: []string{"session-affinity: client-ip"},
			want: []string{`pool tcp-80 session_persistence.type SOURCE_IP`}, then: []string{}, next: plain},
		{name: "cookies", data: []string{"protocol: HTTP", "session-affinity: cookie"},
			want: []string{"pool http-80 session_persistence.type HTTP_COOKIE"},
			then: []string{"protocol: HTTP", "session-affinity: cookie=JSESSIONID"},
			next: []string{"pool http-80 session_persistence.type APP_COOKIE",
				"pool http-80 session_persistence.cookie_name JSESSIONID"}},
		{name: "times", data: []string{"client-timeout: 10s", "inspect-timeout: 2s", "connect-timeout: 3s"},
			want: []string{"listener tcp-80 timeout_client_data 10000", "listener tcp-80 timeout_tcp_inspect 2000",
				"listener tcp-80 timeout_member_connect 3000"}, then: []string{}, next: plainTime},
		{name: "idle", data: []string{"idle-timeout: 20s"},
			want: []string{"listener tcp-80 timeout_client_data 20000", "listener tcp-80 timeout_member_data 20000"},
			then: []string{}, next: plainTime},
		{name: "read", data: []string{"protocol: HTTP", "read-timeout: 7s"}, want: []string{"listener http-80 timeout_member_data 7000"}},
		{name: "limit", data: []string{"max-connections: 100"}, want: []string{"listener tcp-80 connection_limit 100"},
			then: []string{}, next: []string{"listener tcp-80 connection_limit -1"}},
		{name: "ranges", data: []string{"allowed-source-ranges: 10.0.0.0/8, 192.0.2.0/24"},
			want: []string{`listener tcp-80 allowed_cidrs ["10.0.0.0/8","192.0.2.0/24"]`},
			then: []string{}, next: []string{"listener tcp-80 allowed_cidrs null"}},
		{name: "proxy", data: []string{"proxy-protocol: send"}, want: []string{"pool proxy-80 protocol PROXY"},
			then: []string{"proxy-protocol: send-v2"}, next: []string{"pool proxyv2-80 protocol PROXYV2"}},
		{name: "forwarded", data: []string{"protocol: HTTP"}, want: []string{"listener http-80 insert_headers.X-Forwarded-For true",
			"listener http-80 insert_headers.X-Forwarded-Proto true"},
			then: []string{"protocol: HTTP", "x-forwarded-for: false"}, next: []string{"listener http-80 insert_headers {}"}},
		{name: "web", data: []string{"host: tea.example", "path: /menu"},
			want: []string{"policy 1 action REDIRECT_TO_POOL", "rule 1 HOST_NAME EQUAL_TO tea.example", "rule 1 PATH REGEX ^/menu(/|$)"},
			then: []string{"host: tea.example", "path: /menu", "path-type: Exact",
				"routes: host=cake.example path=/menu service=coffee-svc:80"},
			next: []string{"rule 1 HOST_NAME EQUAL_TO tea.example", "rule 1 PATH EQUAL_TO /menu",
				"rule 2 HOST_NAME EQUAL_TO cake.example", "rule 2 PATH REGEX ^/menu(/|$)"}},
		{name: "tls", data: []string{"protocol: HTTPS", "bind-port: 443", "tls-container: " + gate.SecretURL(stored[0])},
			want: []string{"listener https-443 protocol TERMINATED_HTTPS",
				"listener https-443 default_tls_container_ref " + people.SecretURL(stored[0])},
			then: []string{"protocol: HTTPS", "bind-port: 443",
				"tls-container: " + gate.SecretURL(stored[1]) + ", " + gate.SecretURL(stored[0])},
			next: []string{"listener https-443 default_tls_container_ref " + people.SecretURL(stored[1]),
				`listener https-443 sni_container_refs ["` + people.SecretURL(stored[0]) + `"]`}},
		{name: "ports", data: []string{"target-port: ", "bind-port: ", "ports: 80, 8080:80/HTTP"},
			want: []string{"listener tcp-80 protocol TCP", "listener http-8080 protocol HTTP", "listener http-8080 protocol_port 8080"}},
		{name: "udp", data: []string{"target-service-name: names", "target-port: 53", "bind-port: 53", "protocol: UDP"},
			want: []string{"listener udp-53 protocol UDP", "pool udp-53 protocol UDP", "monitor udp-53 type UDP-CONNECT"}},
		{name: "sctp", data: []string{"target-service-name: calls", "target-port: 5060", "bind-port: 5060", "protocol: SCTP"},
			want: []string{"listener sctp-5060 protocol SCTP", "pool sctp-5060 protocol SCTP", "monitor sctp-5060 type SCTP"}},
	}
}

// checked are the keys about the checks of members.
func checked() []keyCase {
	return []keyCase{
		{name: "monitor", data: []string{"monitor-type: HTTP", "monitor-delay: 9s", "monitor-timeout: 8s", "monitor-retries: 7",
			"monitor-retries-down: 6", "monitor-path: /ready", "monitor-codes: 200-204"},
			want: []string{"monitor tcp-80 type HTTP", "monitor tcp-80 delay 9", "monitor tcp-80 timeout 8",
				"monitor tcp-80 max_retries 7", "monitor tcp-80 max_retries_down 6", "monitor tcp-80 url_path /ready",
				"monitor tcp-80 expected_codes 200-204"}, then: []string{}, next: plainCheck},
		{name: "ping", data: []string{"monitor-type: PING"}, want: []string{"monitor tcp-80 type PING"},
			then: []string{"monitor-type: TLS-HELLO"}, next: []string{"monitor tcp-80 type TLS-HELLO"}},
		{name: "unchecked", data: []string{"monitor-type: NONE"}, want: []string{"member tcp-80 operating_status NO_MONITOR"},
			then: []string{}, next: plainCheck},
		{name: "secure", data: []string{"monitor-type: HTTPS"}, want: []string{"monitor tcp-80 type HTTPS", "monitor tcp-80 url_path /"}},
	}
}

// TestKeys gives every key that a cloud knows to a ConfigMap, and finds it in Octavia; then it changes or removes it, and
// finds that, too, on the same load balancer.
func TestKeys(t *testing.T) {
	offers(t)
	services(t)
	cases := slices.Concat(placed(), balanced(store(t), store(t)), checked())
	t.Run("every key", func(t *testing.T) {
		for _, k := range configmap.CloudKeys() {
			used := slices.ContainsFunc(cases, func(c keyCase) bool {
				return slices.ContainsFunc(slices.Concat(c.data, c.then), func(line string) bool { return strings.HasPrefix(line, k.Name+":") })
			})
			if reason := elsewhere[k.Name]; !used && reason == "" {
				t.Errorf("%s is in no case", k.Name)
			} else if used && reason != "" {
				t.Errorf("%s is in a case; take it out of the list of those that are not", k.Name)
			}
		}
	})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "key-" + c.name
			want(t, name, c.data...)
			got := serving(t, name)
			shows(t, got.ID, c.want)
			if c.then == nil {
				return
			}
			change(t, name, c.then)
			until(t, fmt.Sprint(c.next), func() (bool, string) {
				missing := lacks(t, got.ID, c.next)
				return len(missing) == 0, fmt.Sprint(missing)
			})
			if again := serving(t, name); again.ID != got.ID {
				t.Errorf("another load balancer was made: %s, then %s", got.ID, again.ID)
			}
		})
	}
}

// elsewhere are the keys that another test is about.
var elsewhere = map[string]string{
	"provider":         "every case has it",
	"member":           "TestPodsAndLocal",
	"floating-network": "TestFloating",
	"floating-subnet":  "TestFloating",
	"keep-floating-ip": "TestFloating",
	"internal":         "TestFloating",
	"node-selector":    "TestNodes",
	"adopt":            "TestAdopt",
}

// offers enters what the cases choose from into Octavia's database, as its administrator would by the API.
func offers(t *testing.T) {
	t.Helper()
	for _, statement := range []string{
		"insert ignore into flavor_profile (id,name,provider_name,flavor_data) values ('" + profile + "','any','amphora','{}')",
		"insert ignore into flavor (id,name,description,enabled,flavor_profile_id) values ('" + flavor + "','any','',1,'" + profile + "')",
		"insert ignore into availability_zone_profile (id,name,provider_name,availability_zone_data) values ('" + profile +
			"','any','amphora','{}')",
		"insert ignore into availability_zone (name,description,enabled,availability_zone_profile_id) values ('" + zone + "','',1,'" +
			profile + "')",
	} {
		_, err := cloud.SQL(t.Context(), statement)
		must(t, err)
	}
}

// services makes Services of other protocols. Nothing answers there, and nothing needs to.
func services(t *testing.T) {
	t.Helper()
	for _, s := range []struct {
		name     string
		protocol corev1.Protocol
		port     int32
	}{{"names", corev1.ProtocolUDP, 53}, {"calls", corev1.ProtocolSCTP, 5060}} {
		_, err := shared.Client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: s.name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: s.port, Protocol: s.protocol}}},
		}, metav1.CreateOptions{})
		must(t, err)
	}
}
