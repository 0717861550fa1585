package neighbor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The types of ICMP's echoes (RFC 792, RFC 4443).
const (
	echoRequest, echoReply   = 8, 0
	echoRequest6, echoReply6 = 128, 129
	echoSize                 = 16
	icmpFilterOption         = 1 // ICMP_FILTER, linux/icmp.h
)

// Echo is a sender of ICMP echoes on an interface. It is used by one goroutine.
type Echo struct {
	name string
	conn *net.IPConn
	six  bool
}

// OpenEcho returns one that sends from an address of the interface. Its questions leave by the interface whatever the
// routes say. Who has opened it closes it.
func OpenEcho(ctx context.Context, name string, sender netip.Addr) (*Echo, error) {
	conn, err := openEcho(ctx, name, sender)
	if err != nil {
		return nil, fmt.Errorf("ping from %s on %s: %w", sender, name, err)
	}
	return &Echo{name: name, conn: conn, six: sender.Is6()}, nil
}

// Close closes it.
func (e *Echo) Close() error { return e.conn.Close() }

// Ask asks the addresses, which are of the sender's family, and reports whether any of them has answered within the
// time.
func (e *Echo) Ask(ctx context.Context, addrs []netip.Addr, within time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	deadline, _ := ctx.Deadline()
	sending := later(deadline, time.Now().Add(sendWithin))
	if err := errors.Join(e.conn.SetReadDeadline(deadline), e.conn.SetWriteDeadline(sending)); err != nil {
		return false, fmt.Errorf("ping on %s: %w", e.name, err)
	}
	defer context.AfterFunc(ctx, func() { _ = e.conn.SetReadDeadline(time.Now()) })()
	nonce := rand.Uint64()
	request := echo(nonce, e.six)
	var errs []error
	for _, a := range addrs {
		to := &net.IPAddr{IP: a.AsSlice()}
		if a.IsLinkLocalUnicast() && a.Is6() {
			to.Zone = e.name
		}
		if _, err := e.conn.WriteToIP(request, to); err != nil {
			errs = append(errs, fmt.Errorf("ping %s: %w", a, err))
		}
	}
	if len(errs) == len(addrs) {
		return false, errors.Join(errs...)
	}
	for b := make([]byte, maxFrame); ; {
		n, from, err := e.conn.ReadFromIP(b)
		if err != nil {
			return e.answered(nonce) // nobody answered in time, unless it was this program that had no time to look
		}
		if a, ok := netip.AddrFromSlice(from.IP); ok && slices.Contains(addrs, a.Unmap()) && answers(b[:n], nonce) {
			return true, nil
		}
	}
}

// answered reports whether the answer to a question is there already. The nonce alone tells: only who was asked knows
// it.
func (e *Echo) answered(nonce uint64) (bool, error) {
	found := false
	err := pending(e.conn, func(b []byte) {
		if !e.six && len(b) > 0 {
			b = b[min(len(b), int(b[0]&0xf)*4):] // the kernel leaves IPv4's header on
		}
		found = found || answers(b, nonce)
	})
	if err != nil {
		return false, fmt.Errorf("ping on %s: %w", e.name, err)
	}
	return found, nil
}

// openEcho returns a raw socket that gets no other ICMP than echo replies.
func openEcho(ctx context.Context, name string, sender netip.Addr) (*net.IPConn, error) {
	network := "ip4:1"
	if sender.Is6() {
		network = "ip6:58"
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(raw uintptr) {
			fd := int(raw)
			if err = unix.BindToDevice(fd, name); err != nil {
				return
			}
			if sender.Is6() {
				f := unix.ICMPv6Filter{}
				for i := range f.Data {
					f.Data[i] = ^uint32(0)
				}
				f.Data[echoReply6/32] &^= 1 << (echoReply6 % 32)
				err = unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f)
				return
			}
			blocked := ^uint32(1 << echoReply)
			err = unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilterOption, int(int32(blocked)))
		}), err)
	}}
	conn, err := config.ListenPacket(ctx, network, sender.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.IPConn), nil
}

// echo returns a request that is told from all others by 64 random bits. The kernel fills in the checksum of IPv6.
func echo(nonce uint64, six bool) []byte {
	b := make([]byte, echoSize)
	b[0] = echoRequest
	if six {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint64(b[8:], nonce)
	if !six {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// answers reports whether a message is the reply to an echo.
func answers(b []byte, nonce uint64) bool {
	return len(b) >= echoSize && (b[0] == echoReply || b[0] == echoReply6) && binary.BigEndian.Uint64(b[8:]) == nonce
}
