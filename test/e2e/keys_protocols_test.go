package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// everyHost is whom the objects with ports of every protocol are for.
const everyHost = "every.example.com"

// tcpPorts and udpPort are a port of each protocol. All but passthrough's lead to what the protocol is for; that one
// leads to the echo, which greets whoever it is.
const (
	tcpPorts = "80:http/HTTP, 443:http/HTTPS, 7:tcp/TCP, 6432:tcp/TLS, 8443:tcp/TLS-PASSTHROUGH"
	udpPort  = ", 7:udp/UDP"
)

// protocols are those of tcpPorts.
func protocols() []string { return []string{"HTTP", "HTTPS", "TCP", "TLS", "TLS-PASSTHROUGH"} }

// speaks connects by a protocol to the port of it, says something first (a PROXY header), and reports whether the
// Service has answered, and what was heard.
func speaks(t *testing.T, ip, protocol, first string) (bool, string) {
	t.Helper()
	port := map[string]string{"HTTP": "80", "HTTPS": "443", "TCP": "7", "TLS": "6432", "TLS-PASSTHROUGH": "8443", "UDP": "7"}
	const request = "GET /headers HTTP/1.1\r\nHost: " + everyHost + "\r\nConnection: close\r\n\r\n"
	address, greeting := ip+":"+port[protocol], "hello from "
	var got string
	switch protocol {
	case "HTTP":
		got, greeting = exchange(t, "tcp", address, first+request, "X-Request-Id"), "200 OK"
	case "TCP":
		got = exchange(t, "tcp", address, first+"ping\n", greeting)
	case "UDP":
		got = exchange(t, "udp", address, "ping", greeting)
	case "TLS-PASSTHROUGH":
		got = exchange(t, "tcp", address, first+clientHello(t, everyHost), greeting)
	default:
		if protocol == "HTTPS" {
			greeting = "200 OK"
		}
		got = exchangeTLS(t, address, first, request)
	}
	return strings.Contains(got, greeting), got
}

// exchangeTLS is exchange under TLS, and reads until the end or a greeting.
func exchangeTLS(t *testing.T, address, first, text string) string {
	t.Helper()
	raw, err := dialClient(t.Context(), "tcp", address)
	if err != nil {
		return err.Error()
	}
	defer raw.Close()
	must(t, raw.SetDeadline(time.Now().Add(answerTime)))
	if _, err := io.WriteString(raw, first); err != nil {
		return err.Error()
	}
	//nolint:gosec // who answers is not the question here
	c := tls.Client(raw, &tls.Config{ServerName: everyHost, InsecureSkipVerify: true})
	if _, err := io.WriteString(c, text); err != nil {
		return err.Error()
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "hello from ") {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String() + err.Error()
		}
	}
	return got.String()
}

// becomes waits until every protocol is served, or none is.
func becomes(t *testing.T, ip, first string, served bool, protocols ...string) {
	t.Helper()
	for _, p := range protocols {
		var ok bool
		var got string
		for end := time.Now().Add(changeTime); ; time.Sleep(100 * time.Millisecond) {
			if ok, got = speaks(t, ip, p, first); ok == served || time.Now().After(end) {
				break
			}
		}
		if ok != served {
			t.Errorf("%s after %q: served is %v, not %v: %q", p, first, ok, served, got)
		}
	}
}

// TestEveryProtocol: an object with a port of each protocol serves them all, logs each, and turns clients away that are
// out of range, whatever they speak.
func TestEveryProtocol(t *testing.T) {
	echo(t)
	apply(t, secretOf("every-cert", certtest.New(t, everyHost)))
	keys := []string{"target-service-name: echo", "ports: " + tcpPorts + udpPort, "host: " + everyHost,
		"tls-secret-name: every-cert", `access-log: "true"`,
		// A UDP session is logged when it ends.
		"idle-timeout: 5s"}
	ip := serve(t, "every", append(keys, "allowed-source-ranges: 10.88.0.0/16")...)
	all := append(protocols(), "UDP")
	becomes(t, ip, "", true, all...)
	awaitLogged(t, holder(t, ip), all)
	must(t, shared.Apply(t.Context(), loadBalancer("every", append(keys, "allowed-source-ranges: 192.0.2.0/24")...)))
	if code := forbidden(t, ip); code != http.StatusForbidden {
		t.Errorf("HTTP: status %d", code)
	}
	// A datagram that is not answered takes as long as patience does.
	becomes(t, ip, "", false, protocols()...)
	if ok, got := speaks(t, ip, "UDP", ""); ok {
		t.Errorf("UDP: %q", got)
	}
}

// forbidden waits until the status is not 200.
func forbidden(t *testing.T, ip string) (code int) {
	t.Helper()
	must(t, rig.Wait(t.Context(), changeTime, "the client to be turned away", func() (bool, string) {
		code, _, _ = fetch(t, ip+"/", everyHost)
		return code != http.StatusOK, strconv.Itoa(code)
	}))
	return code
}

// awaitLogged waits until a node's daemon has logged a line of JSON about the object for each protocol.
func awaitLogged(t *testing.T, node string, protocols []string) {
	t.Helper()
	want := slices.Sorted(slices.Values(protocols))
	must(t, rig.Wait(t.Context(), 30*time.Second, "the access log", func() (bool, string) {
		out, err := shared.MustKubectl(t.Context(), "", "-n", rig.SystemNamespace, "get", "pods", "-o",
			`jsonpath={range .items[?(@.spec.nodeName=="`+node+`")]}{.metadata.name}{"\n"}{end}`)
		if err != nil {
			return false, err.Error()
		}
		var have []string
		for pod := range strings.FieldsSeq(out) {
			text, err := shared.MustKubectl(t.Context(), "", "-n", rig.SystemNamespace, "logs", "--tail", "500", pod)
			if err != nil {
				return false, err.Error()
			}
			for line := range strings.Lines(text) {
				if p, ok := loggedProtocol(line); ok && !slices.Contains(have, p) {
					have = append(have, p)
				}
			}
		}
		slices.Sort(have)
		return slices.Equal(have, want), fmt.Sprint(have)
	}))
}

// loggedProtocol reads a line of the daemon's log that is about a request or connection to the object "every".
func loggedProtocol(line string) (string, bool) {
	_, quoted, _ := strings.Cut(strings.TrimSpace(line), " line=")
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return "", false
	}
	var said struct{ LoadBalancer, Client, Protocol string }
	if err := json.Unmarshal([]byte(text), &said); err != nil || said.LoadBalancer != "default/every" {
		return "", false
	}
	return said.Protocol, strings.HasPrefix(said.Client, "10.88.")
}

// TestProxyProtocolEverywhere: by every protocol the PROXY header of a trusted proxy says who the client is, and so
// whether he may; without one nobody is served, and that of a stranger is worth nothing.
func TestProxyProtocolEverywhere(t *testing.T) {
	echo(t)
	apply(t, secretOf("proxied-cert", certtest.New(t, everyHost)))
	keys := []string{"target-service-name: echo", "ports: " + tcpPorts, "host: " + everyHost, "tls-secret-name: proxied-cert",
		"proxy-protocol: accept", "allowed-source-ranges: 192.0.2.0/24"}
	ip := serve(t, "proxied-all", append(keys, "trusted-proxies: 10.88.0.0/16")...)
	const (
		friend   = "PROXY TCP4 192.0.2.9 198.51.100.1 1234 80\r\n"
		stranger = "PROXY TCP4 203.0.113.9 198.51.100.1 1234 80\r\n"
	)
	becomes(t, ip, friend, true, protocols()...)
	becomes(t, ip, stranger, false, protocols()...)
	becomes(t, ip, "", false, protocols()...)
	must(t, shared.Apply(t.Context(), loadBalancer("proxied-all", append(keys, "trusted-proxies: 203.0.113.0/24")...)))
	becomes(t, ip, friend, false, protocols()...)
}
