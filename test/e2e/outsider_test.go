package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// onClient does something in the network of the client's machine.
func onClient(t *testing.T, fn func(address string) error) {
	t.Helper()
	info := shared.Lab.Info()
	must(t, netspace.Do(netspace.Path(info.ClientNamespace), func() error { return fn(info.Client.Address.String()) }))
}

// outsider listens on the client's machine, which is a backend that is no pod and does what the test wants.
func outsider(t *testing.T) net.Listener {
	t.Helper()
	var l net.Listener
	onClient(t, func(address string) (err error) {
		l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address+":0")
		return err
	})
	t.Cleanup(func() { l.Close() })
	return l
}

// stuffed is a backend that accepts no connection any more: its queue is full.
func stuffed(t *testing.T) netip.AddrPort {
	t.Helper()
	var at netip.AddrPort
	onClient(t, func(address string) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		ip := netip.MustParseAddr(address)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip.As4()}); err != nil {
			return err
		}
		if err := unix.Listen(fd, 0); err != nil {
			return err
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			return err
		}
		four, ok := name.(*unix.SockaddrInet4)
		if !ok {
			return fmt.Errorf("%T is no address of IPv4", name)
		}
		at = netip.AddrPortFrom(ip, uint16(four.Port)) //nolint:gosec // a port
		return nil
	})
	for range 10 {
		c, err := quickly(t, at.String())
		if err != nil {
			return at
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatalf("%s accepts whatever comes", at)
	return at
}

// quickly connects from the client's machine or gives up soon.
func quickly(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	d, err := shared.Lab.Dialer("client")
	must(t, err)
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	return d.DialContext(ctx, "tcp", address)
}

// outsiderService is a Service of the port "http", number 80, whose only endpoint is a backend.
func outsiderService(t *testing.T, name string, at net.Addr) string {
	t.Helper()
	to := netip.MustParseAddrPort(at.String())
	return manual(t, name, "", map[string]int{to.Addr().String(): int(to.Port())})
}

// udpService is the same for UDP.
func udpService(t *testing.T, name string, at net.Addr) string {
	t.Helper()
	return strings.ReplaceAll(outsiderService(t, name, at), "protocol: TCP", "protocol: UDP")
}
