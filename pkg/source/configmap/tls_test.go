package configmap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// described returns ports and what is spoken at them, such as "443/HTTP(s,t)".
func described(listeners []lb.Listener) string {
	var words []string
	for _, l := range listeners {
		word := fmt.Sprintf("%d/%s", l.Port, l.Protocol)
		if l.TLS != nil {
			var names []string
			for _, c := range l.TLS.Certificates {
				names = append(names, c.Secret)
			}
			word += "(" + strings.Join(names, ",") + ")"
		}
		if l.Options.HTTP.RedirectTo > 0 {
			word += fmt.Sprintf(">%d", l.Options.HTTP.RedirectTo)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestTLS(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"as in 2016", []string{KeySSL, "true", KeyTLSSecret, "s"}, "80/HTTP 443/HTTP(s)"},
		{"redirected", []string{KeySSL, "true", KeyTLSSecret, "s", KeySSLPort, "8443", KeyRedirect, "true"},
			"80/HTTP>8443 8443/HTTP(s)"},
		{"alone", []string{KeyProtocol, "https", KeyTLSSecret, "s, t"}, "443/HTTP(s,t)"},
		{"alone at a port", []string{KeyProtocol, "HTTPS", KeyTLSSecret, "s", KeyBindPort, "8080"}, "8080/HTTP(s)"},
		{"alone, and SSL", []string{KeyProtocol, "HTTPS", KeyTLSSecret, "s", KeySSL, "true"}, "443/HTTP(s)"},
		{"TLS", []string{KeyProtocol, "TLS", KeyTLSSecret, "s", KeyBindPort, "6432"}, "6432/TCP(s)"},
		{"TLS for all ports", []string{KeyProtocol, "TLS", KeyTLSSecret, "s", KeyService, "two"}, "80/TCP(s) 443/TCP(s)"},
		{"ports", []string{KeyPorts, "80/HTTP, 443:80/HTTPS, 6432:80/TLS, 81:80", KeyTLSSecret, "s"},
			"80/HTTP 81:TCP 443/HTTP(s) 6432/TCP(s)"},
		{"routes alone", []string{KeyService, "", KeyRoutes, "host=a.b service=web", KeyProtocol, "HTTPS", KeyTLSSecret, "s"},
			"443/HTTP(s)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if got := described(w.LoadBalancer.Listeners); got != strings.ReplaceAll(tc.want, "81:TCP", "81/TCP") {
				t.Errorf("got %s, want %s\n%s", got, tc.want, texts(w.Findings))
			}
		})
	}
}

func TestTLSFindings(t *testing.T) {
	const noPort = "the key needs a port of protocol HTTPS or TLS; remove it, or set protocol, ports or SSL"
	for _, tc := range []struct {
		name string
		keys []string
		want string
	}{
		{"no Secret", []string{KeySSL, "true"}, "LB0102 data[tls-secret-name]: the key is missing; give the name of a Secret of " +
			"type kubernetes.io/tls with the certificate to show"},
		{"no port", []string{KeyTLSSecret, "s", KeyClientCA, "secret/ca"},
			"LB0108 data[tls-secret-name]: " + noPort + "\nLB0108 data[tls-client-ca]: " + noPort},
		{"foreign Secret", []string{KeySSL, "true", KeyTLSSecret, "other/s"}, `LB0104 data[tls-secret-name]: "other/s": only ` +
			`Secrets of the object's own namespace are used; copy it there`},
		{"no Secret's name", []string{KeySSL, "true", KeyTLSSecret, "s, ${x}"},
			`LB0104 data[tls-secret-name]: "${x}" is not a Secret's name`},
		{"twice", []string{KeySSL, "true", KeyTLSSecret, "s,s"}, `LB0104 data[tls-secret-name]: Secret "s" is there twice`},
		{"too many", []string{KeySSL, "true", KeyTLSSecret, many()}, "LB0104 data[tls-secret-name]: 65 Secrets; give at most 64"},
		{"CA's kind", []string{KeySSL, "true", KeyTLSSecret, "s", KeyClientCA, "ca"}, `LB0104 data[tls-client-ca]: "ca" is not a ` +
			`place of certificates; give secret/NAME or configmap/NAME, of the object's own namespace`},
		{"CA's name", []string{KeySSL, "true", KeyTLSSecret, "s", KeyClientCA, "secret/other/ca"}, `LB0104 ` +
			`data[tls-client-ca]: "secret/other/ca" is not a place of certificates; give secret/NAME or configmap/NAME, of the ` +
			`object's own namespace`},
		{"auth", []string{KeySSL, "true", KeyTLSSecret, "s", KeyClientCA, "secret/ca", KeyClientAuth, "no"},
			`LB0104 data[tls-client-auth]: "no" is neither required nor optional`},
		{"auth without CA", []string{KeySSL, "true", KeyTLSSecret, "s", KeyClientAuth, "optional"},
			"LB0108 data[tls-client-auth]: the key needs tls-client-ca, which is not there; add it"},
		{"nothing to redirect", []string{KeyProtocol, "HTTPS", KeyTLSSecret, "s", KeyRedirect, "true"},
			"LB0108 data[redirect-to-https]: there is no port of plain HTTP to redirect from; add one, or remove the key"},
		{"backend without CA", []string{KeyPath, "/", KeyBackend, "GRPCS"}, "LB0102 data[backend-tls-ca]: backend-protocol needs " +
			"it to know the Service by; give secret/NAME or configmap/NAME with ca.crt, or none to take anybody for the Service"},
		{"CA without backend", []string{KeyBackendCA, "secret/ca", KeyBackendName, "a"},
			"LB0108 data[backend-tls-ca]: the key needs backend-protocol HTTPS or GRPCS; set it\n" +
				"LB0108 data[backend-tls-server-name]: the key needs backend-protocol HTTPS or GRPCS; set it"},
		{"name that nobody looks at", []string{KeyPath, "/", KeyBackend, "HTTPS", KeyBackendCA, "none", KeyBackendName, "a"},
			"LB0108 data[backend-tls-server-name]: nobody looks at the name where backend-tls-ca is none; remove one of the two"},
		{"name of many", []string{KeyPath, "/", KeyBackend, "HTTPS", KeyBackendCA, "secret/ca", KeyBackendName, "*.a"},
			`LB0104 data[backend-tls-server-name]: "*.a" is not the name of one server`},
		{"backend of TCP", []string{KeyProtocol, "TCP", KeyBackend, "HTTPS", KeyBackendCA, "none"},
			"LB0108 data[backend-protocol]: the key needs a port of protocol HTTP; remove it, or set protocol or ports"},
		{"two of one port", []string{KeyPorts, "80/HTTP, 80/HTTPS", KeyTLSSecret, "s"},
			"LB0108 data[ports]: port 80 is there twice; give each port once for each transport"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := Parse(object(tc.keys...), cluster())
			if got := texts(w.Findings); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func many() string {
	var names []string
	for i := range maxSecrets + 1 {
		names = append(names, fmt.Sprintf("s%d", i))
	}
	return strings.Join(names, ",")
}

// What two listeners are resolved to is not one and the same memory.
func TestListenersOwnTheirTLS(t *testing.T) {
	w := Parse(object(KeySSL, "true", KeyTLSSecret, "s", KeyClientCA, "secret/ca", KeyBackend, "HTTPS", KeyBackendCA, "secret/b",
		KeyPorts, "80/HTTP, 82:80/HTTP, 81:80/HTTPS"), cluster())
	bundles := w.LoadBalancer.CABundles()
	if len(bundles) != 6 || len(w.LoadBalancer.Certificates()) != 2 {
		t.Fatalf("%d bundles; %s", len(bundles), texts(w.Findings))
	}
	for i, b := range bundles {
		for _, o := range bundles[:i] {
			if b == o {
				t.Errorf("two listeners share %+v", *b)
			}
		}
	}
}
