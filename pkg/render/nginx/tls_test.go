package nginx_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// digest is one that a bundle could have.
const digest = "00112233445566778899aabbccddeeff"

// secure gives a listener certificates by the names of their material.
func terminated(s lb.Listener, cs ...lb.Certificate) lb.Listener {
	s.TLS = &lb.TLS{Certificates: cs}
	return s
}

func certificate(name string, names ...string) lb.Certificate {
	return lb.Certificate{Secret: name, Material: lb.Material{Name: name, Digest: digest}, Names: names}
}

// asking lets a listener ask clients for certificates.
func asking(s lb.Listener, optional bool) lb.Listener {
	s.TLS.Clients = &lb.ClientAuth{CA: bundle("clients"), Optional: optional}
	return s
}

func bundle(name string) lb.CABundle {
	return lb.CABundle{Kind: lb.KindSecret, Name: name, Material: lb.Material{Name: "lb-tls-" + name, Digest: digest}}
}

// tlsGoldens are the cases about TLS that have a directory below testdata.
func tlsGoldens() map[string]nginx.Input {
	one, two := certificate("one", "a.example.com", "*.example.com"), certificate("two", "a.example.com", "default", "c.d")
	up := func(host string) lb.Route { return route(host, "", "10.96.0.1:80") }
	verified, unverified := lb.BackendTLS{CA: bundle("services")}, lb.BackendTLS{}
	named := lb.BackendTLS{CA: bundle("services"), ServerName: "inside.example.com"}
	return map[string]nginx.Input{
		"https": input(balancer("web", []string{"10.0.0.30", "fd00::30"}, terminated(http(443, up("")), one),
			terminated(http(8443, up("a.example.com"), up("*.example.com")), one), http(80, up("")))),
		"https-tickets": withTickets(input(balancer("web", []string{"10.0.0.36"}, terminated(http(443, up("")), one),
			terminated(tcp(5432, "10.96.0.2:5432"), one)))),
		"https-sni": input(balancer("web", []string{"10.0.0.31"},
			terminated(with(http(443, up("a.example.com"), up("c.d"), up("")), lb.Options{AccessLog: true}), one, two))),
		"https-shared": input(shared(
			balancer("one", []string{"10.0.0.32"}, terminated(http(443, up("a.example.com")), one)),
			balancer("two", []string{"10.0.0.32"}, terminated(http(443, up("c.d")), two)))...),
		"https-clients": input(balancer("staff", []string{"10.0.0.33"}, asking(terminated(http(443, up("")), one), false),
			asking(terminated(http(8443, up("a.example.com")), one), true),
			asking(terminated(tcp(5432, "10.96.0.2:5432"), one), false))),
		"tls": input(balancer("db", []string{"10.0.0.34", "fd00::34"}, terminated(tcp(5432, "10.96.0.2:5432"), one),
			terminated(with(tcp(5433, "10.96.0.2:5432"), lb.Options{AccessLog: true}), two, one),
			passthrough(443, route("a.b", "", "10.96.0.1:443")))),
		"backend-tls": input(balancer("inside", []string{"10.0.0.35"}, with(http(80, up("")), lb.Options{BackendTLS: &verified}),
			with(http(81, up("")), lb.Options{BackendTLS: &unverified}),
			with(http(82, up("")), lb.Options{BackendTLS: &named, HTTP: lb.HTTPOptions{GRPC: true}}))),
	}
}

func withTickets(in nginx.Input) nginx.Input {
	in.TicketKeys = []string{"tickets-aa.0.key", "tickets-aa.1.key", "tickets-aa.2.key"}
	return in
}

func TestTLSRefused(t *testing.T) {
	up := route("", "", "10.96.0.1:80")
	foreign := certificate("../../etc/passwd")
	odd := certificate("one", `a"; b`)
	unknown := asking(terminated(http(443, up), certificate("one")), false)
	unknown.TLS.Clients.CA.Material = lb.Material{}
	many := make([]lb.Certificate, 65)
	for name, tt := range map[string]struct {
		listener lb.Listener
		code     lb.Code
	}{
		"no certificate":       {terminated(http(443, up)), lb.CodeBadValue},
		"too many":             {terminated(http(443, up), many...), lb.CodeBadValue},
		"not resolved":         {terminated(http(443, up), lb.Certificate{Secret: "s"}), lb.CodeSecretNotFound},
		"no name":              {terminated(http(443, up), foreign), lb.CodeSecretNotFound},
		"odd names":            {terminated(http(443, up), odd), lb.CodeCertMalformed},
		"empty name":           {terminated(http(443, up), certificate("one", "")), lb.CodeCertMalformed},
		"many names":           {terminated(http(443, up), certificate("one", make([]string, 257)...)), lb.CodeCertMalformed},
		"bundle not resolved":  {unknown, lb.CodeSecretNotFound},
		"TLS over UDP":         {terminated(udp(443, "10.96.0.1:80"), certificate("one")), lb.CodeBackendCannot},
		"TLS over passthrough": {terminated(passthrough(443, up), certificate("one")), lb.CodeBackendCannot},
		"TCP to TLS":           {with(tcp(80, "10.96.0.1:80"), lb.Options{BackendTLS: &lb.BackendTLS{}}), lb.CodeBackendCannot},
		"backend's CA": {with(http(80, up), lb.Options{BackendTLS: &lb.BackendTLS{CA: lb.CABundle{Name: "x"}}}),
			lb.CodeSecretNotFound},
		"backend's name": {with(http(80, up), lb.Options{BackendTLS: &lb.BackendTLS{ServerName: "a b"}}), lb.CodeBadValue},
	} {
		res, err := nginx.Render(input(balancer("x", []string{"10.0.0.1"}, tt.listener)))
		if err != nil || len(res.Refused) != 1 || res.Refused[0].Code != tt.code {
			t.Errorf("%s: %v, %v", name, res.Refused, err)
		}
	}
	for name, in := range map[string]nginx.Input{
		"directory": {RunDir: "/run/x", TLSDir: "a b"}, "key": {RunDir: "/run/x", TicketKeys: []string{"../x"}},
		"keys": {RunDir: "/run/x", TicketKeys: make([]string, 9)},
	} {
		if _, err := nginx.Render(in); err == nil {
			t.Errorf("%s: it is rendered", name)
		}
	}
}

// A port is shared by HTTPS only where nobody asks clients for certificates.
func TestSharedTLS(t *testing.T) {
	web := func(name string, s lb.Listener) lb.LoadBalancer { return balancer(name, []string{"10.0.0.1"}, s) }
	https := func(host string) lb.Listener {
		return terminated(http(443, route(host, "", "10.96.0.1:80")), certificate("one"))
	}
	for name, tt := range map[string]struct {
		second  lb.Listener
		refused int
	}{
		"hosts":       {https("b"), 0},
		"same host":   {https("a"), 1},
		"plain":       {http(443, route("b", "", "10.96.0.1:80")), 1},
		"asks":        {asking(https("b"), true), 1},
		"another one": {terminated(tcp(444, "10.96.0.1:80"), certificate("one")), 0},
	} {
		res, err := nginx.Render(input(shared(web("one", https("a")), web("two", tt.second))...))
		if err != nil || len(res.Refused) != tt.refused {
			t.Errorf("%s: %v, %v", name, res.Refused, err)
		}
	}
}

// Newer versions of nginx have HTTP/2 as a directive.
func TestHTTP2ByVersion(t *testing.T) {
	l := balancer("x", []string{"10.0.0.1"}, terminated(http(443, route("", "", "10.96.0.1:80")), certificate("one")))
	for version, directive := range map[string]bool{"": false, "1.22.1": false, "1.25.0": false, "1.25.1": true, "1.31.4": true,
		"2.0.0": true, "x": false} {
		in := input(l)
		in.Version = version
		res, err := nginx.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := res.Files.Get("http/default_x.conf")
		if strings.Contains(string(text), "http2 on;") != directive ||
			strings.Contains(string(text), "default_server http2") == directive {
			t.Errorf("%q: %s", version, text)
		}
	}
}

// The digest of a certificate is no part of the configuration: another version needs no reload. That of a bundle is.
func TestRotationNeedsNoReload(t *testing.T) {
	generation := func(certificates, bundles string) string {
		s := asking(terminated(http(443, route("", "", "10.96.0.1:80")), certificate("one")), false)
		s.TLS.Certificates[0].Material.Digest, s.TLS.Clients.CA.Material.Digest = certificates, bundles
		s.TLS.Certificates[0].Expires = time.Now()
		res, err := nginx.Render(input(balancer("x", []string{"10.0.0.1"}, s)))
		if err != nil || len(res.Refused) > 0 {
			t.Fatal(err, res.Refused)
		}
		return res.Generation
	}
	if generation("aa", "aa") != generation("bb", "aa") || generation("aa", "aa") == generation("aa", "bb") {
		t.Error("a certificate needs a reload, or a bundle none")
	}
}
