package vrrp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The groups that VRRP routers speak to (RFC 5798, 5.1.1.2 and 5.1.2.2).
var groups = map[bool][]byte{ //nolint:gochecknoglobals // constants
	false: {224, 0, 0, 18},
	true:  {0xff, 0x02, 15: 0x12},
}

// Sighting is an advert of somebody else.
type Sighting struct {
	Sender netip.Addr
	Advert
}

// Listener hears adverts that come to an interface by multicast or to this node itself. It does not hear what a
// stranger sends to another node's address.
type Listener struct {
	Interface string
	// VRIDs are those to listen for, unless it is EveryVRID.
	VRIDs     []uint8
	EveryVRID bool
	// Known are the senders not to report: the kernel drops what they say, or it would wake this program up some hundred
	// times a second.
	Known []netip.Addr
	// Report is called for every advert that is heard; not at the same time.
	Report func(Sighting)
}

// Listen reports adverts until the context is done. A family that the kernel or the interface lacks is not listened to.
func (l Listener) Listen(ctx context.Context) error {
	link, err := net.InterfaceByName(l.Interface)
	if err != nil {
		return fmt.Errorf("listen for adverts on %s: %w", l.Interface, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	defer wait.Wait()
	failed := make(chan error, len(groups))
	var mu sync.Mutex
	for six := range groups {
		conn, err := l.open(ctx, six, link.Index)
		if err != nil && six {
			continue
		}
		if err != nil {
			cancel()
			return fmt.Errorf("listen for adverts on %s: %w", l.Interface, err)
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		wait.Go(func() {
			failed <- l.hear(conn, six, &mu)
		})
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		cancel()
		return fmt.Errorf("listen for adverts on %s: %w", l.Interface, err)
	}
}

// open returns a raw socket that is a member of the family's group.
func (l Listener) open(ctx context.Context, six bool, index int) (*net.IPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = l.prepare(int(fd), six, index) }), err)
	}}
	network, any4 := "ip4:112", "0.0.0.0"
	if six {
		network, any4 = "ip6:112", "::"
	}
	conn, err := config.ListenPacket(ctx, network, any4)
	if err != nil {
		return nil, err
	}
	return conn.(*net.IPConn), nil
}

func (l Listener) prepare(fd int, six bool, index int) error {
	if err := unix.BindToDevice(fd, l.Interface); err != nil {
		return fmt.Errorf("bind to the interface: %w", err)
	}
	if err := filter(fd, l.Known, six); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if six {
		m := unix.IPv6Mreq{Multiaddr: [16]byte(groups[six]), Interface: uint32(index)}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &m)
	}
	m := unix.IPMreqn{Multiaddr: [4]byte(groups[six]), Ifindex: int32(index)}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &m)
}

func (l Listener) hear(conn *net.IPConn, six bool, mu *sync.Mutex) error {
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromIP(b)
		if err != nil {
			return err
		}
		sender, ok := netip.AddrFromSlice(from.IP)
		a, err := parse(b[:n], six)
		sender = sender.Unmap()
		if err != nil || !ok || slices.Contains(l.Known, sender) || !l.EveryVRID && !slices.Contains(l.VRIDs, a.VRID) {
			continue
		}
		mu.Lock()
		l.Report(Sighting{Sender: sender, Advert: a})
		mu.Unlock()
	}
}
