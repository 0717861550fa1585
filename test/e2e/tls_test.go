package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// secretOf is a Secret of the default namespace with a certificate.
func secretOf(name string, p certtest.Pair) string {
	encode := base64.StdEncoding.EncodeToString
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: default}\ntype: kubernetes.io/tls\n" +
		"data: {tls.crt: " + encode(p.Cert) + ", tls.key: " + encode(p.Key) + "}\n"
}

// shown is what a client of HTTPS gets to see.
type shown struct {
	code         int
	serial, body string
	proto        string
}

// visit asks for a host over TLS at an address and port.
func visit(ctx context.Context, address, host string, config *tls.Config) (shown, error) {
	config = config.Clone()
	config.ServerName = host
	c := &http.Client{Timeout: answerTime, Transport: &http.Transport{
		DialContext: dialClient, DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address, nil)
	if err != nil {
		return shown{}, err
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		return shown{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return shown{res.StatusCode, res.TLS.PeerCertificates[0].SerialNumber.String(), string(body), res.Proto}, err
}

// believing trusts certificates that sign themselves.
func believing(pairs ...certtest.Pair) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pairs[0].Pool()}
	for _, p := range pairs[1:] {
		c.RootCAs.AddCert(p.TLS().Leaf)
	}
	return c
}

// TestHTTPS: two hosts with certificates of their own, HTTP/2, a redirect from HTTP, no handshake for a stranger; and a
// new version of a Secret is served without a lost request.
func TestHTTPS(t *testing.T) {
	echo(t)
	tea, coffee := certtest.New(t, "tea.example.com"), certtest.New(t, "*.coffee.example.com")
	apply(t, secretOf("tea-cert", tea)+"---\n"+secretOf("coffee-cert", coffee))
	ip := serve(t, "https", "target-service-name: echo", "target-port: http", "host: tea.example.com", `SSL: "true"`,
		`bind-port: "80"`, "tls-secret-name: tea-cert, coffee-cert", `redirect-to-https: "true"`,
		"routes: host=*.coffee.example.com service=coffee-svc")
	if code, header, _ := fetch(t, ip+"/a?b=c", "tea.example.com"); code != http.StatusPermanentRedirect ||
		header.Get("Location") != "https://tea.example.com/a?b=c" {
		t.Errorf("HTTP: %d to %q", code, header.Get("Location"))
	}
	trust := believing(tea, coffee)
	got, err := visit(t.Context(), ip+":443/headers", "tea.example.com", trust)
	if err != nil || got.code != 200 || got.serial != tea.Serial() || got.proto != "HTTP/2.0" ||
		!strings.Contains(got.body, "X-Forwarded-Proto: https") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := visit(t.Context(), ip+":443/", "iced.coffee.example.com", trust); err != nil || got.serial != coffee.Serial() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := visit(t.Context(), ip+":443/", "example.org", trust); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a stranger: %v", err)
	}

	stop := visiting(t, ip+":443/", "tea.example.com")
	for range 3 {
		next := certtest.New(t, "tea.example.com")
		began := time.Now()
		must(t, shared.Apply(t.Context(), secretOf("tea-cert", next)))
		must(t, rig.Wait(t.Context(), 20*time.Second, "the new certificate", func() (bool, string) {
			got, err := visit(t.Context(), ip+":443/", "tea.example.com", believing(next))
			return err == nil, fmt.Sprintf("%+v, %v", got, err)
		}))
		t.Logf("a new Secret is shown after %s", time.Since(began).Round(10*time.Millisecond))
		time.Sleep(3 * time.Second) // both slots
	}
	asked, failures := stop()
	t.Logf("%d requests", asked)
	if len(failures) > 0 || asked < 50 {
		t.Errorf("%d of %d requests failed: %q", len(failures), asked, failures)
	}
}

// visiting makes requests, believing anybody, until it is stopped.
func visiting(t *testing.T, address, host string) func() (int, []string) {
	stop, done := make(chan struct{}), make(chan struct{})
	var asked int
	var failures []string
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			asked++
			//nolint:gosec // which certificate it is changes all the time
			if got, err := visit(t.Context(), address, host, &tls.Config{InsecureSkipVerify: true}); err != nil || got.code != 200 {
				failures = append(failures, fmt.Sprintf("%+v, %v", got, err))
			}
		}
	}()
	return func() (int, []string) {
		close(stop)
		<-done
		return asked, failures
	}
}

// TestClientCertificates: who has none is turned away, and the pod hears who the others are.
func TestClientCertificates(t *testing.T) {
	echo(t)
	ca, server := certtest.Authority(t, "staff"), certtest.New(t, "staff.example.com")
	apply(t, secretOf("staff-cert", server)+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: staff-ca, namespace: default}\n"+
		"data:\n  ca.crt: |\n    "+strings.ReplaceAll(strings.TrimSpace(string(ca.Cert)), "\n", "\n    ")+"\n")
	ip := serve(t, "staff", "target-service-name: echo", "target-port: http", "protocol: HTTPS", "tls-secret-name: staff-cert",
		"tls-client-ca: configmap/staff-ca")
	trust := believing(server)
	if got, err := visit(t.Context(), ip+":443/", "staff.example.com", trust); err != nil || got.code != http.StatusBadRequest {
		t.Errorf("nobody: %+v, %v", got, err)
	}
	trust.Certificates = []tls.Certificate{certtest.Make(t, certtest.Options{CommonName: "alice", Signer: &ca}).TLS()}
	got, err := visit(t.Context(), ip+":443/headers", "staff.example.com", trust)
	if err != nil || got.code != 200 || !strings.Contains(got.body, "Ssl-Client-Subject-Dn: CN=alice") {
		t.Errorf("alice: %+v, %v", got, err)
	}
}

// TestTLSToTCP: a stream loses its TLS at the load balancer.
func TestTLSToTCP(t *testing.T) {
	echo(t)
	server := certtest.New(t, "db.example.com")
	apply(t, secretOf("db-cert", server))
	ip := serve(t, "db", "target-service-name: echo", "ports: 6432:tcp/TLS", "tls-secret-name: db-cert")
	raw, err := dialClient(t.Context(), "tcp", ip+":6432")
	must(t, err)
	trust := believing(server)
	trust.ServerName = "db.example.com"
	c := tls.Client(raw, trust)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(answerTime)))
	if _, err := io.WriteString(c, "ping\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := io.ReadAtLeast(c, buf, len("hello from ")); err != nil || !strings.HasPrefix(string(buf[:n]), "hello from ") {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// TestBackendTLS: the API server is a Service that speaks TLS; it is verified by its authority, or not taken for it.
func TestBackendTLS(t *testing.T) {
	indented := strings.ReplaceAll(strings.TrimSpace(string(clusterAuthority(t))), "\n", "\n    ")
	other := strings.ReplaceAll(strings.TrimSpace(string(certtest.Authority(t, "other").Cert)), "\n", "\n    ")
	for name, text := range map[string]string{"api-ca": indented, "other-ca": other} {
		apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+", namespace: default}\ndata:\n  ca.crt: |\n    "+text+"\n")
	}
	for ca, want := range map[string]int{"api-ca": http.StatusOK, "other-ca": http.StatusServiceUnavailable} {
		ip := serve(t, "via-"+ca, "target-service-name: kubernetes", "protocol: HTTP", `bind-port: "80"`, "backend-protocol: HTTPS",
			"backend-tls-ca: configmap/"+ca)
		if code, _, body := fetch(t, ip+"/version", "x"); code != want {
			t.Errorf("%s: %d %q", ca, code, body)
		}
	}
	for name, want := range map[string]int{"kubernetes": http.StatusOK, "kubernetes.example.com": http.StatusServiceUnavailable} {
		ip := serve(t, "as-"+name, "target-service-name: kubernetes", "protocol: HTTP", `bind-port: "80"`, "backend-protocol: HTTPS",
			"backend-tls-ca: configmap/api-ca", "backend-tls-server-name: "+name)
		if code, _, body := fetch(t, ip+"/version", "x"); code != want {
			t.Errorf("as %s: %d %q", name, code, body)
		}
	}
}

// TestBadCertificates: each fault gets its finding, the last good certificate is served meanwhile, a neighbour notices
// nothing, and mending it clears the finding.
func TestBadCertificates(t *testing.T) {
	echo(t)
	good, other := certtest.New(t, "a.example.com"), certtest.New(t, "a.example.com")
	apply(t, secretOf("victim-cert", good))
	ip := serve(t, "victim", "target-service-name: echo", "target-port: http", "protocol: HTTPS", "tls-secret-name: victim-cert")
	running := probe(t, serve(t, "neighbour", "target-service-name: coffee-svc"))
	expired := certtest.Make(t, certtest.Options{From: time.Now().AddDate(0, -2, 0), To: time.Now().AddDate(0, -1, 0)})
	for _, c := range []struct{ name, code, bad string }{
		{"mismatch", "LB0504", secretOf("victim-cert", certtest.Pair{Cert: good.Cert, Key: other.Key})},
		{"malformed", "LB0503", secretOf("victim-cert", certtest.Pair{Cert: []byte("rubbish"), Key: other.Key})},
		{"expired", "LB0505", secretOf("victim-cert", expired)},
		{"missing", "LB0501", ""},
		{"wrong type", "LB0502", "apiVersion: v1\nkind: Secret\nmetadata: {name: victim-cert, namespace: default}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "missing" || c.name == "wrong type" {
				remove(t, secretOf("victim-cert", good))
			}
			if c.bad != "" {
				must(t, shared.Apply(t.Context(), c.bad))
			}
			data, err := shared.WaitStatus(t.Context(), "default", "victim", "ERROR : "+c.code, 30*time.Second)
			must(t, err)
			t.Log(data["status"])
			if got, err := visit(t.Context(), ip+":443/", "a.example.com", believing(good)); err != nil || got.serial != good.Serial() {
				t.Errorf("the last good one is not served: %+v, %v", got, err)
			}
			if c.name == "wrong type" {
				remove(t, c.bad)
			}
			must(t, shared.Apply(t.Context(), secretOf("victim-cert", good)))
			_, err = shared.WaitServing(t.Context(), "default", "victim")
			must(t, err)
		})
	}
	lossless(t, running.Stop())
}
