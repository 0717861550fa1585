package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// TestHostileValues: whichever key has a control character, or 100 KiB, gets its finding by name; a neighbour that is
// probed meanwhile loses nothing.
func TestHostileValues(t *testing.T) {
	running := probe(t, serve(t, "hostile-neighbour", "target-service-name: coffee-svc"))
	long := strings.Repeat("x", 100<<10)
	for kind, value := range map[string]string{"control": `"a\x01b"`, "long": long} {
		var names, all []string
		for i, k := range configmap.Keys() {
			if k.Written {
				continue // the controller writes over it
			}
			name := fmt.Sprintf("hostile-%s-%02d", kind, i)
			keys := []string{k.Name + ": " + value}
			if k.Name != configmap.KeyService {
				keys = append(keys, "target-service-name: coffee-svc")
			}
			names, all = append(names, name+" "+k.Name), append(all, loadBalancer(name, keys...))
		}
		apply(t, strings.Join(all, "---\n"))
		for _, name := range names {
			name, key, _ := strings.Cut(name, " ")
			want := "ERROR : LB0107 data[" + key + "]: "
			if _, err := shared.WaitStatus(t.Context(), "default", name, want, 30*time.Second); err != nil {
				t.Error(err)
			}
		}
	}
	lossless(t, running.Stop())
}

// TestBadAuthorities: authorities, for clients and for the Service, that are missing or none get their finding; the last
// good version is served meanwhile, a neighbour notices nothing, and mending clears the finding.
func TestBadAuthorities(t *testing.T) {
	echo(t)
	good := authorityOf("some-ca", certtest.Authority(t, "some").Cert)
	server := certtest.New(t, everyHost)
	apply(t, secretOf("some-cert", server)+"---\n"+good)
	clients := []string{"target-service-name: echo", "target-port: http", "protocol: HTTPS", "tls-secret-name: some-cert",
		"tls-client-ca: secret/some-ca", "tls-client-auth: optional"}
	service := []string{"target-service-name: echo", "target-port: http", "protocol: HTTP", "backend-protocol: HTTPS",
		"backend-tls-ca: secret/some-ca"}
	ip := serve(t, "of-clients", clients...)
	serve(t, "of-service", service...)
	running := probe(t, serve(t, "authority-neighbour", "target-service-name: coffee-svc"))
	serves := func(name string) {
		t.Helper()
		_, err := shared.WaitServing(t.Context(), "default", name)
		must(t, err)
	}
	both := map[string]string{"of-clients": "tls-client-ca", "of-service": "backend-tls-ca"}
	for _, c := range []struct{ code, bad string }{
		{"LB0508", authorityOf("some-ca", []byte("rubbish"))},
		{"LB0501", ""},
	} {
		if c.bad == "" {
			remove(t, good)
		} else {
			must(t, shared.Apply(t.Context(), c.bad))
		}
		for name, key := range both {
			data, err := shared.WaitStatus(t.Context(), "default", name, "ERROR : "+c.code+" data["+key+"]", 30*time.Second)
			must(t, err)
			t.Log(data["status"])
		}
		if got, err := visit(t.Context(), ip+":443/", everyHost, believing(server)); err != nil || got.code != 200 {
			t.Errorf("the last good version is not served: %+v, %v", got, err)
		}
		must(t, shared.Apply(t.Context(), good))
		serves("of-clients")
		serves("of-service")
	}
	for name, c := range map[string]struct {
		keys    []string
		finding string
	}{
		"of-clients": {clients[:3], "ERROR : LB0102 data[tls-secret-name]"},
		"of-service": {service[:4], "ERROR : LB0102 data[backend-tls-ca]"},
	} {
		must(t, shared.Apply(t.Context(), loadBalancer(name, c.keys...)))
		if data, err := shared.WaitStatus(t.Context(), "default", name, c.finding, 30*time.Second); err != nil {
			t.Errorf("%v: %v", data, err)
		}
	}
	must(t, shared.Apply(t.Context(), loadBalancer("of-clients", clients...)))
	serves("of-clients")
	lossless(t, running.Stop())
}

// TestClashes: at an address that several objects share, a second one that wants a port's host and path, or the port for
// another protocol, is refused, and the one that has it is probed and notices nothing.
func TestClashes(t *testing.T) {
	echo(t)
	ip := serve(t, "clash", "target-service-name: echo", "ports: 80:http/HTTP, 7:udp/UDP", "share-key: clash")
	running := probe(t, ip)
	for name, keys := range map[string][]string{
		"clash-host":     {"target-service-name: tea", "protocol: HTTP"},
		"clash-tcp":      {"target-service-name: tea", "protocol: TCP"},
		"clash-sni":      {"target-service-name: echo", "ports: 80:http/TLS-PASSTHROUGH", "host: a.example.com"},
		"clash-udp":      {"target-service-name: echo", "ports: 7:udp/UDP"},
		"clash-one-of-2": {"target-service-name: echo", "ports: 81:http/HTTP, 80:tcp/TCP"},
	} {
		apply(t, loadBalancer(name, append(keys, "share-key: clash")...))
		data, err := shared.WaitStatus(t.Context(), "default", name, "ERROR : LB0303", 30*time.Second)
		must(t, err)
		if !strings.Contains(data["status"], "default/clash") {
			t.Errorf("%s: %q does not say who has it", name, data["status"])
		}
	}
	lossless(t, running.Stop())
	beside := serve(t, "clash-not", "target-service-name: echo", "ports: 7:tcp/TCP", "share-key: clash")
	if got := exchange(t, "tcp", beside+":7", "ping\n", "ping"); beside != ip || !strings.HasPrefix(got, "hello from ") {
		t.Errorf("TCP beside UDP at one number: %s, %q", beside, got)
	}
}
