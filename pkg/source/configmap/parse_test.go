package configmap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

const big = "99999999999999999999999999"

const needHTTP = "LB0108 data[protocol]: host, path and SSL need protocol HTTP, and host TLS-PASSTHROUGH at least; " +
	"remove them, or set one of the two or leave the protocol out"

// TestFindings has one object for each thing that can be wrong with one, and the words that its user reads.
func TestFindings(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"unknown key", []string{"target-svc-name", "x"},
			`LB0101 data[target-svc-name]: there is no such key; did you mean "target-service-name"?`},
		{"other case", []string{"ssl", "true"}, `LB0101 data[ssl]: there is no such key; did you mean "SSL"?`},
		{"nothing near", []string{"colour", "red"},
			"LB0101 data[colour]: there is no such key; docs/configmap.md lists those that there are"},
		{"hostile key", []string{"\x1b[31m\n", "x"},
			"LB0101 data[\"\\x1b[31m\\n\"]: there is no such key; docs/configmap.md lists those that there are"},
		{"a key's name with a part of another", []string{"hostname", "a"},
			`LB0101 data[hostname]: there is no such key; did you mean "host"?`},
		{"no Service named", []string{KeyService, ""},
			"LB0102 data[target-service-name]: the key is missing; give the name of the Service that gets the traffic"},
		{"port a word", []string{KeyBindPort, "http"},
			`LB0103 data[bind-port]: "http" is not a port; give a number from 1 to 65535`},
		{"port 0", []string{KeyBindPort, "0"}, `LB0103 data[bind-port]: "0" is not a port; give a number from 1 to 65535`},
		{"port 65536", []string{KeyBindPort, "65536"},
			`LB0103 data[bind-port]: "65536" is not a port; give a number from 1 to 65535`},
		{"port negative", []string{KeyTargetPort, "-80"},
			`LB0103 data[target-port]: "-80" is not a port; give a number from 1 to 65535`},
		{"port huge", []string{KeyTargetPort, big},
			`LB0103 data[target-port]: "` + big + `" is not a port; give a number from 1 to 65535`},
		{"port with blanks", []string{KeyBindPort, " 80"},
			`LB0103 data[bind-port]: " 80" is not a port; give a number from 1 to 65535`},
		{"port neither number nor name", []string{KeyTargetPort, "a b"},
			`LB0103 data[target-port]: "a b" is neither a port number nor a port's name`},
		{"ssl-port", []string{KeySSLPort, "x"}, `LB0103 data[ssl-port]: "x" is not a port; give a number from 1 to 65535`},
		{"namespace", []string{KeyNamespace, "a/b"}, `LB0104 data[namespace]: "a/b" is not a namespace's name`},
		{"bad namespace, so nothing is said of the Service", []string{KeyNamespace, "A", KeyService, "nowhere"},
			`LB0104 data[namespace]: "A" is not a namespace's name`},
		{"bad target port, so nothing is said of the Service's", []string{KeyTargetPort, "\x00", KeyService, "two"},
			`LB0107 data[target-port]: the value "\x00" holds the invisible or control character U+0000 at byte 0; remove it`},
		{"Service", []string{KeyService, "Web"}, `LB0104 data[target-service-name]: "Web" is not a Service's name`},
		{"protocol", []string{KeyProtocol, "SPX"},
			`LB0104 data[protocol]: "SPX" is not a protocol; give HTTP, HTTPS, TCP, TLS, UDP, SCTP or TLS-PASSTHROUGH`},
		{"wildcard within", []string{KeyHost, "a.*.example.com"}, `LB0104 data[host]: "a.*.example.com" is not a DNS name; give letters, digits and dashes in parts separated by dots, without a port; ` +
			`the first part may be *`},
		{"wildcard alone", []string{KeyHost, "*"}, `LB0104 data[host]: "*" is not a DNS name; give letters, digits and dashes in parts separated by dots, without a port; ` +
			`the first part may be *`},
		{"wildcard twice", []string{KeyHost, "*.*.a"}, `LB0104 data[host]: "*.*.a" is not a DNS name; give letters, digits and dashes in parts separated by dots, without a port; ` +
			`the first part may be *`},
		{"host with port", []string{KeyHost, "a.example.com:80"}, `LB0104 data[host]: "a.example.com:80" is not a DNS name; give letters, digits and dashes in parts separated by dots, without a port; ` +
			`the first part may be *`},
		{"host part too long", []string{KeyHost, strings.Repeat("a", 64) + ".com"}, `LB0104 data[host]: "` +
			strings.Repeat("a", 64) + `"… is not a DNS name; a part has more than 63 characters`},
		{"path", []string{KeyPath, "menu"}, `LB0104 data[path]: "menu" is not a path; it must begin with "/"`},
		{"path with nginx's characters", []string{KeyPath, "/a{b};c"},
			`LB0104 data[path]: "/a{b};c": a path takes letters, digits and . _ ~ + , = : @ / - only`},
		{"path that is never requested", []string{KeyPath, "/a/../b"},
			`LB0104 data[path]: "/a/../b" would match no request; leave out "//", "/./" and "/../"`},
		{"path type", []string{KeyPath, "/a", KeyPathType, "Regex"},
			`LB0104 data[path-type]: "Regex" is neither Prefix nor Exact`},
		{"path type without path", []string{KeyPathType, "exact"},
			`LB0108 data[path-type]: there is no path that it could be the type of; remove it or add one`},
		{"SSL", []string{KeySSL, "yes"}, `LB0104 data[SSL]: "yes" is neither true nor false`},
		{"address", []string{KeyRequestedIP, "10.0.0"}, `LB0104 data[requested-ip]: "10.0.0" is not an IP address`},
		{"two addresses", []string{KeyRequestedIP, "10.0.0.1,10.0.0.2"},
			`LB0104 data[requested-ip]: two IPv4 addresses; give at most one of each family`},
		{"mapped address", []string{KeyRequestedIP, "::ffff:10.0.0.1"},
			`LB0104 data[requested-ip]: "::ffff:10.0.0.1" is not an IP address`},
		{"zone", []string{KeyRequestedIP, "fe80::1%eth0"}, `LB0104 data[requested-ip]: "fe80::1%eth0" is not an IP address`},
		{"pool", []string{KeyPool, "Gold"}, `LB0104 data[address-pool]: "Gold" is not an address pool's name`},
		{"families", []string{KeyFamilies, "IPv4,IPv4"},
			`LB0104 data[ip-families]: "IPv4,IPv4": give IPv4, IPv6 or "IPv4,IPv6"`},
		{"several ports", []string{KeyService, "two", KeyBindPort, "80"},
			`LB0105 data[target-port]: Service default/two has ` +
				`several ports (80 "http", 443 "https"); give one of them`},
		{"several ports, none of the protocol", []string{KeyService, "two", KeyProtocol, "UDP", KeyBindPort, "53"},
			`LB0106 data[target-port]: Service default/two has no UDP port, which protocol UDP needs; its ports are ` +
				`80 "http", 443 "https"`},
		{"several ports, none for one of ports", []string{KeyService, "two", KeyPorts, "53/UDP"},
			`LB0106 data[ports]: Service default/two has no UDP port, which protocol UDP needs; its ports are ` +
				`80 "http", 443 "https"`},
		{"no such port", []string{KeyTargetPort, "81"},
			`LB0106 data[target-port]: Service default/web has no port "81"; its ports are 80 "http"`},
		{"no such port name", []string{KeyTargetPort, "web"},
			`LB0106 data[target-port]: Service default/web has no port "web"; its ports are 80 "http"`},
		{"the pods' port", []string{KeyTargetPort, "8080"}, `LB0106 data[target-port]: Service default/web has no port ` +
			`"8080"; its ports are 80 "http" ("8080" is a port of its pods, which 80 leads to)`},
		{"a UDP port", []string{KeyService, "udp", KeyProtocol, "TCP"},
			`LB0106 data[target-port]: port 53 of Service default/udp is UDP, but protocol TCP needs a TCP port; its ports ` +
				`are 53 "dns" "UDP"`},
		{"a UDP port by name", []string{KeyService, "mixed", KeyTargetPort, "dns", KeyProtocol, "TCP"},
			`LB0106 data[target-port]: port 53 of Service default/mixed is UDP, but protocol TCP needs a TCP port; its ports ` +
				`are 53 "dns" "UDP", 53 "dns-tcp", 9153 "metrics"`},
		{"a TCP port for UDP", []string{KeyProtocol, "UDP"}, `LB0106 data[target-port]: port 80 of Service default/web ` +
			`is TCP, but protocol UDP needs a UDP port; its ports are 80 "http"`},
		{"an SCTP port", []string{KeyService, "sctp"}, `LB0106 data[target-service-name]: port 9 of Service default/sctp ` +
			`is "SCTP", which is served only where ports names it; name it or the others there`},
		{"ports without a number", []string{KeyPorts, "80,,443"},
			`LB0103 data[ports]: "" is not a port; give a number from 1 to 65535`},
		{"ports with a protocol that is none", []string{KeyPorts, "80/SPX"},
			`LB0104 data[ports]: "80/SPX": "SPX" is not a protocol; give HTTP, HTTPS, TCP, TLS, UDP, SCTP or TLS-PASSTHROUGH`},
		{"ports with a target that is none", []string{KeyPorts, "80:a b"},
			`LB0103 data[ports]: "a b" is neither a port number nor a port's name`},
		{"ports that the Service lacks", []string{KeyService, "two", KeyPorts, "80, 81:web"},
			`LB0106 data[ports]: Service default/two has no port "web"; its ports are 80 "http", 443 "https"`},
		{"ports that could be any", []string{KeyService, "two", KeyPorts, "8080"},
			`LB0105 data[ports]: Service default/two has several ports (80 "http", 443 "https"); give one of them`},
		{"a port twice", []string{KeyPorts, "80, 80/HTTP"},
			`LB0108 data[ports]: port 80 is there twice; give each port once for each transport`},
		{"too many ports", []string{KeyPorts, strings.Repeat("80,", 64) + "80"},
			`LB0104 data[ports]: 65 ports; give at most 64`},
		{"ports and bind-port", []string{KeyPorts, "80", KeyBindPort, "80", KeyTargetPort, "80"},
			"LB0108 data[bind-port]: ports says which ports there are; remove one of the two\n" +
				"LB0108 data[target-port]: ports says which ports there are; remove one of the two"},
		{"ports and ssl-port", []string{KeyPorts, "80, 443:80", KeySSL, "true", KeyTLSSecret, "s"},
			`LB0108 data[ssl-port]: port 443 is one of ports already; choose another one`},
		{"UDP and host", []string{KeyService, "udp", KeyPorts, "53/UDP", KeyHost, "a.b"}, needHTTP},
		{"no range", []string{KeySources, "10.0.0.0/8, home"},
			`LB0104 data[allowed-source-ranges]: "home" is not a range of addresses; give such as 10.0.0.0/8`},
		{"no range but a mapped one", []string{KeySources, "::ffff:10.0.0.0/104"},
			`LB0104 data[allowed-source-ranges]: "::ffff:10.0.0.0/104" is not a range of addresses; give such as 10.0.0.0/8`},
		{"a range with too many bits", []string{KeyTrusted, "10.1.0.0/8", KeyPath, "/"},
			`LB0104 data[trusted-proxies]: "10.1.0.0/8" has address bits beyond its length; 10.0.0.0/8 is meant`},
		{"too many ranges", []string{KeySources, manyRanges()},
			`LB0104 data[allowed-source-ranges]: 257 ranges; give at most 256`},
		{"PROXY protocol", []string{KeyProxy, "send, v2"},
			`LB0104 data[proxy-protocol]: "send, v2": give accept, send, "accept,send" or send-v2`},
		{"PROXY protocol from anybody", []string{KeyProxy, "accept"}, `LB0108 data[proxy-protocol]: accept needs ` +
			`trusted-proxies, for the header says who the client is; add the ranges of the proxies`},
		{"PROXY protocol to HTTP", []string{KeyProxy, "send", KeyPath, "/"},
			`LB0108 data[proxy-protocol]: the key needs a port of protocol TCP or TLS-PASSTHROUGH; remove it, or set protocol or ports`},
		{"nothing to trust", []string{KeyTrusted, "10.0.0.0/8"},
			`LB0108 data[trusted-proxies]: the key needs a port of protocol HTTP; remove it, or set protocol or ports`},
		{"limit", []string{KeyMaxConns, "many", KeyMaxPerIP, "0"},
			"LB0104 data[max-connections]: \"many\" is not a number from 1 to 1000000\n" +
				`LB0104 data[max-connections-per-client]: "0" is not a number from 1 to 1000000`},
		{"redirect", []string{KeyPath, "/", KeyRedirect, "yes"},
			`LB0104 data[redirect-to-https]: "yes" is neither true nor false`},
		{"redirect to itself", []string{KeyPath, "/", KeyRedirect, "true", KeySSLPort, "80"},
			`LB0108 data[redirect-to-https]: port 80 would be redirected to itself; choose another port or ssl-port`},
		{"redirect of TCP", []string{KeyRedirect, "true"},
			`LB0108 data[redirect-to-https]: the key needs a port of protocol HTTP; remove it, or set protocol or ports`},
		{"backend", []string{KeyPath, "/", KeyBackend, "SPDY"}, `LB0104 data[backend-protocol]: "SPDY" is not HTTP, HTTPS, GRPC or GRPCS`},
		{"GRPC rewritten", []string{KeyPath, "/", KeyBackend, "GRPC", KeyRewrite, "/x"},
			`LB0108 data[backend-protocol]: paths of GRPC name methods and cannot be rewritten; remove one of the two`},
		{"rewrite", []string{KeyPath, "/", KeyRewrite, "/$uri"},
			`LB0104 data[path-rewrite]: "/$uri": a path takes letters, digits and . _ ~ + , = : @ / - only`},
		{"header without value", []string{KeyPath, "/", KeySetRequest, "A: b\n\nX-Y:"},
			`LB0104 data[set-request-headers]: "X-Y:" is not a header; give such as X-Team: tea`},
		{"header's name", []string{KeyPath, "/", KeySetRequest, "X Y: b", KeyCutAnswer, "a,,b"},
			"LB0104 data[set-request-headers]: \"X Y\" is not a header's name; it takes letters, digits and -, at most 46\n" +
				`LB0104 data[remove-response-headers]: "" is not a header's name; it takes letters, digits and -, at most 46`},
		{"header's value", []string{KeyPath, "/", KeySetAnswer, "X-Y: naïve"}, `LB0104 data[set-response-headers]: header ` +
			`X-Y: the value takes at most 1024 printable characters of ASCII`},
		{"header of ours", []string{KeyPath, "/", KeyCutRequest, "X-Forwarded-For"}, `LB0104 data[remove-request-headers]: ` +
			`header X-Forwarded-For is the load balancer's own and cannot be changed`},
		{"request without host", []string{KeyPath, "/", KeyCutRequest, "X-A, HOST"}, `LB0104 data[remove-request-headers]: ` +
			`no request of HTTP can be without Host; set another one with set-request-headers`},
		{"header with a carriage return", []string{KeyPath, "/", KeyCutRequest, "A\rB"}, `LB0107 ` +
			`data[remove-request-headers]: the value "A\rB" holds the invisible or control character U+000D at byte 1; remove it`},
		{"header twice", []string{KeyPath, "/", KeySetRequest, "Accept: a", KeyCutRequest, "accept"}, `LB0108 ` +
			`data[remove-request-headers]: header accept is there twice, or set and removed; choose one`},
		{"too many headers", []string{KeyPath, "/", KeyCutAnswer, strings.Repeat("a,", 32) + "a"},
			"LB0104 data[remove-response-headers]: 33 headers; give at most 32"},
		{"body", []string{KeyPath, "/", KeyMaxBody, "10 MB"},
			`LB0104 data[max-body-size]: "10 MB" is not a size from 1 to 1048576g; give one such as "10m"`},
		{"body too large", []string{KeyPath, "/", KeyMaxBody, "9999999999999999g"}, `LB0104 data[max-body-size]: ` +
			`"9999999999999999g" is not a size from 1 to 1048576g; give one such as "10m"`},
		{"retries", []string{KeyRetries, "11"}, `LB0104 data[retries]: "11" is not a number from 1 to 10`},
		{"gzip of TCP", []string{KeyGzip, "true", KeyProtocol, "TCP"},
			`LB0108 data[gzip]: the key needs a port of protocol HTTP; remove it, or set protocol or ports`},
		{"share", []string{KeyShare, "a/b/c"},
			`LB0104 data[share-key]: "a/b/c" is not a share-key; give NAME or NAMESPACE/NAME`},
		{"share with", []string{KeyShare, "a", KeyShareWith, "b, C"},
			`LB0104 data[share-with-namespaces]: "C" is not a namespace's name`},
		{"share with of nothing", []string{KeyShare, "other/a", KeyShareWith, "b"}, `LB0108 data[share-with-namespaces]: ` +
			`the key is about a share-key of this namespace, which is not there; add one`},
		{"no time", []string{KeyIdleTimeout, "30"},
			`LB0104 data[idle-timeout]: "30" is not a time from 1s to 24h; give one such as "30s" or "5m"`},
		{"a time too long", []string{KeyIdleTimeout, "25h"},
			`LB0104 data[idle-timeout]: "25h" is not a time from 1s to 24h; give one such as "30s" or "5m"`},
		{"no number", []string{KeyService, "udp", KeyResponses, "0"},
			`LB0104 data[udp-responses]: "0" is not a number from 1 to 1000`},
		{"HTTP and idle-timeout", []string{KeyPath, "/", KeyIdleTimeout, "5m"}, `LB0108 data[idle-timeout]: the key needs ` +
			`a port of protocol TCP, TLS-PASSTHROUGH or UDP; remove it, or set protocol or ports`},
		{"TCP and udp-responses", []string{KeyPorts, "80/TCP", KeyResponses, "1"}, `LB0108 data[udp-responses]: the key ` +
			`needs a port of protocol UDP; remove it, or set protocol or ports`},
		{"control character", []string{KeyHost, "a\nb"},
			`LB0107 data[host]: the value "a\nb" holds the invisible or control character U+000A at byte 1; remove it`},
		{"bidirectional override", []string{KeyPath, "/a\u202eb"},
			`LB0107 data[path]: the value "/a\u202eb" holds the invisible or control character U+202E at byte 2; remove it`},
		{"invalid UTF-8", []string{KeyPath, "/\xff"}, `LB0107 data[path]: the value "/\xff" is not valid UTF-8`},
		{"endless", []string{KeyPath, "/" + strings.Repeat("a", 5000)},
			`LB0107 data[path]: the value is longer than the 4096 bytes that are allowed`},
		{"TCP and host", []string{KeyProtocol, "TCP", KeyHost, "a.b"}, needHTTP},
		{"passthrough and path", []string{KeyProtocol, "TLS-Passthrough", KeyPath, "/"}, needHTTP},
		{"one port twice", []string{KeySSL, "true", KeyTLSSecret, "s", KeyBindPort, "443"},
			`LB0108 data[ssl-port]: port 443 is bind-port already; choose another one`},
		{"one port twice by default", []string{KeySSL, "true", KeyTLSSecret, "s", KeyService, "two", KeyTargetPort, "443"},
			`LB0108 data[ssl-port]: port 443 is the target port, at which the load balancer listens as there is no bind-port; ` +
				`add bind-port or choose another one`},
		{"address of another family", []string{KeyRequestedIP, "fd00::1", KeyFamilies, "IPv4"},
			`LB0108 data[requested-ip]: ` +
				`fd00::1 is not of a family in ip-families; add IPv6 there or request another address`},
		{"no such Service", []string{KeyService, "nowhere"},
			`LB0201 data[target-service-name]: there is no Service default/nowhere; create it or correct the name`},
		{"no ports", []string{KeyService, "none"},
			"LB0202 data[target-service-name]: Service default/none has no ports; add one to it\n" +
				"LB0203 data[target-service-name]: Service default/none is headless; use one with a cluster IP, or set upstream: endpoints"},
		{"headless", []string{KeyService, "headless"},
			"LB0203 data[target-service-name]: Service default/headless is headless; use one with a cluster IP, or set upstream: endpoints"},
		{"ExternalName", []string{KeyService, "external"},
			"LB0203 data[target-service-name]: Service default/external is of type ExternalName; use one with a cluster IP"},
		{"no address yet", []string{KeyService, "young"},
			"LB0203 data[target-service-name]: Service default/young has no cluster IP; use one with a cluster IP"},
		{"foreign", []string{KeyNamespace, "other", KeyService, "private"}, `LB0204 data[namespace]: Service other/private ` +
			`does not exist or does not allow namespace "default"; its owner may annotate it with ` +
			`kubectl-lb.io/allow-from-namespaces: "default"`},
		{"foreign and not there looks the same", []string{KeyNamespace, "other", KeyService, "nowhere"},
			`LB0204 data[namespace]: Service other/nowhere does not exist or does not allow namespace "default"; its owner ` +
				`may annotate it with kubectl-lb.io/allow-from-namespaces: "default"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if got := texts(w.Findings); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if !w.Failed() || w.LoadBalancer.Listeners != nil {
				t.Errorf("it is to be served: %+v", w.LoadBalancer.Listeners)
			}
			if got, want := w.LoadBalancer.Origin.Key.String(), "default/web"; got != want {
				t.Errorf("the origin is %s", got)
			}
		})
	}
}

// TestTargets has what is right, and what comes of it: the first listener and its target.
func TestTargets(t *testing.T) {
	for _, tc := range []struct {
		name     string
		keys     []string
		port     uint16
		protocol lb.Protocol
		target   string
		endpoint string
	}{
		{"the only port", nil, 80, lb.TCP, "default/web:80", "10.96.0.1:80"},
		{"by number", []string{KeyService, "two", KeyTargetPort, "443"}, 443, lb.TCP, "default/two:443", "10.96.0.2:443"},
		{"by name", []string{KeyService, "two", KeyTargetPort, "https"}, 443, lb.TCP, "default/two:443", "10.96.0.2:443"},
		{"other bind-port", []string{KeyBindPort, "8080"}, 8080, lb.TCP, "default/web:80", "10.96.0.1:80"},
		{"empty values", []string{KeyBindPort, "", KeyNamespace, "", KeyHost, ""}, 80, lb.TCP, "default/web:80",
			"10.96.0.1:80"},
		{"the only one of the protocol", []string{KeyService, "mixed", KeyBindPort, "5353", KeyProtocol, "UDP"}, 5353, lb.UDP,
			"default/mixed:53", "10.96.0.4:53"},
		{"the only one that can be served", []string{KeyService, "sctp", KeyBindPort, "8080"}, 8080, lb.TCP,
			"default/sctp:80", "10.96.0.8:80"},
		{"IPv6", []string{KeyService, "six"}, 80, lb.TCP, "default/six:80", "[fd00:96::1]:80"},
		{"TCP beside UDP", []string{KeyService, "mixed", KeyTargetPort, "53"}, 53, lb.TCP, "default/mixed:53",
			"10.96.0.4:53"},
		{"own namespace", []string{KeyNamespace, "default"}, 80, lb.TCP, "default/web:80", "10.96.0.1:80"},
		{"foreign, named", []string{KeyNamespace, "other", KeyService, "allowed"}, 80, lb.TCP, "other/allowed:80",
			"10.96.0.5:80"},
		{"foreign, all", []string{KeyNamespace, "other", KeyService, "all"}, 80, lb.TCP, "other/all:80", "10.96.0.6:80"},
		{"HTTP", []string{KeyProtocol, "Http"}, 80, lb.HTTP, "default/web:80", "10.96.0.1:80"},
		{"HTTP by host", []string{KeyHost, "a.b"}, 80, lb.HTTP, "default/web:80", "10.96.0.1:80"},
		{"HTTP by path", []string{KeyPath, "/"}, 80, lb.HTTP, "default/web:80", "10.96.0.1:80"},
		{"SSL off", []string{KeySSL, "False", KeySSLPort, "80"}, 80, lb.TCP, "default/web:80", "10.96.0.1:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if len(w.Findings) > 0 {
				t.Fatal(texts(w.Findings))
			}
			l := w.LoadBalancer.Listeners[0]
			target := l.Routes[0].Target
			if l.Port != tc.port || l.Protocol != tc.protocol || target.Service.String() != tc.target ||
				len(target.Endpoints) != 1 || target.Endpoints[0].String() != tc.endpoint || len(w.LoadBalancer.Listeners) != 1 {
				t.Errorf("got %+v", w.LoadBalancer.Listeners)
			}
		})
	}
}

// TestPaths says which paths can be used: those of the example, and none that nginx could read as anything else.
func TestPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/menu": true, "/menu/": true, "/a/b.c_d~e": true, "/@user/a:b": true, "/a=b,c+d": true, "/...": true,
		"//": false, "/a//b": false, "/.": false, "/..": false, "/a/./b": false, "/a/..": false, "/%2e": false, "/a b": false,
		"/a;b": false, "/a$b": false, "/a'b": false, `/a"b`: false, "/a{": false, "/a}": false, `/a\b`: false, "/a#b": false,
		"/a?b": false, "/ä": false, "a": false, "~/a": false, "=/a": false, "/a*": false, "/(a)": false, "/a|b": false,
	} {
		w := Parse(object(KeyPath, path), nil)
		if w.Failed() == want {
			t.Errorf("%q: %s", path, texts(w.Findings))
		}
	}
}

// What the controller writes is never a fault of the user.
func TestWrittenKeys(t *testing.T) {
	for value, want := range map[string]int{
		"10.0.0.1": 1, "10.0.0.1,fd00::1": 2, "fd00::1 , 10.0.0.1": 2, "10.0.0.1,10.0.0.2": 1, "nonsense": 0, "": 0,
		"\x00": 0, "fe80::1%eth0": 0, "nonsense,10.0.0.1": 1, strings.Repeat("1", 5000): 0, "\xff": 0,
	} {
		w := Parse(object(KeyBindIP, value, KeyStatus, value), cluster())
		if len(w.Findings) > 0 || len(w.Address.Recorded) != want {
			t.Errorf("%.40q: %s, %v", value, texts(w.Findings), w.Address.Recorded)
		}
	}
}

// Without a cluster, an object is judged by itself.
func TestParseWithoutServices(t *testing.T) {
	w := Parse(object(KeyService, "nowhere", KeyNamespace, "other", KeyTargetPort, "8080"), nil)
	if w.Failed() {
		t.Fatal(texts(w.Findings))
	}
	target := w.LoadBalancer.Listeners[0].Routes[0].Target
	if target.Service.String() != "other/nowhere:8080" || target.Endpoints != nil {
		t.Errorf("got %+v", target)
	}
	if w := Parse(object(KeyBindPort, "x"), nil); texts(w.Findings) == "" {
		t.Error("no finding")
	}
}

// Every object is read in every pass, so an object in order must not cost what advice about a faulty one does.
func TestParseAllocates(t *testing.T) {
	cm := object(KeyBindPort, "80", KeyHost, "a.example.com", KeyPath, "/tea")
	good := testing.AllocsPerRun(10, func() { Parse(cm, nil) })
	cm.Data["hots"] = "a.example.com"
	bad := testing.AllocsPerRun(10, func() { Parse(cm, nil) })
	t.Logf("%v allocations, %v with a misspelt key", good, bad)
	if good > 200 || bad < good+50 {
		t.Errorf("%v allocations, %v with a misspelt key: nothing is compared for keys that there are", good, bad)
	}
}

func TestNearest(t *testing.T) {
	var known []string
	for _, k := range Keys() {
		known = append(known, k.Name)
	}
	for word, want := range map[string]string{
		"bind_port": "bind-port", "bindPort": "bind-port", "BIND-PORT": "bind-port", "bind-prot": "bind-port",
		"targetport": "target-port", "target.port": "target-port", "ssl": "SSL", "sslport": "ssl-port", "hosts": "host",
		"hostname": "host", "service": "target-service-name", "service-name": "target-service-name", "port": "ports",
		"pool": "address-pool", "protcol": "protocol", "requestedip": "requested-ip", "request-ip": "requested-ip",
		"ip-family": "ip-families", "ns": "", "x": "", "colour": "", strings.Repeat("bind-port", 20): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// manyRanges returns more ranges than a key may have.
func manyRanges() string {
	var out []string
	for i := range 257 {
		out = append(out, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
	}
	return strings.Join(out, ",")
}

// A share is named by its namespace, which is the object's own unless it says otherwise.
func TestShare(t *testing.T) {
	for text, want := range map[string]string{"": "", "edge": "default/edge", "infra/edge": "infra/edge"} {
		if w := Parse(object(KeyShare, text), cluster()); w.LoadBalancer.Share != want || w.Failed() {
			t.Errorf("%q: %q, %s", text, w.LoadBalancer.Share, texts(w.Findings))
		}
	}
	w := Parse(object(KeyShare, "edge", KeyShareWith, "b , *"), cluster())
	if got := strings.Join(w.Address.ShareWith, " "); got != "b *" || w.Failed() {
		t.Errorf("shares with %q, %s", got, texts(w.Findings))
	}
}

// TestMaxValue: a value that is cut behind the byte that is too many is judged as the whole.
func TestMaxValue(t *testing.T) {
	for key, lines := range map[string]bool{KeyPath: false, KeyRoutes: true, KeySetAnswer: true, "unknown": false} {
		most := MaxValue(key)
		if want := map[bool]int{true: maxLines, false: maxValue}[lines]; most != want {
			t.Errorf("%s: %d", key, most)
		}
		long := strings.Repeat("x", 100<<10)
		whole, cut := Parse(object(key, long), nil), Parse(object(key, long[:most+1]), nil)
		if texts(whole.Findings) != texts(cut.Findings) || !whole.Failed() {
			t.Errorf("%s: %s, but cut: %s", key, texts(whole.Findings), texts(cut.Findings))
		}
	}
}
