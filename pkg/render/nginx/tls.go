package nginx

import (
	"regexp"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// DefaultTLSDir is where certificates are found unless [Input.TLSDir] says otherwise.
const DefaultTLSDir = "/var/lib/kubectl-lb/tls"

// Slots is how many files a certificate is in, for whoever replaces it.
//
// nginx reads the certificate and then its key from the disk at every handshake, in two steps: a file that is replaced
// in between would give it the one's certificate and the other's key. So each certificate is in two files, of which
// nginx reads the one in even seconds and the other in odd ones, and whoever replaces it replaces a file while it is
// not read. Both steps of a handshake see the same second, for nginx keeps the time while it is at one. Neither a
// reload nor a handshake is lost that way.
const Slots = 2

// Slot returns the file that is read at a time.
func Slot(t time.Time) int { return int(t.Unix() % Slots) }

// CertificateFile returns the name, in [Input.TLSDir], of a certificate with its key.
func CertificateFile(m lb.Material, slot int) string {
	return m.Name + "." + string(rune('0'+slot)) + ".pem"
}

// BundleFile returns the name, in [Input.TLSDir], of a bundle of authorities. It is another one for each version, for
// nginx reads bundles when it is configured only.
func BundleFile(m lb.Material) string { return m.Name + "-" + m.Digest + ".pem" }

// The bounds of TLS.
const (
	maxCertificates = 64
	maxCertNames    = 256
	maxTickets      = 8
)

// The protocols and ciphers are those of Mozilla's "intermediate" without DHE, all with authenticated encryption, so
// that the client may choose what suits its processor.
const (
	tlsProtocols = "TLSv1.2 TLSv1.3"
	tlsCiphers   = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" +
		"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)

// depth is how long a chain to a trusted authority may be.
const depth = "4"

// tlsDefaults adds what holds for every server of a kind that terminates TLS.
func tlsDefaults(t *render.Text, in Input, kind string) {
	mapSizes(t) // before the first map
	t.Block("map $msec $lb_slot", func() {
		t.Line(`"~[02468]\."`, "0;")
		t.Line("default 1;")
	})
	t.Line("ssl_protocols", tlsProtocols+";")
	t.Line("ssl_ciphers", tlsCiphers+";")
	t.Line("ssl_prefer_server_ciphers off;")
	t.Line("ssl_session_cache", "shared:lb_"+kind+":10m;")
	t.Line("ssl_session_timeout 1h;")
	// A session that only this node could resume would be lost at a failover, and a key that only ends with the
	// process would make forward secrecy a matter of uptime.
	if len(in.TicketKeys) == 0 {
		t.Line("ssl_session_tickets off;")
	}
	for _, file := range in.TicketKeys {
		t.Line("ssl_session_ticket_key", quote(in.TLSDir+"/"+file)+";")
	}
}

// certificates adds which certificate a listener shows. A path with a variable in it is read at every handshake.
func certificates(t *render.Text, k lb.Key, s lb.Listener, dir string) {
	name := s.TLS.Certificates[0].Material.Name
	if len(s.TLS.Certificates) > 1 {
		name = "${" + tlsVariable(k, s)[1:] + "}"
	}
	path := `"` + dir + "/" + name + `.${lb_slot}.pem";`
	t.Line("ssl_certificate", path)
	t.Line("ssl_certificate_key", path)
	clientCertificates(t, s, dir)
}

// clientCertificates adds what clients need.
func clientCertificates(t *render.Text, s lb.Listener, dir string) {
	c := s.TLS.Clients
	if c == nil {
		return
	}
	verify := "on"
	if c.Optional {
		verify = "optional"
	}
	t.Line("ssl_verify_client", verify+";")
	t.Line("ssl_verify_depth", depth+";")
	t.Line("ssl_client_certificate", quote(dir+"/"+BundleFile(c.CA.Material))+";")
	sessionless(t, s)
}

// sessionless keeps sessions from being resumed where clients are asked for certificates. Resumption skips the look at
// them, and older versions of nginx let a session be carried over to another host (CVE-2025-23419). The default server
// of a socket decides for all others of it.
func sessionless(t *render.Text, s lb.Listener) {
	if s.TLS.Clients != nil {
		t.Line("ssl_session_cache off;")
		t.Line("ssl_session_tickets off;")
	}
}

// tlsVariable names the variable that says which of several certificates is shown.
func tlsVariable(k lb.Key, s lb.Listener) string { return "$lb_tls_" + identifier(k, s) }

// certificateMap adds that variable, where it is needed. Of two certificates for a name the first is shown.
func certificateMap(t *render.Text, k lb.Key, s lb.Listener) {
	if s.TLS == nil || len(s.TLS.Certificates) < 2 {
		return
	}
	shown := map[string]string{}
	var names []string
	for _, c := range s.TLS.Certificates {
		for _, n := range c.Names {
			if _, twice := shown[n]; !twice {
				shown[n] = c.Material.Name
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	t.Block("map $ssl_server_name "+tlsVariable(k, s), func() {
		t.Line("hostnames;")
		t.Line("default", s.TLS.Certificates[0].Material.Name+";")
		for _, n := range names {
			t.Line(mapKey(n), shown[n]+";")
		}
	})
}

// httpsServer adds what a server of HTTPS needs. A default server that no route is for takes no handshake, or every
// host would show the certificate of one.
func httpsServer(t *render.Text, k lb.Key, s lb.Listener, of server, dir string) {
	if of.host == "" && len(of.locs) == 0 {
		t.Line("ssl_reject_handshake on;")
		sessionless(t, s)
		return
	}
	certificates(t, k, s, dir)
}

// backendTLS adds how Services are spoken to by TLS.
func backendTLS(t *render.Text, s lb.Listener, dir string) {
	b := s.Options.BackendTLS
	if b == nil {
		return
	}
	t.Line(module(s) + "_ssl_server_name on;")
	t.Line(module(s)+"_ssl_protocols", tlsProtocols+";")
	if b.CA.Name != "" {
		t.Line(module(s) + "_ssl_verify on;")
		t.Line(module(s)+"_ssl_verify_depth", depth+";")
		t.Line(module(s)+"_ssl_trusted_certificate", quote(dir+"/"+BundleFile(b.CA.Material))+";")
	}
}

// backendName returns the name that a target's certificate must be for.
func backendName(s lb.Listener, to lb.Target) string {
	switch b := s.Options.BackendTLS; {
	case b == nil:
		return ""
	case b.ServerName != "":
		return b.ServerName
	default:
		return to.Service.Name + "." + to.Service.Namespace + ".svc"
	}
}

var (
	materialName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$`)
	materialDigest = regexp.MustCompile(`^[0-9a-f]{1,64}$`)
)

// isMaterial reports whether there are files of that name.
func isMaterial(m lb.Material) bool {
	return materialName.MatchString(m.Name) && materialDigest.MatchString(m.Digest)
}

// checkTLS returns the first thing about TLS that nginx would not take.
func checkTLS(s lb.Listener) (lb.Finding, bool) {
	if f, bad := checkBackendTLS(s); bad || s.TLS == nil {
		return f, bad
	}
	place := field(s) + ".tls"
	certificates := s.TLS.Certificates
	switch {
	case s.Protocol != lb.HTTP && s.Protocol != lb.TCP:
		return finding(lb.CodeBackendCannot, place, "nginx can't terminate TLS for %q", string(s.Protocol)), true
	case len(certificates) == 0 || len(certificates) > maxCertificates:
		return finding(lb.CodeBadValue, place, "%d certificates are not 1 to %d", len(certificates), maxCertificates), true
	case s.TLS.Clients != nil && !isMaterial(s.TLS.Clients.CA.Material):
		return finding(lb.CodeSecretNotFound, place, "%s %q is not known", s.TLS.Clients.CA.Kind, s.TLS.Clients.CA.Name), true
	}
	for _, c := range certificates {
		if !isMaterial(c.Material) {
			return finding(lb.CodeSecretNotFound, place, "the certificate of Secret %q is not known", c.Secret), true
		}
		isNone := func(n string) bool { return n == "" || !isRouteHost(n) }
		if len(c.Names) > maxCertNames || slices.ContainsFunc(c.Names, isNone) {
			return finding(lb.CodeCertMalformed, place, "the certificate of Secret %q has names that are none", c.Secret), true
		}
	}
	return lb.Finding{}, false
}

func checkBackendTLS(s lb.Listener) (lb.Finding, bool) {
	b, place := s.Options.BackendTLS, field(s)+".backendTLS"
	switch {
	case b == nil:
		return lb.Finding{}, false
	case s.Protocol != lb.HTTP:
		return finding(lb.CodeBackendCannot, place, "nginx speaks TLS to services of HTTP only"), true
	case b.CA.Name != "" && !isMaterial(b.CA.Material):
		return finding(lb.CodeSecretNotFound, place, "%s %q is not known", b.CA.Kind, b.CA.Name), true
	}
	for _, r := range s.Routes {
		if name := backendName(s, r.Target); !isHost(name) {
			return finding(lb.CodeBadValue, place, "%q is not a name of a server", name), true
		}
	}
	return lb.Finding{}, false
}
