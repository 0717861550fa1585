package vrrp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// Protocol is VRRP's number (RFC 5798, 5.1.1.4). CARP has taken the same.
const Protocol = 112

// The fields of the header (RFC 5798, 5.2).
const (
	headerSize    = 8
	typeAdvert    = 1
	checksumStart = 6
	// hopLimit is what TTL and hop limit must be, so that nobody beyond a router can speak (5.1.1.3).
	hopLimit = 255
)

// Advert is a VRRP advertisement.
type Advert struct {
	// Version is 2 (RFC 3768) or 3 (RFC 5798).
	Version  uint8
	VRID     uint8
	Priority uint8
	// Interval is the time between adverts, in steps of 10 ms up to 40.95 s; of version 2 it is zero here.
	Interval time.Duration
	// Addresses are those that the sender advertises, all of one family.
	Addresses []netip.Addr
}

// appendTo appends the advert of version 3, with a checksum of zero.
func (a Advert) appendTo(b []byte) []byte {
	b = append(b, 3<<4|typeAdvert, a.VRID, a.Priority, uint8(len(a.Addresses)))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Interval/(10*time.Millisecond))&0x0fff)
	b = append(b, 0, 0)
	for _, addr := range a.Addresses {
		b = append(b, addr.AsSlice()...)
	}
	return b
}

// encode returns the advert of version 3 as it goes from one address to another.
func (a Advert) encode(from, to netip.Addr) []byte {
	b := a.appendTo(nil)
	binary.BigEndian.PutUint16(b[checksumStart:], checksum(b, from, to))
	return b
}

// parse reads an advert of either version, without its checksum: the kernel has checked what it can, and a foreign
// sender is worth knowing although its checksum is wrong. Addresses that are missing are left out.
func parse(b []byte, six bool) (Advert, error) {
	if len(b) < headerSize {
		return Advert{}, fmt.Errorf("an advert of %d bytes", len(b))
	}
	a := Advert{Version: b[0] >> 4, VRID: b[1], Priority: b[2]}
	if b[0]&0x0f != typeAdvert || a.Version != 2 && a.Version != 3 {
		return Advert{}, fmt.Errorf("no advert: version and type are %#02x", b[0])
	}
	if a.VRID == 0 {
		return Advert{}, errors.New("an advert of the router 0")
	}
	if a.Version == 3 {
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * 10 * time.Millisecond
	}
	size := 4
	if six {
		size = 16
	}
	rest := b[headerSize:]
	for range b[3] {
		if len(rest) < size {
			break
		}
		addr, _ := netip.AddrFromSlice(rest[:size])
		a.Addresses, rest = append(a.Addresses, addr), rest[size:]
	}
	return a, nil
}

// checksum is the Internet checksum (RFC 1071) of an advert and its pseudo-header (RFC 5798, 5.2.8). keepalived has the
// pseudo-header in that of IPv4, too.
func checksum(b []byte, from, to netip.Addr) uint16 {
	pseudo := append(from.AsSlice(), to.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(b)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, Protocol)
	return ^fold(sum(b, sum(pseudo, 0)))
}

func sum(b []byte, start uint64) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		start += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		start += uint64(b[0]) << 8
	}
	return start
}

func fold(n uint64) uint16 {
	for bits.Len64(n) > 16 {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
