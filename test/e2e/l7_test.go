package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// echoService is the tea pods' web server, TCP echo and UDP echo as one Service of three ports.
const echoService = `apiVersion: v1
kind: Service
metadata:
  name: echo
  namespace: default
spec:
  selector:
    app: tea
  ports:
    - {name: http, port: 80, targetPort: 80, protocol: TCP}
    - {name: tcp, port: 7, targetPort: 7, protocol: TCP}
    - {name: udp, port: 7, targetPort: 7, protocol: UDP}
`

// answerTime bounds one exchange with a service.
const answerTime = 5 * time.Second

// changeTime bounds how long a change takes to be served: beside connections that clients keep, one that can wait does
// so for ten seconds (docs/operations.md).
const changeTime = 30 * time.Second

// echo applies that Service and waits until it answers.
func echo(t *testing.T) {
	t.Helper()
	apply(t, echoService)
	must(t, shared.WaitService(t.Context(), "default", "echo"))
}

// dialClient connects from the client's machine.
func dialClient(ctx context.Context, network, address string) (net.Conn, error) {
	d, err := shared.Lab.Dialer("client")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DialContext(ctx, network, address)
}

// exchange sends a text and returns what comes back until a text is in it, or the other side ends.
func exchange(t *testing.T, network, address, text, until string) string {
	t.Helper()
	c, err := dialClient(t.Context(), network, address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(answerTime)))
	if _, err := io.WriteString(c, text); err != nil {
		return err.Error()
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), until) {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String() + err.Error()
		}
	}
	return got.String()
}

// client makes requests from the client's machine, each on a connection of its own.
func client(protocols *http.Protocols) *http.Client {
	return &http.Client{
		Timeout:       answerTime,
		Transport:     &http.Transport{DialContext: dialClient, DisableKeepAlives: true, Protocols: protocols},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch makes a request and returns its status, its headers and its body.
func fetch(t *testing.T, address, host string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	must(t, err)
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client(nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Header, string(body)
}

// TestEveryPort: an object that names no port serves all of a Service's, TCP and UDP under one number.
func TestEveryPort(t *testing.T) {
	echo(t)
	ip := serve(t, "every-port", "target-service-name: echo", "idle-timeout: 5m", `udp-responses: "1"`)
	if got := exchange(t, "tcp", ip+":7", "ping\n", "ping"); !strings.HasPrefix(got, "hello from ") {
		t.Errorf("TCP: %q", got)
	}
	if got := exchange(t, "udp", ip+":7", "pong", "pong"); !strings.HasPrefix(got, "hello from ") {
		t.Errorf("UDP: %q", got)
	}
	if page, err := shared.Get(t.Context(), "client", "http://"+ip+"/"); err != nil || !strings.Contains(page, "Hello") {
		t.Errorf("web: %q, %v", page, err)
	}
}

// TestRoutesToServices: hosts, wildcards, exact paths, rewrites, and a split of which one Service gets nothing.
func TestRoutesToServices(t *testing.T) {
	echo(t)
	ip := serve(t, "routes", `routes: |
    host=tea.example.com path=/menu service=tea
    host=*.example.com path=/headers path-type=Exact service=echo:http
    path=/v1 rewrite=/headers service=echo:http weight=1 service=coffee-svc weight=0`)
	for _, c := range []struct {
		host, path, want string
		code             int
	}{
		{"tea.example.com", "/menu/green", "URI: /menu/green", 200},
		{"any.example.com", "/headers", "GET /headers HTTP/1.1", 200},
		{"any.example.com", "/headers/x", "404 Not Found", 404},
		{"example.org", "/v1?a=b", "GET /headers?a=b", 200},
		{"example.org", "/", "404 Not Found", 404},
	} {
		code, _, body := fetch(t, ip+c.path, c.host)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s%s: %d %q", c.host, c.path, code, body)
		}
	}
}

// TestHTTPOptions: headers both ways, a limit of the body, and who the client is.
func TestHTTPOptions(t *testing.T) {
	echo(t)
	ip := serve(t, "options", "target-service-name: echo", "ports: 80:http/HTTP", "max-body-size: 1k",
		"set-request-headers: 'X-Team: $tea'", "remove-request-headers: X-Debug", "set-response-headers: 'X-Frame-Options: DENY'",
		"remove-response-headers: Server-Name", "allowed-source-ranges: 10.88.0.0/16", `retries: "1"`, `access-log: "true"`,
		`gzip: "true"`, "read-timeout: 2s", `max-connections: "100"`)
	code, header, body := fetch(t, ip+"/headers", "x", "X-Debug", "1", "X-Forwarded-For", "6.6.6.6")
	if code != 200 || !strings.Contains(body, "X-Team: $tea\n") || strings.Contains(body, "X-Debug") ||
		strings.Contains(body, "6.6.6.6") || !strings.Contains(body, "X-Forwarded-For: 10.88.") {
		t.Errorf("the pod got %d\n%s", code, body)
	}
	if header.Get("X-Frame-Options") != "DENY" || header.Get("Server-Name") != "" {
		t.Errorf("the client got %v", header)
	}
	if code, _, body := fetch(t, ip+"/slow?for=4s", "x"); code != http.StatusGatewayTimeout {
		t.Errorf("a pod that is late: %d %q", code, body)
	}
	res, err := client(nil).Post("http://"+ip+"/", "text/plain", strings.NewReader(strings.Repeat("x", 2000)))
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", res.StatusCode)
	}
}

// TestSourceRanges: whoever is out of range is turned away.
func TestSourceRanges(t *testing.T) {
	echo(t)
	ip := serve(t, "ranges", "target-service-name: echo", "ports: 80:http/HTTP, 7:tcp/TCP",
		"allowed-source-ranges: 192.0.2.0/24")
	if code, _, body := fetch(t, ip+"/", "x"); code != http.StatusForbidden || !strings.HasPrefix(body, "403 Forbidden") {
		t.Errorf("got %d %q", code, body)
	}
	if got := exchange(t, "tcp", ip+":7", "ping\n", "ping"); strings.Contains(got, "hello") {
		t.Errorf("TCP: %q", got)
	}
}

// TestProxyProtocol: a trusted proxy's header says who the client is, and the pod gets one, too.
func TestProxyProtocol(t *testing.T) {
	echo(t)
	ip := serve(t, "proxied", "target-service-name: echo", "ports: 80:http/HTTP, 7:tcp/TCP", `proxy-protocol: accept,send`,
		"trusted-proxies: 10.88.0.0/16")
	const header = "PROXY TCP4 192.0.2.9 198.51.100.1 1234 80\r\n"
	got := exchange(t, "tcp", ip+":80", header+"GET /headers HTTP/1.1\r\nHost: x\r\n\r\n", "X-Real-Ip")
	if !strings.Contains(got, "X-Forwarded-For: 192.0.2.9\n") {
		t.Errorf("web: %q", got)
	}
	// The echo returns what it was sent, the header that the load balancer has put before it among that.
	if got := exchange(t, "tcp", ip+":7", header+"ping\n", "ping"); !strings.Contains(got, "PROXY TCP4 192.0.2.9 ") {
		t.Errorf("TCP: %q", got)
	}
}

// TestRedirectBesidePassthrough: HTTP is sent to HTTPS at the same address, which goes on to the pod by its host.
func TestRedirectBesidePassthrough(t *testing.T) {
	echo(t)
	ip := serve(t, "secure", "target-service-name: echo", "host: tea.example.com",
		"ports: 80:http/HTTP, 443:tcp/TLS-PASSTHROUGH", `redirect-to-https: "true"`)
	code, header, _ := fetch(t, ip+"/menu?a=b", "tea.example.com")
	if code != http.StatusPermanentRedirect || header.Get("Location") != "https://tea.example.com/menu?a=b" {
		t.Errorf("got %d to %q", code, header.Get("Location"))
	}
	for host, want := range map[string]bool{"tea.example.com": true, "coffee.example.com": false} {
		if got := exchange(t, "tcp", ip+":443", clientHello(t, host), "hello from "); strings.Contains(got, "hello from ") != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}

// clientHello returns the first message of a TLS client that asks for a host.
func clientHello(t *testing.T, host string) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		c := tls.Client(theirs, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		_ = c.HandshakeContext(context.WithoutCancel(t.Context())) // nobody answers
	}()
	must(t, ours.SetReadDeadline(time.Now().Add(answerTime)))
	in := bufio.NewReader(ours)
	head, err := in.Peek(5) // type, version, length (RFC 8446, 5.1)
	must(t, err)
	record := make([]byte, 5+(int(head[3])<<8|int(head[4])))
	_, err = io.ReadFull(in, record)
	must(t, err)
	return string(record)
}

// TestWebsocket: an upgrade passes both ways.
func TestWebsocket(t *testing.T) {
	echo(t)
	ip := serve(t, "socket", "target-service-name: echo", "ports: 80:http/HTTP")
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws://"+ip+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dialClient}},
	})
	must(t, err)
	if res.Body != nil {
		defer res.Body.Close()
	}
	defer func() { _ = c.CloseNow() }()
	must(t, c.Write(ctx, websocket.MessageText, []byte("tea")))
	for _, want := range []string{"hello from ", "tea"} {
		if _, got, err := c.Read(ctx); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

// TestGRPC: a gRPC client in clear text reaches a gRPC service.
func TestGRPC(t *testing.T) {
	echo(t)
	ip := serve(t, "rpc", "target-service-name: echo", "ports: 80:http/HTTP", "backend-protocol: GRPC")
	conn, err := grpc.NewClient("passthrough:///"+ip+":80", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialClient(ctx, "tcp", address)
		}))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	out := new(wrapperspb.StringValue)
	if err := conn.Invoke(ctx, "/hello.Echo/Echo", wrapperspb.String("tea"), out); err != nil {
		t.Fatal(err)
	}
	if got := out.GetValue(); !strings.HasPrefix(got, "hello from ") || !strings.HasSuffix(got, ": tea") {
		t.Errorf("got %q", got)
	}
}

// TestL7Findings: what cannot be served says why, and a neighbour of the same Service never notices.
func TestL7Findings(t *testing.T) {
	echo(t)
	ip := serve(t, "fine", "target-service-name: echo", "ports: 80:http/HTTP")
	running := probe(t, ip)
	for name, c := range map[string]struct{ key, finding string }{
		"bad-ports":   {"ports: 80/QUIC", "LB0104 data[ports]"},
		"bad-route":   {"routes: host=a_b service=echo", "LB0104 data[routes]"},
		"bad-weights": {"routes: path=/ service=echo:80 weight=0 service=tea weight=0", "LB0104 data[routes]"},
		"bad-header":  {`set-request-headers: "X-A: b\0"`, "LB0107 data[set-request-headers]"},
		"bad-range":   {"allowed-source-ranges: everywhere", "LB0104 data[allowed-source-ranges]"},
		"bad-proxy":   {"proxy-protocol: accept", "LB0108 data[proxy-protocol]"},
		"bad-need":    {`udp-responses: "1"` + "\n  ports: 7:tcp/TCP", "LB0108 data[udp-responses]"},
	} {
		apply(t, loadBalancer(name, "target-service-name: echo", c.key))
		if _, err := shared.WaitStatus(t.Context(), "default", name, "ERROR : "+c.finding, 30*time.Second); err != nil {
			t.Error(fmt.Errorf("%s: %w", name, err))
		}
	}
	lossless(t, running.Stop())
}

// TestSharedAddress: two objects have one address, each its hosts; a third that wants a host of theirs is refused, and
// the one that stays is served while the other goes.
func TestSharedAddress(t *testing.T) {
	echo(t)
	one := serve(t, "share-one", "target-service-name: tea", "host: tea.example.com", "share-key: edge")
	other := loadBalancer("share-two", "target-service-name: echo", "ports: 80:http/HTTP, 7:tcp/TCP", "share-key: edge",
		"host: echo.example.com")
	apply(t, other)
	two, err := shared.WaitServing(t.Context(), "default", "share-two")
	must(t, err)
	if one != two {
		t.Fatalf("they have %s and %s", one, two)
	}
	for host, want := range map[string]int{"tea.example.com": 200, "echo.example.com": 200, "example.org": 404} {
		if code, _, body := fetch(t, one+"/", host); code != want {
			t.Errorf("%s: %d %q", host, code, body)
		}
	}
	apply(t, loadBalancer("share-three", "target-service-name: tea", "host: tea.example.com", "share-key: edge"))
	if _, err := shared.WaitStatus(t.Context(), "default", "share-three", "ERROR : LB0303", 30*time.Second); err != nil {
		t.Error(err)
	}
	if _, err := shared.MustKubectl(t.Context(), other, "delete", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if code, _, body := fetch(t, one+"/", "tea.example.com"); code != 200 {
		t.Errorf("after the other one is gone: %d %q", code, body)
	}
}
