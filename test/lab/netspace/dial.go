package netspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Dialer dials from inside one namespace. A single thread stays there and only makes sockets (a socket belongs for
// ever to the namespace that it was made in); connecting and waiting happen on the runtime's poller. So thousands of
// dials at once cost no threads, and none can leak into the namespace.
type Dialer struct {
	requests chan socketRequest
	closed   chan struct{}
	once     sync.Once
}

type socketRequest struct {
	domain, kind int
	answer       chan socketAnswer
}

type socketAnswer struct {
	fd  int
	err error
}

// NewDialer returns a dialer for the namespace at path. Close it to give its thread back.
func NewDialer(path string) (*Dialer, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	return newDialer(ns)
}

func newDialer(ns *os.File) (*Dialer, error) {
	d := &Dialer{requests: make(chan socketRequest), closed: make(chan struct{})}
	ready := make(chan error, 1)
	go d.serve(ns, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return d, nil
}

// serve makes sockets in the namespace until the dialer is closed. It never unlocks its thread: the runtime ends a
// thread whose locked goroutine returns.
func (d *Dialer) serve(ns *os.File, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		go d.serve(ns, ready)
		<-d.closed // holds the main thread, which must never enter the namespace
		return
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		ready <- fmt.Errorf("enter network namespace %s: %w", ns.Name(), err)
		d.Close()
		return
	}
	ready <- nil
	for {
		select {
		case <-d.closed:
			return
		case r := <-d.requests:
			fd, err := unix.Socket(r.domain, r.kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			r.answer <- socketAnswer{fd, err}
		}
	}
}

// Close ends the dialer's thread. Connections already made live on.
func (d *Dialer) Close() { d.once.Do(func() { close(d.closed) }) }

// DialContext connects to a literal address ("10.0.0.1:80", "[fd00::1]:80"); network is tcp or udp, with or without
// 4 or 6. It resolves no names. The context's deadline bounds the connect.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	kind := unix.SOCK_STREAM
	switch network {
	case "tcp", "tcp4", "tcp6":
	case "udp", "udp4", "udp6":
		kind = unix.SOCK_DGRAM
	default:
		return nil, fmt.Errorf("dial %s: network %q is neither tcp nor udp", address, network)
	}
	conn, err := d.dial(ctx, kind, to)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, nil
}

func (d *Dialer) dial(ctx context.Context, kind int, to netip.AddrPort) (net.Conn, error) {
	domain := unix.AF_INET
	if to.Addr().Is6() && !to.Addr().Is4In6() {
		domain = unix.AF_INET6
	}
	r := socketRequest{domain: domain, kind: kind, answer: make(chan socketAnswer, 1)}
	select {
	case d.requests <- r:
	case <-d.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	a := <-r.answer
	if a.err != nil {
		return nil, fmt.Errorf("socket: %w", a.err)
	}
	f := os.NewFile(uintptr(a.fd), "socket")
	defer f.Close() // net.FileConn works on a copy
	if err := connect(ctx, f, sockaddr(to)); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// connect waits on the runtime's poller, as net.Dialer does, until the socket is connected or the context is done.
func connect(ctx context.Context, f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	started := false
	var result error
	err = raw.Write(func(fd uintptr) bool {
		if !started {
			started = true
			result = unix.Connect(int(fd), to)
			return !errors.Is(result, unix.EINPROGRESS)
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			result = err
			return true
		}
		result = nil
		if code != 0 {
			result = unix.Errno(code)
			return true
		}
		// Readable without error and yet not connected: a spurious wake-up.
		if _, err := unix.Getpeername(int(fd)); err != nil {
			return false
		}
		return true
	})
	if err != nil {
		return err
	}
	return result
}

func sockaddr(to netip.AddrPort) unix.Sockaddr {
	if a := to.Addr().Unmap(); a.Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}
