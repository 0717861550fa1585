package nginx_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// from connects from an address of the loopback, until the test ends.
func from(t *testing.T, source string, port uint16) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0)), Timeout: deadline}
	c, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

// over sends a text and a request without more and returns the answer.
func over(t *testing.T, c net.Conn, before string) answer {
	t.Helper()
	fmt.Fprint(c, before+"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	r, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return answer{}
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return answer{r.StatusCode, r.Header, string(body)}
}

// greeter is a TCP service that says hello to whoever connects, with the first line that it is sent.
func greeter(t *testing.T) string {
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
			go func() {
				defer c.Close()
				line, _ := bufio.NewReader(c).ReadString('\n')
				fmt.Fprintf(c, "hello %s", line)
			}()
		}
	}()
	return l.Addr().String()
}

// hello sends a line and returns what comes back.
func hello(c net.Conn, text string) string {
	fmt.Fprint(c, text)
	got, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return string(got)
}

// TestSourceRanges lets one of two neighbours in.
func TestSourceRanges(t *testing.T) {
	web, raw := freePort(t), freePort(t)
	o := lb.Options{Sources: prefixes("127.0.0.2/31", "fd00::/8")}
	serve(t, balancer("safe", []string{"127.0.0.1"}, with(http(web, route("", "", backend(t, "b"))), o),
		with(tcp(raw, greeter(t)), o)))
	for source, status := range map[string]int{"127.0.0.2": 200, "127.0.0.3": 200, "127.0.0.4": 403} {
		a := over(t, from(t, source, web), "")
		if a.status != status || status == 403 && !strings.HasPrefix(a.body, "403 Forbidden: ") {
			t.Errorf("%s: got %d %q", source, a.status, a.body)
		}
		if got := hello(from(t, source, raw), "x\n"); got != map[int]string{200: "hello x\n"}[status] &&
			!strings.Contains(got, "reset") {
			t.Errorf("%s: got %q", source, got)
		}
	}
}

// TestAcceptProxy believes a PROXY protocol header of a trusted peer, and nobody else's.
func TestAcceptProxy(t *testing.T) {
	web, raw := freePort(t), freePort(t)
	o := lb.Options{AcceptProxy: true, TrustedProxies: prefixes("127.0.0.2/32"), Sources: prefixes("192.0.2.0/24",
		"127.0.0.0/8")}
	sending := o
	sending.SendProxy = true
	serve(t, balancer("behind", []string{"127.0.0.1"}, with(http(web, route("", "", backend(t, "b"))), o),
		with(tcp(raw, greeter(t)), sending)))
	const header = "PROXY TCP4 192.0.2.9 198.51.100.1 1234 80\r\n"
	for source, client := range map[string]string{"127.0.0.2": "192.0.2.9", "127.0.0.3": "127.0.0.3"} {
		a := over(t, from(t, source, web), header)
		if !strings.Contains(a.body, "\nX-Forwarded-For: "+client+"\r\n") {
			t.Errorf("from %s: got %d %q", source, a.status, a.body)
		}
		if got, want := hello(from(t, source, raw), header+"x\n"), "hello PROXY TCP4 "+client+" "; !strings.HasPrefix(got, want) {
			t.Errorf("from %s: got %q, want %q", source, got, want)
		}
	}
	if a := over(t, from(t, "127.0.0.2", web), ""); a.status == 200 {
		t.Errorf("without a header: %d %q", a.status, a.body)
	}
	banned := strings.Replace(header, "192.0.2.9", "198.51.100.9", 1)
	if a := over(t, from(t, "127.0.0.2", web), banned); a.status != 403 {
		t.Errorf("a client out of range behind the proxy: %d", a.status)
	}
}

// TestLimits holds two requests and is refused a third.
func TestLimits(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) { <-release }))
	defer s.Close()
	defer close(release)
	web, raw := freePort(t), freePort(t)
	o := lb.Options{Limits: lb.Limits{Connections: 2, PerClient: 1}}
	serve(t, balancer("few", []string{"127.0.0.1"}, with(http(web, route("", "", s.Listener.Addr().String())), o),
		with(tcp(raw, greeter(t)), o)))
	for _, source := range []string{"127.0.0.2", "127.0.0.3"} {
		fmt.Fprint(from(t, source, web), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		poll(t, "the limit of "+source, func() bool { return over(t, from(t, source, web), "").status == 429 })
	}
	if a := over(t, from(t, "127.0.0.4", web), ""); a.status != 429 || !strings.HasPrefix(a.body, "429 Too Many Requests: ") {
		t.Errorf("the third client: %d %q", a.status, a.body)
	}
	held := from(t, "127.0.0.2", raw)
	poll(t, "the limit of TCP", func() bool { return !strings.HasPrefix(hello(from(t, "127.0.0.2", raw), "x\n"), "hello") })
	if got := hello(from(t, "127.0.0.3", raw), "y\n"); got != "hello y\n" {
		t.Errorf("another client: %q", got)
	}
	if got := hello(held, "z\n"); got != "hello z\n" {
		t.Errorf("the first client: %q", got)
	}
}
