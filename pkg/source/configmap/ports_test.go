package configmap

import (
	"fmt"
	"strings"
	"testing"
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
	w := Parse(object(KeyService, "mixed", KeyPorts, "53/UDP,53,9153/HTTP", KeyIdleTimeout, "90s", KeyResponses, "1"),
		cluster())
	var got []string
	for _, l := range w.LoadBalancer.Listeners {
		got = append(got, fmt.Sprintf("%s %s %d", l.Protocol, l.Options.Timeouts.Idle, l.Options.Responses))
	}
	if want := "TCP 1m30s 0, UDP 1m30s 1, HTTP 0s 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s; %s", got, want, texts(w.Findings))
	}
}
