package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Instance is a VRRP instance that this node was master of.
type Instance struct {
	VRID uint8
	// Source is this node's address for adverts, and Peers are those who are told.
	Source netip.Addr
	Peers  []netip.Addr
	// Anchor is the one address in the instance's adverts.
	Anchor         netip.Addr
	AdvertInterval time.Duration
}

// priorityResigned tells the others that the master does not take part any more (RFC 5798, 5.2.4).
const priorityResigned = 0

// Resign tells the peers of each instance that it has no master any more, so that the next one takes over after its
// skew instead of three advert intervals more. It is for a node whose keepalived is dead; of one that lives, the next
// advert takes it back. Every peer is tried; the errors are of those that could not be told.
func Resign(instances []Instance) error {
	var errs []error
	sockets := make(map[netip.Addr]int)
	defer func() {
		for _, fd := range sockets {
			_ = unix.Close(fd)
		}
	}()
	for _, in := range instances {
		fd, ok := sockets[in.Source]
		if !ok {
			var err error
			if fd, err = open(in.Source); err != nil {
				errs = append(errs, fmt.Errorf("resign as %s: %w", in.Source, err))
				continue
			}
			sockets[in.Source] = fd
		}
		last := Advert{
			VRID: in.VRID, Priority: priorityResigned, Interval: in.AdvertInterval, Addresses: []netip.Addr{in.Anchor},
		}
		for _, peer := range in.Peers {
			err := unix.Sendto(fd, last.encode(in.Source, peer), unix.MSG_DONTWAIT, sockaddr(peer))
			if err != nil {
				errs = append(errs, fmt.Errorf("resign router %d to %s: %w", in.VRID, peer, err))
			}
		}
	}
	return errors.Join(errs...)
}

// open returns a raw socket that sends from the address.
func open(source netip.Addr) (int, error) {
	family, level, limit, class := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
	if source.Is6() {
		family, level, limit, class = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, Protocol)
	if err != nil {
		return -1, err
	}
	// Class selector 6, internetwork control: what keepalived's own adverts have.
	const control = 0xc0
	err = errors.Join(
		unix.SetsockoptInt(fd, level, limit, hopLimit),
		unix.SetsockoptInt(fd, level, class, control),
		unix.Bind(fd, sockaddr(source)),
	)
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}
