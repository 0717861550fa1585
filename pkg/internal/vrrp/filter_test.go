package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestFilterAssembles has the kernel take the filters of fleets of any size; TestListen shows what one drops.
func TestFilterAssembles(t *testing.T) {
	for _, six := range []bool{false, true} {
		for _, n := range []int{0, 1, 3, 100, 2000} {
			var known []netip.Addr
			for i := range n {
				known = append(known, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
					netip.MustParseAddr(fmt.Sprintf("fd00::%x", i)))
			}
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := filter(fd, known, six); err != nil {
				t.Errorf("%d senders: %v", n, err)
			}
			_ = unix.Close(fd)
		}
	}
}

// TestFilterVerdict runs programs on headers. The machine here knows no offset from the network header, so they count
// from the start.
func TestFilterVerdict(t *testing.T) {
	known := []netip.Addr{addr("10.0.0.1"), addr("fd00::1"), addr("10.0.0.2"), addr("fd00::2")}
	const routed = " routed"
	for text, keep := range map[string]bool{
		"10.0.0.3" + routed: false, "fd00::3" + routed: false,
		"10.0.0.1": false, "10.0.0.2": false, "10.0.0.3": true, "11.0.0.1": true,
		"fd00::1": false, "fd00::2": false, "fd00::3": true, "fd00::1:0:0:1": true, "fe80::1": true,
	} {
		text, far := strings.CutSuffix(text, routed)
		sender := addr(text)
		p := program(known, sender.Is6())
		for i, in := range p {
			if load, ok := in.(bpf.LoadAbsolute); ok {
				load.Off -= networkHeader
				p[i] = load
			}
		}
		vm, err := bpf.NewVM(p)
		if err != nil {
			t.Fatal(err)
		}
		header := make([]byte, 40)
		ttl := &header[8]
		if sender.Is6() {
			ttl = &header[7]
		}
		*ttl = hopLimit
		if far {
			*ttl--
		}
		if sender.Is6() {
			copy(header[8:], sender.AsSlice())
		} else {
			copy(header[12:], sender.AsSlice())
		}
		n, err := vm.Run(header)
		if err != nil || n > 0 != keep {
			t.Errorf("%s: kept %d, %v", text, n, err)
		}
	}
}
