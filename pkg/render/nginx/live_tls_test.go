package nginx_test

import (
	"crypto/tls"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// secure serves HTTPS with the test server's own certificate and answers its name.
func secure(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewTLSServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		fmt.Fprint(w, name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// askTLS asks for a host by SNI and returns the answer's body, or what went wrong.
func askTLS(t *testing.T, port uint16, host string) string {
	t.Helper()
	raw := dial(t, port)
	c := tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // a test's certificate
	defer c.Close()
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err.Error()
	}
	all, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return body
}

// TestPassthrough goes by the name that the client asks for; nginx never sees a key.
func TestPassthrough(t *testing.T) {
	strict, open := freePort(t), freePort(t)
	serve(t, balancer("tls", []string{"127.0.0.1"},
		passthrough(strict, route("a.example.com", "", secure(t, "a")), route("*.example.com", "", secure(t, "wild")),
			route("*.eu.example.com", "", secure(t, "eu")), route("default", "", secure(t, "word")),
			route("gone.example.com", "")),
		with(passthrough(open, route("", "", secure(t, "any")), route("a.example.com", "", secure(t, "a"))), lb.Options{
			Timeouts: lb.Timeouts{Idle: time.Minute},
		})))
	for _, tt := range []struct {
		port       uint16
		host, want string
	}{
		{strict, "a.example.com", "a"},
		{strict, "A.Example.com", "a"},
		{strict, "b.example.com", "wild"},
		{strict, "b.c.example.com", "wild"},
		{strict, "b.eu.example.com", "eu"},
		{strict, "default", "word"},
		{strict, "example.com", "EOF"},
		{strict, "gone.example.com", "EOF"},
		{strict, "", "EOF"},
		{open, "a.example.com", "a"},
		{open, "b.example.com", "any"},
		{open, "", "any"},
	} {
		if got := askTLS(t, tt.port, tt.host); got != tt.want {
			t.Errorf("port %d host %q: got %q, want %q", tt.port, tt.host, got, tt.want)
		}
	}
}
