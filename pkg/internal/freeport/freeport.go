package freeport

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
)

// The ports that are given: below those that the kernel chooses by itself (net.ipv4.ip_local_port_range), which another
// listener or connection of any test could get between now and the moment when the program listens.
const (
	first = 10_000
	count = 20_000
)

// next counts what this process was given. It begins elsewhere in each process, for several packages are tested at
// once.
//
//nolint:gochecknoglobals // what was given is a matter of the whole process
var next atomic.Uint32

// Take returns a port of 127.0.0.1 that nobody listens on now, and that this process was not given before.
func Take() (uint16, error) {
	next.CompareAndSwap(0, uint32(os.Getpid()*97%count)) //nolint:gosec // below count
	for range count {
		port := uint16(first + next.Add(1)%count) //nolint:gosec // below first+count
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no port of 127.0.0.1 is free")
}
