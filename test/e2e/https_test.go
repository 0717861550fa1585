package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// TestHTTPSShared: objects of one address have certificates of their own: gRPC for one host and a web site for the other at
// one port, and at another the API server's own TLS, untouched. At one port TLS is either ended or passed through.
func TestHTTPSShared(t *testing.T) {
	echo(t)
	rpc, web := certtest.New(t, "rpc.example.com"), certtest.New(t, "web.example.com")
	apply(t, secretOf("rpc-cert", rpc)+"---\n"+secretOf("web-cert", web))
	ip := serve(t, "edge-rpc", "target-service-name: echo", "ports: 443:http/HTTPS", "host: rpc.example.com",
		"backend-protocol: GRPC", "tls-secret-name: rpc-cert", "share-key: tls-edge")
	other := serve(t, "edge-web", "target-service-name: echo", "ports: 443:http/HTTPS", "host: web.example.com",
		"tls-secret-name: web-cert", "share-key: tls-edge")
	passed := serve(t, "edge-api", "target-service-name: kubernetes", "ports: 6443:https/TLS-PASSTHROUGH",
		"host: kubernetes.default.svc", "share-key: tls-edge")
	if other != ip || passed != ip {
		t.Fatalf("they have %s, %s and %s", ip, other, passed)
	}
	trust := believing(rpc, web)
	if got, err := callTLS(t, ip+":443", "rpc.example.com", trust); err != nil || !strings.HasSuffix(got, ": tea") {
		t.Errorf("gRPC: %q, %v", got, err)
	}
	got, err := visit(t.Context(), ip+":443/headers", "web.example.com", trust)
	if err != nil || got.code != 200 || got.serial != web.Serial() || got.proto != "HTTP/2.0" {
		t.Errorf("web: %+v, %v", got, err)
	}
	if got, err := visit(t.Context(), ip+":443/", "example.org", trust); err == nil || !strings.Contains(err.Error(), "unrecognized") {
		t.Errorf("a stranger: %+v, %v", got, err)
	}
	if got, err := visit(t.Context(), ip+":6443/version", "kubernetes.default.svc", clusterTrust(t)); err != nil ||
		got.code != 200 && got.code != http.StatusUnauthorized && got.code != http.StatusForbidden {
		t.Errorf("the API server: %+v, %v", got, err)
	}
	apply(t, loadBalancer("edge-clash", "target-service-name: kubernetes", "ports: 443:https/TLS-PASSTHROUGH",
		"host: kubernetes.default.svc", "share-key: tls-edge"))
	if _, err := shared.WaitStatus(t.Context(), "default", "edge-clash", "ERROR : LB0303", 30*time.Second); err != nil {
		t.Error(err)
	}
}

// callTLS calls the echo of gRPC over TLS.
func callTLS(t *testing.T, address, host string, config *tls.Config) (string, error) {
	t.Helper()
	config = config.Clone()
	config.ServerName = host
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithAuthority(host), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialClient(ctx, "tcp", address)
		}))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	out := new(wrapperspb.StringValue)
	err = conn.Invoke(ctx, "/hello.Echo/Echo", wrapperspb.String("tea"), out)
	return out.GetValue(), err
}

// TestTickets: a session that one node began is resumed by another, after the first has handed its addresses over.
func TestTickets(t *testing.T) {
	server := certtest.New(t, "tea.example.com")
	apply(t, secretOf("ticket-cert", server))
	ip := serve(t, "tickets", "target-service-name: tea", "target-port: http", "protocol: HTTPS", "tls-secret-name: ticket-cert")
	home := holder(t, ip)
	t.Cleanup(func() {
		must(t, shared.Order(context.WithoutCancel(t.Context()), home, nil))
		mended(t)
	})
	caches := map[uint16]tls.ClientSessionCache{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		caches[version] = tls.NewLRUClientSessionCache(1)
		if resumes(t, ip, server, version, caches[version]) {
			t.Errorf("%s: the first session is resumed", tls.VersionName(version))
		}
		if !resumes(t, ip, server, version, caches[version]) {
			t.Errorf("%s: not resumed by the node that began it", tls.VersionName(version))
		}
	}
	kubectlLB(t, 0, "", "drain", home, "--reason", "e2e")
	holds(t, home, ip, false, 30*time.Second)
	if now := holder(t, ip); now == home {
		t.Fatalf("%s is at %s still", ip, now)
	}
	for version, cache := range caches {
		if !resumes(t, ip, server, version, cache) {
			t.Errorf("%s: not resumed by another node", tls.VersionName(version))
		}
	}
}

// resumes makes a request over TLS of a version and reports whether its session was one of the cache.
func resumes(t *testing.T, ip string, server certtest.Pair, version uint16, cache tls.ClientSessionCache) bool {
	t.Helper()
	config := believing(server)
	config.ServerName, config.ClientSessionCache = "tea.example.com", cache
	config.MinVersion, config.MaxVersion = version, version
	raw, err := dialClient(t.Context(), "tcp", ip+":443")
	must(t, err)
	c := tls.Client(raw, config)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(answerTime)))
	_, err = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: tea.example.com\r\nConnection: close\r\n\r\n")
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil) // TLS 1.3 hands its tickets out with the answer
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %s", res.Status)
	}
	return c.ConnectionState().DidResume
}

// TestSSL: the keys of 2016, at a port of their own; who shows no certificate can't say that he did; and the log has it.
func TestSSL(t *testing.T) {
	echo(t)
	ca, server := certtest.Authority(t, "staff"), certtest.New(t, "tea.example.com")
	apply(t, secretOf("ssl-cert", server)+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: ssl-ca, namespace: default}\n"+
		"stringData:\n  ca.crt: |\n    "+strings.ReplaceAll(strings.TrimSpace(string(ca.Cert)), "\n", "\n    ")+"\n")
	ip := serve(t, "ssl", "target-service-name: echo", "target-port: http", "host: tea.example.com", `SSL: "true"`,
		`bind-port: "80"`, `ssl-port: "8443"`, "tls-secret-name: ssl-cert", `redirect-to-https: "true"`,
		"tls-client-ca: secret/ssl-ca", "tls-client-auth: optional", `access-log: "true"`)
	if code, header, _ := fetch(t, ip+"/a?b=c", "tea.example.com"); code != http.StatusPermanentRedirect ||
		header.Get("Location") != "https://tea.example.com:8443/a?b=c" {
		t.Errorf("HTTP: %d to %q", code, header.Get("Location"))
	}
	config := believing(server)
	id := fmt.Sprintf("e2e-%d", time.Now().UnixNano())
	for as, want := range map[string]string{"": "Ssl-Client-Verify: NONE", "alice": "Ssl-Client-Subject-Dn: CN=alice"} {
		config.Certificates = nil
		if as != "" {
			config.Certificates = []tls.Certificate{certtest.Make(t, certtest.Options{CommonName: as, Signer: &ca}).TLS()}
		}
		body := spoof(t, ip+":8443", config, id)
		if !strings.Contains(body, want) || strings.Contains(body, "mallory") {
			t.Errorf("%q: the pod got\n%s", as, body)
		}
	}
	plain := serve(t, "plain", "target-service-name: echo", "ports: 80:http/HTTP")
	if _, _, body := fetch(t, plain+"/headers", "x", "SSL-Client-Subject-DN", "CN=mallory", "Client-Cert", ":mallory:"); strings.Contains(
		body, "mallory") {
		t.Errorf("at a port that asks nobody the pod got\n%s", body)
	}
	logged(t, holder(t, ip), id)
}

// spoof asks for its headers as a client that says who it is by them.
func spoof(t *testing.T, address string, config *tls.Config, id string) string {
	t.Helper()
	config = config.Clone()
	config.ServerName = "tea.example.com"
	c := &http.Client{Timeout: answerTime, Transport: &http.Transport{
		DialContext: dialClient, DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: true,
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/headers", nil)
	must(t, err)
	req.Host = "tea.example.com"
	for name, value := range map[string]string{
		"X-Request-ID": id, "SSL-Client-Verify": "mallory", "SSL-Client-Subject-DN": "CN=mallory",
		"SSL-Client-Issuer-DN": "CN=mallory", "SSL-Client-Cert": "mallory", "Client-Cert": ":mallory:",
		"X-Forwarded-For": "mallory", "Forwarded": "for=mallory", "X-Forwarded-Host": "mallory",
	} {
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	must(t, err)
	defer res.Body.Close()
	var body strings.Builder
	_, err = bufio.NewReader(res.Body).WriteTo(&body)
	must(t, err)
	return body.String()
}

// logged waits until the daemon of a node has logged a request as JSON.
func logged(t *testing.T, node, id string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), 30*time.Second, "the access log to have "+id, func() (bool, string) {
		pods, err := shared.MustKubectl(t.Context(), "", "-n", rig.SystemNamespace, "get", "pods", "-o", "name",
			"--field-selector", "spec.nodeName="+node)
		if err != nil {
			return false, err.Error()
		}
		for pod := range strings.FieldsSeq(pods) {
			if !strings.Contains(pod, "lb-daemon") {
				continue
			}
			out, err := shared.MustKubectl(t.Context(), "", "-n", rig.SystemNamespace, "logs", "--tail", "500", pod)
			if err != nil {
				return false, err.Error()
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, id) {
					return accessLine(line, id), line
				}
			}
		}
		return false, "nothing in the log of " + node
	}))
}

// accessLine reports whether a line of the log is that of a request by its ID.
func accessLine(line, id string) bool {
	var said struct{ Line string }
	if err := json.Unmarshal([]byte(line), &said); err != nil { // the daemon's own format is text
		_, quoted, _ := strings.Cut(strings.TrimSpace(line), " line=")
		if said.Line, err = strconv.Unquote(quoted); err != nil {
			return false
		}
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(said.Line), &fields); err != nil {
		return false
	}
	return fields["requestId"] == id && fields["protocol"] == "HTTPS" && fields["uri"] == "/headers"
}
