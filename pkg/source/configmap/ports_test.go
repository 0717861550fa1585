package configmap

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// shape writes down what is listened for, one listener a word: "80/HTTP>default/web:80".
func shape(t *testing.T, pairs ...string) string {
	t.Helper()
	w := Parse(object(pairs...), cluster())
	if len(w.Findings) > 0 {
		t.Fatal(texts(w.Findings))
	}
	var words []string
	for _, l := range w.LoadBalancer.Listeners {
		r := l.Routes[0]
		if len(r.Target.Endpoints) != 1 || r.Target.Endpoints[0].Port() != r.Target.Service.Port {
			t.Errorf("endpoints %v", r.Target.Endpoints)
		}
		words = append(words, fmt.Sprintf("%d/%s>%s%s%s", l.Port, l.Protocol, r.Host, r.Path, r.Target.Service))
	}
	return strings.Join(words, " ")
}

// TestPorts has objects of several ports and what they listen for.
func TestPorts(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"all of a Service", []string{KeyService, "two"}, "80/TCP>default/two:80 443/TCP>default/two:443"},
		{"all of a Service with both transports", []string{KeyService, "mixed"},
			"53/TCP>default/mixed:53 53/UDP>default/mixed:53 9153/TCP>default/mixed:9153"},
		{"all of one protocol", []string{KeyService, "mixed", KeyProtocol, "udp"}, "53/UDP>default/mixed:53"},
		{"the others of an odd Service", []string{KeyService, "sctp", KeyPorts, "80"}, "80/TCP>default/sctp:80"},
		{"UDP by itself", []string{KeyService, "udp"}, "53/UDP>default/udp:53"},
		{"UDP elsewhere", []string{KeyService, "udp", KeyBindPort, "5353"}, "5353/UDP>default/udp:53"},
		{"named", []string{KeyService, "two", KeyPorts, "8443:https , 8080:80/http"},
			"8080/HTTP>default/two:80 8443/TCP>default/two:443"},
		{"same number", []string{KeyService, "two", KeyPorts, "443,80"}, "80/TCP>default/two:80 443/TCP>default/two:443"},
		{"the only port", []string{KeyPorts, "8080/HTTP,9090"}, "8080/HTTP>default/web:80 9090/TCP>default/web:80"},
		{"one number, two transports", []string{KeyService, "mixed", KeyPorts, "53/TCP,53/UDP"},
			"53/TCP>default/mixed:53 53/UDP>default/mixed:53"},
		{"protocol for all", []string{KeyService, "two", KeyProtocol, "HTTP", KeyPorts, "80,443/TCP"},
			"80/HTTP>default/two:80 443/TCP>default/two:443"},
		{"host makes HTTP of the rest", []string{KeyService, "two", KeyHost, "a.b", KeyPorts, "80,443/TCP"},
			"80/HTTP>a.bdefault/two:80 443/TCP>default/two:443"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := shape(t, tc.keys...); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// An option reaches the ports that it means something for, and no other.
func TestOptionsByProtocol(t *testing.T) {
	w := Parse(object(KeyService, "mixed", KeyPorts, "53/UDP,53,9153/HTTP", KeyIdleTimeout, "90s", KeyResponses, "1",
		KeyProxy, "accept,send", KeyTrusted, "10.0.0.0/8, fd00::1", KeySources, "192.0.2.1,192.0.2.0/24,192.0.2.1",
		KeyMaxConns, "7", KeyMaxPerIP, "3", KeyConnectTime, "2s", KeySendTime, "3s", KeyReadTime, "4s", KeyRetries, "2",
		KeyAccessLog, "True", KeyRedirect, "true", KeySSLPort, "8443", KeyBackend, "grpc", KeyMaxBody, "10m", KeyGzip, "true",
		KeySetRequest, "X-Team: tea: green\nAccept:*/*", KeyCutRequest, "Cookie , X-Debug", KeySetAnswer, "A: ${b}",
		KeyCutAnswer, "B"), cluster())
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")}
	every := lb.Options{
		Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.1/32")},
		Limits:  lb.Limits{Connections: 7, PerClient: 3}, AccessLog: true,
	}
	tcp, udp, http := every, every, every
	tcp.AcceptProxy, tcp.SendProxy, tcp.TrustedProxies, tcp.Timeouts.Idle = true, true, trusted, 90*time.Second
	udp.Timeouts.Idle, udp.Responses = 90*time.Second, 1
	http.AcceptProxy, http.TrustedProxies = true, trusted
	tcp.Retries, http.Retries, tcp.Timeouts.Connect = 2, 2, 2*time.Second
	http.Timeouts = lb.Timeouts{Connect: 2 * time.Second, Send: 3 * time.Second, Read: 4 * time.Second}
	http.HTTP = lb.HTTPOptions{
		RedirectTo: 8443, GRPC: true, MaxBody: 10 << 20, Gzip: true,
		Request: lb.HeaderChanges{
			Set:    []lb.Header{{Name: "Accept", Value: "*/*"}, {Name: "X-Team", Value: "tea: green"}},
			Remove: []string{"Cookie", "X-Debug"},
		},
		Response: lb.HeaderChanges{Set: []lb.Header{{Name: "A", Value: "${b}"}}, Remove: []string{"B"}},
	}
	var got []lb.Options
	for _, l := range w.LoadBalancer.Listeners {
		got = append(got, l.Options)
	}
	if d := cmp.Diff([]lb.Options{tcp, udp, http}, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("%s\n%s", d, texts(w.Findings))
	}
}
