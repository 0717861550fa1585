package e2e

import (
	"strings"
	"testing"
)

// TestProxyProtocolOfPassthrough: the pod gets a PROXY header before TLS that it ends itself, of the client or of whom a
// trusted proxy names; what the client says follows as he said it.
func TestProxyProtocolOfPassthrough(t *testing.T) {
	echo(t)
	const host = "tea.example.com"
	keys := []string{"target-service-name: echo", "host: " + host, "ports: 443:tcp/TLS-PASSTHROUGH"}
	sent := serve(t, "sent", append(keys, "proxy-protocol: send")...)
	handed := serve(t, "handed", append(keys, `proxy-protocol: accept,send`, "trusted-proxies: 10.88.0.0/16")...)
	for _, c := range []struct{ name, ip, first, want string }{
		{"a client", sent, "", "PROXY TCP4 10.88."},
		{"whom a proxy names", handed, "PROXY TCP4 192.0.2.9 198.51.100.1 1234 443\r\n", "PROXY TCP4 192.0.2.9 "},
	} {
		hello := clientHello(t, host)
		// The echo greets, and returns what it gets: nobody speaks TLS here.
		_, got, _ := strings.Cut(exchange(t, "tcp", c.ip+":443", c.first+hello, hello), "\n")
		line, rest, _ := strings.Cut(got, "\r\n")
		if !strings.HasPrefix(line, c.want) || rest != hello {
			t.Errorf("%s: the pod got %q and then %d bytes, not %d", c.name, line, len(rest), len(hello))
		}
	}
}

// TestForwarded: the pod hears of the client what a trusted proxy says of him, in X-Forwarded-* and in a Forwarded of the load
// balancer's own; of anybody else nothing is believed.
func TestForwarded(t *testing.T) {
	echo(t)
	keys := []string{"target-service-name: echo", "ports: 80:http/HTTP"}
	said := []string{"X-Forwarded-For", "192.0.2.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "cafe.example.com",
		"X-Forwarded-Port", "8443", "Forwarded", "for=203.0.113.66;proto=https"}
	for _, c := range []struct {
		name, trusted string
		want, lacks   []string
	}{
		{"trusting", "10.88.0.0/16", []string{"\nForwarded: for=192.0.2.9;proto=https\n", "X-Forwarded-For: 192.0.2.9, 10.88.",
			"X-Real-Ip: 192.0.2.9\n", "X-Forwarded-Proto: https\n", "X-Forwarded-Host: cafe.example.com\n", "X-Forwarded-Port: 8443\n"},
			[]string{"203.0.113.66"}},
		{"doubting", "203.0.113.0/24", []string{"\nForwarded: for=10.88.", ";proto=http\n", "X-Forwarded-For: 10.88.",
			"X-Real-Ip: 10.88.", "X-Forwarded-Proto: http\n", "X-Forwarded-Host: tea.example.com\n", "X-Forwarded-Port: 80\n"},
			[]string{"203.0.113.66", "192.0.2.9", "cafe.example.com", "8443"}},
	} {
		ip := serve(t, c.name, append(keys, "trusted-proxies: "+c.trusted)...)
		code, _, body := fetch(t, ip+"/headers", "tea.example.com", said...)
		for _, want := range c.want {
			if code != 200 || !strings.Contains("\n"+body, want) {
				t.Errorf("%s: %d, the pod does not hear %q", c.name, code, want)
			}
		}
		for _, lacks := range c.lacks {
			if strings.Contains(body, lacks) {
				t.Errorf("%s: the pod hears %q", c.name, lacks)
			}
		}
		if t.Failed() {
			t.Logf("%s: %s", c.name, body)
		}
	}
}

// TestAddressKeys: an object has the address that it asks for, or one of a pool of which nobody gets one unasked.
func TestAddressKeys(t *testing.T) {
	if ip := serve(t, "asks", "target-service-name: tea", "requested-ip: 10.88.97.41"); ip != "10.88.97.41" {
		t.Errorf("requested-ip: it has %s", ip)
	} else {
		hasPage("", "/", 200, "tea-")(t, ip)
	}
	ip := serve(t, "of-tiny", "target-service-name: tea", "address-pool: tiny")
	if ip != "10.88.104.1" && ip != "10.88.104.2" {
		t.Errorf("address-pool: it has %s", ip)
	}
	hasPage("", "/", 200, "tea-")(t, ip)
}
