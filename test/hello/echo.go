package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// echoTCP greets each connection with a line and then returns what it gets. Connections outlive the listener: they
// end with their client or with the process.
func (s *server) echoTCP(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.tcp.Close() })
	defer stop()
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "hello from %s\n", s.name); err != nil {
				return
			}
			_, _ = io.Copy(conn, conn) // the client's end or breakdown, either way we are done
		}()
	}
}

// echoUDP returns each datagram with the server's name in front.
func (s *server) echoUDP(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.udp.Close() })
	defer stop()
	buffer := make([]byte, 64<<10)
	for {
		n, peer, err := s.udp.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of a former answer
		}
		_, _ = s.udp.WriteTo(append([]byte("hello from "+s.name+": "), buffer[:n]...), peer)
	}
}
