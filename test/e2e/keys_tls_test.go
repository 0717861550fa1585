package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
)

// indentedPEM is a text as it stands in a manifest below a key of four spaces.
func indentedPEM(text []byte) string {
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ")
}

// authorityOf is a Secret with an authority.
func authorityOf(name string, text []byte) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: default}\nstringData:\n  ca.crt: |\n    " +
		indentedPEM(text) + "\n"
}

// TestGRPCS: a gRPC service that speaks TLS is verified by its authority and name, or by none of them.
func TestGRPCS(t *testing.T) {
	ca := certtest.Authority(t, "inside")
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(new(
		certtest.Make(t, certtest.Options{Names: []string{"rpc.inside"}, Signer: &ca}).TLS()))))
	healthpb.RegisterHealthServer(server, health.NewServer())
	l := outsider(t)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	apply(t, outsiderService(t, "rpc-inside", l.Addr())+"---\n"+authorityOf("rpc-ca", ca.Cert)+"---\n"+
		authorityOf("rpc-other", certtest.Authority(t, "other").Cert))
	for name, c := range map[string]struct {
		keys []string
		good bool
	}{
		"grpcs-verified":  {[]string{"backend-tls-ca: secret/rpc-ca", "backend-tls-server-name: rpc.inside"}, true},
		"grpcs-other-ca":  {[]string{"backend-tls-ca: secret/rpc-other", "backend-tls-server-name: rpc.inside"}, false},
		"grpcs-other":     {[]string{"backend-tls-ca: secret/rpc-ca"}, false},
		"grpcs-believing": {[]string{"backend-tls-ca: none"}, true},
	} {
		ip := serve(t, name, append(c.keys, "target-service-name: rpc-inside", "protocol: HTTP", "backend-protocol: GRPCS")...)
		if err := healthy(t, ip+":80"); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// healthy asks a gRPC service in clear text how it is.
func healthy(t *testing.T, address string) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialClient(ctx, "tcp", address)
		}))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// TestClientCertificatesOfTCP: who has no certificate of the authority gets nothing of a stream, whether he may come
// without one or not.
func TestClientCertificatesOfTCP(t *testing.T) {
	echo(t)
	ca, other := certtest.Authority(t, "staff"), certtest.Authority(t, "other")
	apply(t, secretOf("stream-cert", certtest.New(t, everyHost))+"---\n"+authorityOf("stream-ca", ca.Cert))
	known := certtest.Make(t, certtest.Options{CommonName: "alice", Signer: &ca}).TLS()
	unknown := certtest.Make(t, certtest.Options{CommonName: "mallory", Signer: &other}).TLS()
	for auth, nobody := range map[string]bool{"required": false, "optional": true} {
		ip := serve(t, "stream-"+auth, "target-service-name: echo", "ports: 6432:tcp/TLS", "tls-secret-name: stream-cert",
			"tls-client-ca: secret/stream-ca", "tls-client-auth: "+auth)
		for _, c := range []struct {
			who  string
			with []tls.Certificate
			want bool
		}{{"nobody", nil, nobody}, {"alice", []tls.Certificate{known}, true}, {"mallory", []tls.Certificate{unknown}, false}} {
			if got := greeted(t, ip+":6432", c.with...); strings.HasPrefix(got, "hello from ") != c.want {
				t.Errorf("%s, %s: %q", auth, c.who, got)
			}
		}
	}
}

// greeted returns what a stream under TLS says first.
func greeted(t *testing.T, address string, with ...tls.Certificate) string {
	t.Helper()
	raw, err := dialClient(t.Context(), "tcp", address)
	must(t, err)
	//nolint:gosec // who answers is not the question here
	c := tls.Client(raw, &tls.Config{ServerName: everyHost, InsecureSkipVerify: true, GetClientCertificate: func(
		*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(with) == 0 {
			return new(tls.Certificate), nil
		}
		return &with[0], nil // though the server has not named who signed it
	}})
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(answerTime)))
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

// TestTLSTerms: TLS before 1.2 and ciphers that are no AEADs get no handshake; websockets pass under TLS.
func TestTLSTerms(t *testing.T) {
	echo(t)
	apply(t, secretOf("terms-cert", certtest.New(t, everyHost)))
	ip := serve(t, "terms", "target-service-name: echo", "target-port: http", "protocol: HTTPS", "tls-secret-name: terms-cert")
	for _, c := range []struct {
		name    string
		version uint16
		cipher  uint16
		want    bool
	}{
		{"1.3", tls.VersionTLS13, 0, true},
		{"1.2, AEAD", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"1.2, CBC", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"1.1", tls.VersionTLS11, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
	} {
		//nolint:gosec // that is what should not be spoken
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: c.version, MaxVersion: c.version}
		if c.cipher != 0 {
			config.CipherSuites = []uint16{c.cipher}
		}
		if _, err := visit(t.Context(), ip+":443/", everyHost, config); (err == nil) != c.want {
			t.Errorf("TLS %s: %v", c.name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	//nolint:gosec // who answers is not the question here
	config := &tls.Config{ServerName: everyHost, InsecureSkipVerify: true}
	c, res, err := websocket.Dial(ctx, "wss://"+ip+"/ws", &websocket.DialOptions{
		Host: everyHost, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dialClient, TLSClientConfig: config}},
	})
	must(t, err)
	if res.Body != nil {
		defer res.Body.Close()
	}
	defer func() { _ = c.CloseNow() }()
	if _, got, err := c.Read(ctx); err != nil || !strings.HasPrefix(string(got), "hello from ") {
		t.Errorf("websocket: %q, %v", got, err)
	}
}

// TestUDPSessions: a client's datagrams are of one session, until the answers to one have come or it has been idle.
func TestUDPSessions(t *testing.T) {
	var server net.PacketConn
	onClient(t, func(address string) (err error) {
		server, err = new(net.ListenConfig).ListenPacket(t.Context(), "udp", address+":0")
		return err
	})
	t.Cleanup(func() { server.Close() })
	go func() { // it answers who asks by his address, which is the session's
		buf := make([]byte, 100)
		for {
			_, peer, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo([]byte(peer.String()), peer)
		}
	}()
	apply(t, udpService(t, "sessions", server.LocalAddr()))
	for key, want := range map[string]bool{"idle-timeout: 1m": true, `udp-responses: "1"`: false, "idle-timeout: 1s": false} {
		name := "udp-" + strings.NewReplacer(": ", "-", `"`, "").Replace(key)
		ip := serve(t, name, "target-service-name: sessions", "protocol: UDP", key)
		first, second := sessions(t, ip+":80")
		if (first == second) != want || first == "" {
			t.Errorf("%s: datagrams came from %q and %q", key, first, second)
		}
	}
}

// sessions sends two datagrams from one socket, two seconds apart, and returns where the backend saw them come from.
func sessions(t *testing.T, address string) (first, second string) {
	t.Helper()
	c, err := dialClient(t.Context(), "udp", address)
	must(t, err)
	defer c.Close()
	for i, to := range []*string{&first, &second} {
		if i > 0 {
			time.Sleep(2 * time.Second)
		}
		for range 20 { // nobody says when all nodes have heard of the Service
			must(t, c.SetDeadline(time.Now().Add(500*time.Millisecond)))
			_, err := io.WriteString(c, "who")
			must(t, err)
			buf := make([]byte, 100)
			if n, err := c.Read(buf); err == nil {
				*to = string(buf[:n])
				break
			}
		}
	}
	return first, second
}
