package configmap

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxSecrets is how many certificates an object may have.
const maxSecrets = 64

// securities are the keys about TLS.
type securities struct {
	// secrets are the names of Secrets, in the order in which they are given.
	secrets    []string
	clientCA   lb.CABundle
	clientAuth string
	backend    lb.BackendTLS
	// unverified says that nobody asks who the Service is.
	unverified bool
}

func (r *reading) readTLSSecret(v string) {
	for text := range strings.SplitSeq(v, ",") {
		name := strings.TrimSpace(text)
		switch {
		case strings.Contains(name, "/"):
			r.badf(KeyTLSSecret, "%s: only Secrets of the object's own namespace are used; copy it there", quote(name))
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			r.badf(KeyTLSSecret, "%s is not a Secret's name", quote(name))
		case slices.Contains(r.tls.secrets, name):
			r.badf(KeyTLSSecret, "Secret %s is there twice", quote(name))
		default:
			r.tls.secrets = append(r.tls.secrets, name)
			continue
		}
		r.tls.secrets = nil
		return
	}
	if len(r.tls.secrets) > maxSecrets {
		r.badf(KeyTLSSecret, "%d Secrets; give at most %d", len(r.tls.secrets), maxSecrets)
	}
}

func (r *reading) readClientCA(v string) { r.tls.clientCA = r.bundle(KeyClientCA, v) }

func (r *reading) readClientAuth(v string) {
	if r.tls.clientAuth = strings.ToLower(v); r.tls.clientAuth != "required" && r.tls.clientAuth != "optional" {
		r.badf(KeyClientAuth, "%s is neither required nor optional", quote(v))
	}
}

func (r *reading) readBackendCA(v string) {
	if r.tls.unverified = v == none; !r.tls.unverified {
		r.tls.backend.CA = r.bundle(KeyBackendCA, v)
	}
}

func (r *reading) readBackendName(v string) {
	host := r.hostName(KeyBackendName, v)
	if strings.HasPrefix(host, "*") {
		r.badf(KeyBackendName, "%s is not the name of one server", quote(v))
		return
	}
	r.tls.backend.ServerName = host
}

// bundle reads "secret/NAME" or "configmap/NAME"; it returns none when it is neither.
func (r *reading) bundle(key, v string) lb.CABundle {
	kind, name, _ := strings.Cut(v, "/")
	kinds := map[string]string{"secret": lb.KindSecret, "configmap": lb.KindConfigMap}
	b := lb.CABundle{Kind: kinds[strings.ToLower(kind)], Name: name}
	if b.Kind == "" || len(validation.IsDNS1123Subdomain(name)) > 0 {
		r.badf(key, "%s is not a place of certificates; give secret/NAME or configmap/NAME, of the object's own namespace",
			quote(v))
		return lb.CABundle{}
	}
	return b
}

// terminated returns what a port needs that terminates TLS.
func (r *reading) terminated() *lb.TLS {
	t := &lb.TLS{}
	for _, name := range r.tls.secrets {
		t.Certificates = append(t.Certificates, lb.Certificate{Secret: name})
	}
	if r.tls.clientCA.Name != "" {
		t.Clients = &lb.ClientAuth{CA: r.tls.clientCA, Optional: r.tls.clientAuth == "optional"}
	}
	return t
}

// insecure finds keys about TLS that contradict each other.
func (r *reading) insecure() {
	ca, backend := r.tls.backend.CA.Name != "" || r.tls.unverified, r.options.BackendTLS
	for _, c := range []struct {
		key, why string
		wrong    bool
	}{
		{KeyClientAuth, "the key needs " + KeyClientCA + ", which is not there; add it",
			r.tls.clientAuth != "" && r.tls.clientCA.Name == "" && !r.faulty(KeyClientCA)},
		{KeyBackendCA, "the key needs " + KeyBackend + " HTTPS or GRPCS; set it", ca && backend == nil},
		{KeyBackendName, "the key needs " + KeyBackend + " HTTPS or GRPCS; set it",
			r.tls.backend.ServerName != "" && backend == nil},
		{KeyBackendName, "nobody looks at the name where " + KeyBackendCA + " is none; remove one of the two",
			r.tls.backend.ServerName != "" && r.tls.unverified},
	} {
		if c.wrong && !r.faulty(KeyBackend) {
			r.addf(lb.CodeConflictingKeys, c.key, "%s", c.why)
		}
	}
	if backend != nil && !ca && !r.faulty(KeyBackendCA) {
		r.addf(lb.CodeMissingKey, KeyBackendCA, "%s needs it to know the Service by; give secret/NAME or configmap/NAME "+
			"with ca.crt, or none to take anybody for the Service", KeyBackend)
	}
	if backend != nil {
		*backend = r.tls.backend
	}
}

// certified finds ports without a certificate, and keys about TLS without a port.
func (r *reading) certified(listeners []lb.Listener) {
	terminates := slices.ContainsFunc(listeners, func(l lb.Listener) bool { return l.TLS != nil })
	if terminates && len(r.tls.secrets) == 0 && !r.faulty(KeyTLSSecret) {
		r.addf(lb.CodeMissingKey, KeyTLSSecret, "the key is missing; give the name of a Secret of type kubernetes.io/tls "+
			"with the certificate to show")
	}
	for _, k := range []struct {
		name  string
		given bool
	}{{KeyTLSSecret, len(r.tls.secrets) > 0}, {KeyClientCA, r.tls.clientCA.Name != ""}} {
		if k.given && !terminates {
			r.addf(lb.CodeConflictingKeys, k.name, "the key needs a port of protocol HTTPS or TLS; remove it, or set %s, "+
				"%s or %s", KeyProtocol, KeyPorts, KeySSL)
		}
	}
	open := slices.ContainsFunc(listeners, func(l lb.Listener) bool { return l.Protocol == lb.HTTP && l.TLS == nil })
	if r.redirect && terminates && !open {
		r.addf(lb.CodeConflictingKeys, KeyRedirect, "there is no port of plain HTTP to redirect from; add one, or remove "+
			"the key")
	}
}

// secured adds the listener of HTTPS that SSL asks for, unless there is one of its own.
func (r *reading) secured(listeners []lb.Listener) []lb.Listener {
	i := slices.IndexFunc(listeners, func(l lb.Listener) bool { return l.Protocol == lb.HTTP && l.TLS == nil })
	if !r.ssl || i < 0 {
		return listeners
	}
	return append(listeners, r.terminating(listeners[i], r.sslPort))
}

// terminating returns a listener that terminates TLS at a port.
func (r *reading) terminating(l lb.Listener, port uint16) lb.Listener {
	l.Port, l.TLS, l.Options.HTTP.RedirectTo = port, r.terminated(), 0
	if b := l.Options.BackendTLS; b != nil {
		own := *b
		l.Options.BackendTLS = &own
	}
	return l
}
