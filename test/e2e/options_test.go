package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
)

// clusterAuthority returns the certificate of whoever has signed the API server's.
func clusterAuthority(t *testing.T) []byte {
	t.Helper()
	encoded, err := shared.MustKubectl(t.Context(), "", "config", "view", "--raw", "--flatten", "-o",
		"jsonpath={.clusters[0].cluster.certificate-authority-data}")
	must(t, err)
	authority, err := base64.StdEncoding.DecodeString(encoded)
	must(t, err)
	return authority
}

// clusterTrust believes the API server.
func clusterTrust(t *testing.T) *tls.Config {
	t.Helper()
	c := believing(certtest.New(t, "nobody"))
	if !c.RootCAs.AppendCertsFromPEM(clusterAuthority(t)) {
		t.Fatal("the cluster's authority is no certificate")
	}
	return c
}

// TestOneRoute: an exact path that is rewritten, what a trusted proxy says, and how many connections a client may have.
func TestOneRoute(t *testing.T) {
	echo(t)
	ip := serve(t, "one-route", "target-service-name: echo", "ports: 80:http/HTTP", "path: /shop", "path-type: Exact",
		"path-rewrite: /headers", "routes: path=/slow service=echo:http", "trusted-proxies: 10.88.0.0/16",
		`max-connections-per-client: "1"`, "connect-timeout: 2s", "send-timeout: 5s")
	code, _, body := fetch(t, ip+"/shop?a=b", "x", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https",
		"X-Forwarded-Host", "shop.example.com")
	for _, want := range []string{
		"GET /headers?a=b HTTP/1.1\n", "X-Forwarded-For: 192.0.2.7, 10.88.", "X-Forwarded-Proto: https\n",
		"X-Forwarded-Host: shop.example.com\n", "X-Real-Ip: 192.0.2.7\n",
	} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("no %q in %d %s", want, code, body)
		}
	}
	if code, _, body := fetch(t, ip+"/shop/x", "x"); code != http.StatusNotFound {
		t.Errorf("below an exact path: %d %q", code, body)
	}
	release := occupy(t, "http://"+ip+"/slow?for=60s")
	await(t, ip+"/shop", http.StatusTooManyRequests)
	release()
	await(t, ip+"/shop", http.StatusOK)
}

// occupy keeps one request under way until it is released. It asks again when it is turned away, since the requests that
// ask whether it is there take the only place, too.
func occupy(t *testing.T, url string) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = get(ctx, client(nil), url)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// await asks until the status is one.
func await(t *testing.T, address string, want int) {
	t.Helper()
	for end := time.Now().Add(answerTime - time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, _, body := fetch(t, address, "x")
		if code == want {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: %d %q, want %d", address, code, body, want)
			return
		}
	}
}

// TestMethodsOfPods: by a hash a request, or a client, comes to one pod; by the fewest connections it is served; UDP goes to
// pods, too; and a connection that carries nothing is ended.
func TestMethodsOfPods(t *testing.T) {
	echo(t)
	keys := []string{"target-service-name: echo", "upstream: endpoints", `ports: "80:http/HTTP,7/TCP,7/UDP"`, "idle-timeout: 2s"}
	for _, method := range []string{"source-ip-hash", "least-connections", "round-robin"} {
		ip := serve(t, "by-"+method, append(keys, "lb-method: "+method)...)
		if got := names(t, ip+":80"); method == "source-ip-hash" && len(got) != 1 || method == "round-robin" && len(got) != 2 {
			t.Errorf("%s: %v answered", method, got)
		}
		for _, network := range []string{"tcp", "udp"} {
			if got := exchange(t, network, ip+":7", "ping", "ping"); !strings.HasPrefix(got, "hello from ") {
				t.Errorf("%s, %s: %q", method, network, got)
			}
		}
		if method == "round-robin" {
			began := time.Now()
			got := exchange(t, "tcp", ip+":7", "ping", "never")
			if took := time.Since(began); !strings.HasSuffix(got, "EOF") || took < time.Second {
				t.Errorf("a silent connection: %q after %s", got, took)
			}
		}
	}
	ip := serve(t, "by-request", "target-service-name: echo", "target-port: http", "protocol: HTTP", "upstream: endpoints",
		"lb-method: request-hash")
	if got := names(t, ip+":80/a"); len(got) != 1 {
		t.Errorf("one request came to %v", got)
	}
}
