package nginx_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// keep puts a certificate into both its files, as the daemon does for a new one.
func keep(t *testing.T, dir, name string, p certtest.Pair) lb.Certificate {
	t.Helper()
	pair, err := certs.ParseKeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	c := lb.Certificate{Secret: name, Material: lb.Material{Name: name, Digest: pair.Digest}, Names: pair.Names}
	for slot := range nginx.Slots {
		place(t, dir, nginx.CertificateFile(c.Material, slot), pair.PEM)
	}
	return c
}

// place replaces a file in one step. The workers must be able to read it.
func place(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", data, 0o644); err != nil { //nolint:gosec // the keys are worth nothing
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// keepBundle puts a bundle into its file.
func keepBundle(t *testing.T, dir, name string, p certtest.Pair) lb.CABundle {
	t.Helper()
	b, err := certs.ParseBundle(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	ca := lb.CABundle{Kind: lb.KindSecret, Name: name, Material: lb.Material{Name: name, Digest: b.Digest}}
	place(t, dir, nginx.BundleFile(ca.Material), b.PEM)
	return ca
}

// materialDir returns a directory for certificates that nginx's workers can get at.
func materialDir(t *testing.T) string {
	t.Helper()
	dir := shortTempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the keys are worth nothing
		t.Fatal(err)
	}
	return dir
}

// reply is what a client of HTTPS got to see.
type reply struct {
	status       int
	body, serial string
	proto        string
	err          error
}

// caller asks over TLS. Every question is a connection of its own, with the session of the last where there is one.
type caller struct {
	port uint16
	tls  tls.Config
}

// ask asks for a URL's host, by SNI too unless sni says otherwise.
func (c *caller) ask(t *testing.T, sni, host string) reply {
	t.Helper()
	config := c.tls.Clone()
	config.InsecureSkipVerify, config.ServerName = true, sni
	client := nethttp.Client{Timeout: deadline, Transport: &nethttp.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}
	request, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", c.port),
		nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, string(body), response.TLS.PeerCertificates[0].SerialNumber.String(), response.Proto, err}
}

// TestHTTPS asks hosts for their certificates and their answers.
func TestHTTPS(t *testing.T) {
	dir := materialDir(t)
	one, two := certtest.New(t, "a.example.com", "*.example.com"), certtest.New(t, "c.d")
	strict, open := freePort(t), freePort(t)
	certOne, certTwo := keep(t, dir, "one", one), keep(t, dir, "two", two)
	serveTLS(t, dir, balancer("web", []string{"127.0.0.1"},
		terminated(http(strict, route("a.example.com", "", backend(t, "a")), route("*.example.com", "", backend(t, "wild")),
			route("c.d", "", backend(t, "c"))), certOne, certTwo),
		terminated(http(open, route("", "", backend(t, "any")), route("c.d", "", backend(t, "c"))), certOne, certTwo)))
	for _, tt := range []struct {
		port      uint16
		sni, host string
		body      string
		pair      certtest.Pair
	}{
		{strict, "a.example.com", "A.example.com:443", "a GET", one},
		{strict, "x.example.com", "x.example.com", "wild GET", one},
		{strict, "c.d", "c.d", "c GET", two},
		{strict, "c.d", "a.example.com", "a GET", two},
		{strict, "c.d", "else", "404 Not Found", two},
		{strict, "x.example.com", "xexample.com", "404 Not Found", one},
		{open, "c.d", "c.d", "c GET", two},
		{open, "e.f", "e.f", "any GET", one},
		{open, "", "127.0.0.1", "any GET", one},
	} {
		c := caller{port: tt.port}
		got := c.ask(t, tt.sni, tt.host)
		if got.err != nil || !strings.HasPrefix(got.body, tt.body) || got.serial != tt.pair.Serial() || got.proto != "HTTP/2.0" {
			t.Errorf("%d %s %s: %+v", tt.port, tt.sni, tt.host, got)
		}
	}
	for _, sni := range []string{"", "else", "example.com", "default"} {
		c := caller{port: strict}
		if got := c.ask(t, sni, sni); got.err == nil || !strings.Contains(got.err.Error(), "unrecognized name") {
			t.Errorf("SNI %q: %+v", sni, got)
		}
	}
	headers := (&caller{port: open}).ask(t, "", "e.f").body
	for _, want := range []string{"X-Forwarded-Proto: https\r\n", fmt.Sprintf("X-Forwarded-Port: %d\r\n", open)} {
		if !strings.Contains(headers, want) {
			t.Errorf("no %q in %s", want, headers)
		}
	}
	old := caller{port: open, tls: tls.Config{MaxVersion: tls.VersionTLS11}} //nolint:gosec // it is to be refused
	if got := old.ask(t, "", "e.f"); got.err == nil {
		t.Errorf("TLS 1.1: %+v", got)
	}
	weak := caller{port: open, tls: tls.Config{MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}}
	if got := weak.ask(t, "", "e.f"); got.err == nil {
		t.Errorf("weak ciphers: %+v", got)
	}
}

// TestClientCertificates asks clients who they are, and tells the services.
func TestClientCertificates(t *testing.T) {
	dir := materialDir(t)
	ca := certtest.Authority(t, "ours")
	alice := certtest.Make(t, certtest.Options{CommonName: "alice", Signer: &ca}).TLS()
	mallory := certtest.New(t, "mallory").TLS()
	required, optional, open, stream := freePort(t), freePort(t), freePort(t), freePort(t)
	certificate, bundle := keep(t, dir, "one", certtest.New(t, "a.b")), keepBundle(t, dir, "ours", ca)
	up := backend(t, "any")
	ask := func(s lb.Listener, optional bool) lb.Listener {
		s = terminated(s, certificate)
		s.TLS.Clients = &lb.ClientAuth{CA: bundle, Optional: optional}
		return s
	}
	serveTLS(t, dir, balancer("web", []string{"127.0.0.1"}, ask(http(required, route("", "", up)), false),
		ask(http(optional, route("", "", up)), true), terminated(http(open, route("", "", up)), certificate),
		ask(tcp(stream, up), false)))
	for name, tt := range map[string]struct {
		port   uint16
		as     *tls.Certificate
		status int
		header string
	}{
		"required":           {required, &alice, 200, "Ssl-Client-Subject-Dn: CN=alice\r\nSsl-Client-Verify: SUCCESS"},
		"required, a forger": {required, &mallory, 400, ""},
		"required, nobody":   {required, nil, 400, ""},
		"optional":           {optional, &alice, 200, "Ssl-Client-Verify: SUCCESS"},
		"optional, nobody":   {optional, nil, 200, "Ssl-Client-Verify: NONE"},
		"optional, a forger": {optional, &mallory, 400, ""},
		"nobody asks":        {open, &alice, 200, ""},
		"TCP":                {stream, &alice, 200, ""},
		"TCP, nobody":        {stream, nil, 0, ""},
		"TCP, a forger":      {stream, &mallory, 0, ""},
	} {
		c := caller{port: tt.port, tls: tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(9)}}
		if tt.as != nil {
			c.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.as, nil }
		}
		for range 2 { // the second might resume a session
			got := c.ask(t, "a.b", "a.b")
			says := strings.Contains(got.body, "Ssl-Client-Verify") == (tt.header != "")
			if got.status != tt.status || !strings.Contains(got.body, tt.header) || tt.status == 200 && !says {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	// What a client says of itself is not believed.
	spoof, err := nethttp.NewRequest(nethttp.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", open), nil)
	if err != nil {
		t.Fatal(err)
	}
	spoof.Header.Set("SSL-Client-Verify", "SUCCESS")
	client := nethttp.Client{Transport: &nethttp.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	response, err := client.Do(spoof)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); strings.Contains(string(body), "Client-Verify") {
		t.Errorf("the service is told %s", body)
	}
}

// TestTLSToBackends verifies services, or does not.
func TestTLSToBackends(t *testing.T) {
	dir := materialDir(t)
	ca, other := certtest.Authority(t, "ours"), certtest.Authority(t, "other")
	service := certtest.Make(t, certtest.Options{Names: []string{"svc.default.svc", "inside"}, Signer: &ca})
	server := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		fmt.Fprintf(w, "SNI %s", r.TLS.ServerName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{service.TLS()}} //nolint:gosec // a test's
	server.StartTLS()
	t.Cleanup(server.Close)
	ours, theirs := keepBundle(t, dir, "ours", ca), keepBundle(t, dir, "other", other)
	var listeners []lb.Listener
	wants := map[uint16]string{}
	for want, b := range map[string]lb.BackendTLS{
		"200 SNI svc.default.svc": {CA: ours}, "200 SNI inside": {CA: ours, ServerName: "inside"},
		"503 " + unanswered: {CA: theirs}, "503 503 Service Un": {CA: ours, ServerName: "outside"}, "200 SNI ": {ServerName: "nobody"},
	} {
		port := freePort(t)
		wants[port] = want
		listeners = append(listeners, with(http(port, route("", "", server.Listener.Addr().String())), lb.Options{BackendTLS: &b}))
	}
	serveTLS(t, dir, balancer("web", []string{"127.0.0.1"}, listeners...))
	for port, want := range wants {
		response, err := nethttp.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got := fmt.Sprintf("%d %s", response.StatusCode, body); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTickets resumes a session at another nginx that has the same keys, and at none that has others.
func TestTickets(t *testing.T) {
	dir := materialDir(t)
	certificate := keep(t, dir, "one", certtest.New(t, "a.b"))
	for i := range 3 {
		place(t, dir, fmt.Sprintf("k%d.key", i), []byte(strings.Repeat(string(rune('a'+i)), 80)))
	}
	up := backend(t, "any")
	node := func(keys ...string) uint16 {
		port := freePort(t)
		in := input(balancer("web", []string{"127.0.0.1"}, terminated(http(port, route("", "", up)), certificate)))
		in.TicketKeys = keys
		serveInput(t, dir, in)
		return port
	}
	first, next, stranger, none := node("k0.key", "k1.key"), node("k1.key", "k0.key"), node("k2.key"), node()
	for name, tt := range map[string]struct {
		at   uint16
		want bool
	}{"itself": {first, true}, "a rotated one": {next, true}, "other keys": {stranger, false}, "no keys": {none, false}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := &tls.Config{InsecureSkipVerify: true, ServerName: "a.b", MaxVersion: version, //nolint:gosec // a test's
				ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			resumed(t, first, config)
			if resumed(t, tt.at, config) != tt.want {
				t.Errorf("%s: resumed by %s is not %v", name, tls.VersionName(version), tt.want)
			}
		}
	}
}

// resumed makes a request and reports whether its session was an old one.
func resumed(t *testing.T, port uint16, config *tls.Config) bool {
	t.Helper()
	conn := tls.Client(dial(t, port), config)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n")
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	return conn.ConnectionState().DidResume
}

// TestTLSToTCP passes a stream on without its TLS, by the certificate that fits.
func TestTLSToTCP(t *testing.T) {
	dir := materialDir(t)
	one, two := certtest.New(t, "a.example.com"), certtest.New(t, "*.d")
	port := freePort(t)
	serveTLS(t, dir, balancer("db", []string{"127.0.0.1"},
		terminated(tcp(port, backend(t, "up")), keep(t, dir, "one", one), keep(t, dir, "two", two))))
	for sni, want := range map[string]certtest.Pair{"a.example.com": one, "c.d": two, "else": one, "": one} {
		if got := (&caller{port: port}).ask(t, sni, "x"); got.serial != want.Serial() || !strings.HasPrefix(got.body, "up GET") ||
			got.proto != "HTTP/1.1" {
			t.Errorf("%s: %+v", sni, got)
		}
	}
}

// TestSlots proves that nginx reads the file of this second and no other.
func TestSlots(t *testing.T) {
	dir := materialDir(t)
	even, odd := certtest.New(t, "a.b"), certtest.New(t, "a.b")
	c := keep(t, dir, "one", even)
	pair, err := certs.ParseKeyPair(odd.Cert, odd.Key)
	if err != nil {
		t.Fatal(err)
	}
	place(t, dir, nginx.CertificateFile(c.Material, 1), pair.PEM)
	port, raw := freePort(t), freePort(t)
	serveTLS(t, dir, balancer("web", []string{"127.0.0.1"}, terminated(http(port, route("", "", backend(t, "a"))), c),
		terminated(tcp(raw, backend(t, "b")), c)))
	serials := []string{even.Serial(), odd.Serial()}
	seen := map[int]bool{}
	for end := time.Now().Add(deadline); len(seen) < 2 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, p := range []uint16{port, raw} {
			before := nginx.Slot(time.Now())
			got := (&caller{port: p}).ask(t, "a.b", "a.b")
			if after := nginx.Slot(time.Now()); before == after {
				seen[before] = true
				if got.serial != serials[before] {
					t.Errorf("slot %d shows %d", before, slices.Index(serials, got.serial))
				}
			}
		}
	}
	if len(seen) < 2 {
		t.Error("only one slot was seen")
	}
}

// trusted checks a chain as clients do.
func trusted(t *testing.T, port uint16, name string, roots *x509.CertPool) error {
	t.Helper()
	conn := tls.Client(dial(t, port), &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12})
	defer conn.Close()
	return conn.HandshakeContext(t.Context())
}

// TestChain shows the intermediate certificates too.
func TestChain(t *testing.T) {
	dir := materialDir(t)
	root := certtest.Authority(t, "root")
	middle := certtest.Make(t, certtest.Options{CommonName: "middle", CA: true, Signer: &root})
	leaf := certtest.Make(t, certtest.Options{Names: []string{"a.b"}, Signer: &middle})
	leaf.Cert = slices.Concat(leaf.Cert, middle.Cert)
	port := freePort(t)
	serveTLS(t, dir, balancer("web", []string{"127.0.0.1"},
		terminated(http(port, route("", "", backend(t, "a"))), keep(t, dir, "one", leaf))))
	if err := trusted(t, port, "a.b", root.Pool()); err != nil {
		t.Error(err)
	}
	if err := trusted(t, port, "b.a", root.Pool()); err == nil {
		t.Error("another name is believed")
	}
}
