package vrrp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/sockfilter"
)

// networkHeader makes a filter's offset count from the IP header: a raw socket's data begins there for IPv4, behind it
// for IPv6 (SKF_NET_OFF, linux/filter.h).
const networkHeader = 0xfff00000

// filter has the kernel drop what comes from the known senders, and what a router has passed on.
func filter(fd int, known []netip.Addr, six bool) error {
	return sockfilter.Attach(fd, program(known, six))
}

// program compares the sender with each known one, word by word. It keeps what it does not understand. What has not the
// largest hop limit was not sent on this segment, and must be discarded (RFC 5798, 7.1): so nobody beyond a router can
// make a conflict up.
func program(known []netip.Addr, six bool) []bpf.Instruction {
	offset, hops := uint32(networkHeader+12), uint32(networkHeader+8)
	if six {
		offset, hops = networkHeader+8, networkHeader+7
	}
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: hops, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: hopLimit, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	for _, k := range known {
		if k.Is6() != six || len(p) > maxProgram {
			continue
		}
		words := k.AsSlice()
		for i := 0; i < len(words); i += 4 {
			p = append(p,
				bpf.LoadAbsolute{Off: offset + uint32(i), Size: 4},
				bpf.JumpIf{
					Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(words[i:]),
					SkipTrue: uint8(2*(len(words)-i)/4 - 1), // beyond this sender's verdict
				})
		}
		p = append(p, bpf.RetConstant{Val: 0})
	}
	return append(p, bpf.RetConstant{Val: 1 << 16})
}

// maxProgram bounds the program, for whose memory the kernel has a limit (net.core.optmem_max). That is more than a
// hundred nodes; of the rest the listener itself takes no notice.
const maxProgram = 1000
