// Package ifaddr reads, watches, adds and removes the addresses of network interfaces, as the kernel has them, in the
// network namespace that the program runs in.
package ifaddr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Find returns the name of the interface that has the address.
func Find(addr netip.Addr) (string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return "", fmt.Errorf("list interfaces: %w", err)
	}
	// All at once, for the kernel goes through all of them for each interface as well.
	have, err := dump(nil)
	if err != nil {
		return "", fmt.Errorf("list the addresses of all interfaces: %w", err)
	}
	for _, l := range links {
		if slices.ContainsFunc(have, func(a netlink.Addr) bool {
			p, ok := prefix(a)
			return ok && p.Addr() == addr && a.LinkIndex == l.Attrs().Index
		}) {
			return l.Attrs().Name, nil
		}
	}
	return "", fmt.Errorf("no interface has the address %s", addr)
}

// Hardware returns the hardware address of an interface, such as "02:42:0a:58:00:0b"; empty when it has none.
func Hardware(name string) (string, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", name, err)
	}
	return link.Attrs().HardwareAddr.String(), nil
}

// List returns the addresses of an interface, sorted.
func List(name string) ([]netip.Addr, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	have, err := list(link)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 0, len(have))
	for _, p := range have {
		addrs = append(addrs, p.Addr())
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, nil
}

// dump returns the addresses of an interface, or of all for nil.
func dump(link netlink.Link) ([]netlink.Addr, error) {
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	// A list that changed while it was read is worth reading again, not failing for.
	for try := 0; errors.Is(err, netlink.ErrDumpInterrupted) && try < maxDumps; try++ {
		have, err = netlink.AddrList(link, netlink.FAMILY_ALL)
	}
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil
	}
	return have, err
}

func list(link netlink.Link) ([]netip.Prefix, error) {
	have, err := dump(link)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", link.Attrs().Name, err)
	}
	prefixes := make([]netip.Prefix, 0, len(have))
	for _, a := range have {
		if p, ok := prefix(a); ok {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, nil
}

func prefix(a netlink.Addr) (netip.Prefix, bool) {
	if a.IPNet == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(addr, ones), true
}

// Remove takes those of the addresses from the interface that it has, and returns them. Nothing else is touched.
func Remove(name string, addrs []netip.Addr) ([]netip.Addr, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	unwanted := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		unwanted[a] = true
	}
	var removed []netip.Addr
	for range maxDumps {
		have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		whole := !errors.Is(err, netlink.ErrDumpInterrupted)
		if err != nil && whole {
			return removed, fmt.Errorf("list the addresses of %s: %w", name, err)
		}
		gone, err := remove(link, have, unwanted)
		removed = append(removed, gone...)
		if err != nil || whole {
			return removed, err
		}
	}
	return removed, fmt.Errorf("list the addresses of %s: %w", name, netlink.ErrDumpInterrupted)
}

// maxDumps is how often a list of addresses is read that changes while it is: of one that is read once, some may be
// missing.
const maxDumps = 100

// remove removes those of the addresses that are unwanted.
func remove(link netlink.Link, have []netlink.Addr, unwanted map[netip.Addr]bool) ([]netip.Addr, error) {
	var removed []netip.Addr
	var errs []error
	for _, a := range have {
		p, ok := prefix(a)
		if !ok || !unwanted[p.Addr()] {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs = append(errs, fmt.Errorf("remove %s from %s: %w", p, link.Attrs().Name, err))
			continue
		}
		removed = append(removed, p.Addr())
	}
	return removed, errors.Join(errs...)
}

// AddHost gives the interface those of the addresses that it does not have, each with a prefix of its own length (/32,
// /128). Nobody chooses them as the source of a connection of their own: of IPv4 they have the scope host, of IPv6 they
// are deprecated (RFC 6724). It goes on after a failure, and returns what was added.
func AddHost(name string, addrs []netip.Addr) ([]netip.Addr, error) {
	have, err := List(name)
	if err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	var added []netip.Addr
	var errs []error
	for _, a := range addrs {
		if _, ok := slices.BinarySearchFunc(have, a, netip.Addr.Compare); ok {
			continue
		}
		if err := netlink.AddrAdd(link, hostAddr(a)); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("add %s to %s: %w", a, name, err))
			continue
		}
		added = append(added, a)
	}
	return added, errors.Join(errs...)
}

func hostAddr(a netip.Addr) *netlink.Addr {
	bits := a.BitLen()
	out := &netlink.Addr{IPNet: netlink.NewIPNet(a.AsSlice())}
	out.Mask = net.CIDRMask(bits, bits)
	if a.Is4() {
		out.Scope = unix.RT_SCOPE_HOST
		return out
	}
	out.Flags = unix.IFA_F_NODAD
	out.ValidLft, out.PreferedLft = math.MaxUint32, 0
	return out
}

// receiveBuffer holds the messages of a thousand addresses that move at once.
const receiveBuffer = 1 << 20

// Watch calls changed after any address of any interface has come or gone, until the context is done. A subscription
// that breaks is made anew, and changed is called then too, for something may have been missed.
func Watch(ctx context.Context, changed func()) error {
	for ctx.Err() == nil {
		if err := watchOnce(ctx, changed); err != nil {
			return err
		}
		changed()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // a broken subscription must not spin
		}
	}
	return nil
}

func watchOnce(ctx context.Context, changed func()) error {
	updates := make(chan netlink.AddrUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	err := netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{
		ErrorCallback:     func(error) {}, // the channel is closed after it
		ReceiveBufferSize: receiveBuffer,
	})
	if err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-updates:
			if !ok {
				return nil
			}
			changed()
		}
	}
}

// Taken returns those listen addresses that a program other than those that listen already would not get: somebody
// else listens there, on that address or on all of them.
func Taken(listen []netip.AddrPort) []netip.AddrPort {
	var taken []netip.AddrPort
	for _, l := range listen {
		if errors.Is(tryBind(l), syscall.EADDRINUSE) {
			taken = append(taken, l)
		}
	}
	return taken
}

// tryBind binds a socket as nginx does and closes it. It never listens, so no connection can reach it.
func tryBind(l netip.AddrPort) error {
	family := unix.AF_INET6
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(l.Port()), Addr: l.Addr().As16()}
	if l.Addr().Is4() {
		family = unix.AF_INET
		to = &unix.SockaddrInet4{Port: int(l.Port()), Addr: l.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	return unix.Bind(fd, to)
}

// String joins addresses for a message.
func String(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}
