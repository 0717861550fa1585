package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/freeport"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// deadline bounds every wait of these tests.
const deadline = 10 * time.Second

// stdout is the name of the file, in the run directory, that nginx's standard output goes to.
const stdout = "stdout"

// freePort returns a port of 127.0.0.1 for nginx.
func freePort(t *testing.T) uint16 {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// backend serves requests and answers its own name and what it was asked, header by header.
func backend(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Server", "backend/"+name)
		fmt.Fprintf(w, "%s %s %s\n", name, r.Method, r.RequestURI)
		fmt.Fprintf(w, "Host: %s\n", r.Host)
		if err := r.Header.Write(w); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// serve runs a real nginx with the load balancers until the test ends, and returns its result and run directory.
func serve(t *testing.T, lbs ...lb.LoadBalancer) (nginx.Result, string) {
	t.Helper()
	return serveInput(t, "", input(lbs...))
}

// serveTLS is serve with certificates of a directory.
func serveTLS(t *testing.T, dir string, lbs ...lb.LoadBalancer) {
	t.Helper()
	serveInput(t, dir, input(lbs...))
}

// serveInput runs a real nginx with what is rendered from an input.
func serveInput(t *testing.T, tlsDir string, in nginx.Input) (nginx.Result, string) {
	t.Helper()
	run := shortTempDir(t)
	in.RunDir, in.Workers, in.WorkerConnections, in.TLSDir = run, 1, 256, tlsDir
	in.Version = installed(t)
	if os.Chmod(run, 0o755) != nil || os.Geteuid() != 0 {
		t.Skip("nginx changes its user, which needs root")
	}
	res, err := nginx.Render(in)
	if err != nil || len(res.Refused) > 0 {
		t.Fatal(err, res.Refused)
	}
	conf := filepath.Join(run, "conf")
	rendertest.Write(t, conf, res.Files)
	cmd := exec.Command("nginx", "-c", filepath.Join(conf, "nginx.conf"), "-e", "stderr")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := os.Create(filepath.Join(run, stdout))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("nginx said:\n%s", log.String())
		}
	})
	poll(t, "generation "+res.Generation, func() bool { return generation(run) == res.Generation })
	return res, run
}

// installed returns the version of the nginx that the tests run.
func installed(tb testing.TB) string {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "nginx", "-v").CombinedOutput()
	_, version, ok := strings.Cut(strings.TrimSpace(string(out)), "nginx/")
	if err != nil || !ok {
		tb.Fatalf("nginx -v: %q, %v", out, err)
	}
	return strings.Fields(version)[0]
}

// shortTempDir returns a directory for the test whose path is no longer than a socket's may be.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "nginx-live-") //nolint:usetesting // t.TempDir has the test's name in its path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// generation asks the probe.
func generation(run string) string {
	c, err := net.Dial("unix", filepath.Join(run, nginx.SocketName))
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: probe\r\n\r\n")
	r, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

// dial connects to a port of nginx until the test ends.
func dial(t *testing.T, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what came back for a request.
type answer struct {
	status int
	header nethttp.Header
	body   string
}

// ask sends a raw request and returns the answer.
func ask(t *testing.T, port uint16, request string) answer {
	t.Helper()
	c := dial(t, port)
	defer c.Close()
	fmt.Fprint(c, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n")
	r, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header, string(body)}
}

func TestRouting(t *testing.T) {
	names := []string{"root", "foo", "bar", "tea", "green", "space", "own"}
	at := make(map[string]string)
	for _, n := range names {
		at[n] = backend(t, n)
	}
	port := freePort(t)
	serve(t, balancer("cafe", []string{"127.0.0.1"}, http(port,
		route("", "/", at["root"]), route("", "/foo", at["foo"]), route("", "/foo/bar/", at["bar"]),
		route("tea.example.com", "/tea", at["tea"]), route("tea.example.com", "/tea/green", at["green"]),
		route("only.example.com", "/a%20b", at["space"]),
		route("own.example.com", "/", at["own"]))))
	for _, tt := range []struct{ host, path, want string }{
		{"x.example.com", "/", "root GET /"},
		{"x.example.com", "/foo", "foo GET /foo"},
		{"x.example.com", "/foo/", "foo GET /foo/"},
		{"x.example.com", "/foo?a=b", "foo GET /foo?a=b"},
		{"x.example.com", "/foobar", "root GET /foobar"},
		{"x.example.com", "/foo/bar", "bar GET /foo/bar"},
		{"x.example.com", "/foo/bar/x//y/%2e", "bar GET /foo/bar/x//y/%2e"},
		{"x.example.com", "/foo/../x", "root GET /foo/../x"},
		{"tea.example.com", "/tea/x", "tea GET /tea/x"},
		{"TEA.example.com:8080", "/tea/green", "green GET /tea/green"},
		{"tea.example.com", "/foo", "foo GET /foo"},
		{"tea.example.com", "/teapot", "root GET /teapot"},
		{"only.example.com", "/a%20b/c", "space GET /a%20b/c"},
		{"only.example.com", "/a+b", "root GET /a+b"},
		{"own.example.com", "/foo/bar", "own GET /foo/bar"},
	} {
		a := ask(t, port, "GET "+tt.path+" HTTP/1.1\nHost: "+tt.host)
		if got, _, _ := strings.Cut(a.body, "\n"); got != tt.want {
			t.Errorf("host %s path %s: got %q, want %q", tt.host, tt.path, got, tt.want)
		}
	}
}

// mute accepts connections and closes them.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// unanswered is the page of a service of which no endpoint answers.
const unanswered = "503 Service Unavailable: the service behind this address has no endpoints, or none that answers\n"

func TestNoRoute(t *testing.T) {
	port, dead := freePort(t), freePort(t)
	serve(t, balancer("cafe", []string{"127.0.0.1"}, http(port,
		route("tea.example.com", "/none"), route("tea.example.com", "/dead", fmt.Sprintf("127.0.0.1:%d", dead)),
		route("tea.example.com", "/mute", mute(t)))))
	for _, tt := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"coffee.example.com", "/", 404, "404 Not Found: "},
		{"tea.example.com", "/other", 404, "404 Not Found: "},
		{"tea.example.com", "/none", 503, "503 Service Unavailable: the service behind this address has no endpoints\n"},
		{"tea.example.com", "/dead/x", 503, unanswered},
		{"tea.example.com", "/mute", 503, unanswered},
	} {
		a := ask(t, port, "GET "+tt.path+" HTTP/1.1\nHost: "+tt.host)
		if a.status != tt.status || !strings.HasPrefix(a.body, tt.body) {
			t.Errorf("%s%s: got %d %q, want %d %q…", tt.host, tt.path, a.status, a.body, tt.status, tt.body)
		}
		if got := a.header.Get("Content-Type"); got != "text/plain" {
			t.Errorf("%s%s: content type %q", tt.host, tt.path, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("cafe", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "b")))))
	forged := "X-Forwarded-For: 6.6.6.6\nX-Real-IP: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil\n" +
		"Forwarded: for=6.6.6.6\nX-Forwarded-Prefix: /evil\nProxy: evil\nX-Original-URL: /evil"
	for _, tt := range []struct{ name, request, want string }{
		{"forged", "GET / HTTP/1.1\nHost: tea.example.com:8080\n" + forged, fmt.Sprintf(
			"b GET /\nHost: tea.example.com:8080\nForwarded: for=127.0.0.1;proto=http\n"+
				"X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: tea.example.com:8080\nX-Forwarded-Port: %d\n"+
				"X-Forwarded-Proto: http\nX-Real-Ip: 127.0.0.1\n", port)},
		{"absolute URI wins", "GET http://a.example.com/ HTTP/1.1\nHost: b.example.com", "b GET /\nHost: a.example.com\n"},
		{"case and port kept", "GET / HTTP/1.1\nHost: TEA.Example.com:1", "b GET /\nHost: TEA.Example.com:1\n"},
		{"IPv6 literal", "GET / HTTP/1.1\nHost: [fd00::1]:80", "b GET /\nHost: [fd00::1]:80\n"},
		{"no host", "GET / HTTP/1.0", "b GET /\nHost: localhost\n"},
		{"h2c is not passed", "GET / HTTP/1.1\nHost: x\nUpgrade: h2c\nConnection: Upgrade, HTTP2-Settings\n" +
			"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
			"b GET /\nHost: x\nForwarded: for=127.0.0.1;proto=http\nX-Forwarded-For: 127.0.0.1\n"},
		{"a name for the request", "GET / HTTP/1.1\nHost: x\nX-Request-ID: one.1", fmt.Sprintf("b GET /\nHost: x\n"+
			"Forwarded: for=127.0.0.1;proto=http\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Port: %d\n"+
			"X-Forwarded-Proto: http\nX-Real-Ip: 127.0.0.1\nX-Request-Id: one.1\n", port)},
	} {
		a := ask(t, port, tt.request)
		if body := strings.ReplaceAll(a.body, "\r", ""); !strings.HasPrefix(body, tt.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, body, tt.want)
		}
		if got := a.header.Get("Server"); got != "backend/b" {
			t.Errorf("%s: the service's Server header became %q", tt.name, got)
		}
	}
}

func TestUpgradePasses(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			nethttp.Error(w, "no upgrade", 400)
			return
		}
		c, rw, err := nethttp.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		if _, err := io.Copy(c, rw); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	port := freePort(t)
	serve(t, balancer("chat", []string{"127.0.0.1"}, http(port, route("", "/ws", s.Listener.Addr().String()))))
	c := dial(t, port)
	fmt.Fprint(c, "GET /ws HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n")
	br := bufio.NewReader(c)
	r, err := nethttp.ReadResponse(br, nil)
	if err != nil || r.StatusCode != nethttp.StatusSwitchingProtocols {
		t.Fatal(r, err)
	}
	defer r.Body.Close()
	for _, line := range []string{"hello\n", "again\n"} {
		fmt.Fprint(c, line)
		if got, err := br.ReadString('\n'); got != line || err != nil {
			t.Fatalf("echo: got %q, %v", got, err)
		}
	}
}
