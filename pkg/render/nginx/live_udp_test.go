package nginx_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// echoUDP answers every datagram with its sender's port and what it said.
func echoUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			port := netip.MustParseAddrPort(from.String()).Port()
			if _, err := c.WriteTo(fmt.Appendf(nil, "%d %s", port, buf[:n]), from); err != nil {
				return
			}
		}
	}()
	return c.LocalAddr().String()
}

// talkUDP returns a client of the port.
func talkUDP(t *testing.T, port uint16) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exchange sends a datagram and returns the answer.
func exchange(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// TestUDP: one client's datagrams are one session, which the service sees as one port of the load balancer's; with
// udp-responses a session ends with its answer.
func TestUDP(t *testing.T) {
	back, endless, single := echoUDP(t), freePort(t), freePort(t)
	_, run := serve(t, balancer("dns", []string{"127.0.0.1"}, udp(endless, back),
		with(udp(single, back), lb.Options{Responses: 1})))
	c := talkUDP(t, endless)
	if first, second := exchange(t, c, "a"), exchange(t, c, "a"); first != second {
		t.Errorf("two datagrams of one client were two sessions: %q, %q", first, second)
	}
	c = talkUDP(t, single)
	if first, second := exchange(t, c, "a"), exchange(t, c, "a"); first == second {
		t.Errorf("the session outlives its answer: %q, %q", first, second)
	}
	old := reload(t, run)
	poll(t, "the end of the old workers", func() bool { return !slices.ContainsFunc(old, accepting) })
	if got := exchange(t, talkUDP(t, endless), "b"); !strings.HasSuffix(got, " b") {
		t.Errorf("after a reload: %q", got)
	}
}

// TestIdleTimeout ends a silent connection.
func TestIdleTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := freePort(t)
	serve(t, balancer("db", []string{"127.0.0.1"},
		with(tcp(port, l.Addr().String()), lb.Options{Timeouts: lb.Timeouts{Idle: time.Second}})))
	c := dial(t, port)
	start := time.Now()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
	if d := time.Since(start); d < 900*time.Millisecond || d > deadline {
		t.Errorf("ended after %s", d)
	}
}
