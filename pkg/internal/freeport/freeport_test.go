package freeport_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/freeport"
)

// TestTake: many at once are all different, can be listened on, and are none that the kernel chooses by itself.
func TestTake(t *testing.T) {
	var low, high uint16
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		t.Fatal(err)
	}
	had := map[uint16]bool{}
	for range 200 {
		port, err := freeport.Take()
		if err != nil {
			t.Fatal(err)
		}
		if had[port] || low <= port && port <= high {
			t.Errorf("%d was given before, or is one of the kernel's, %d to %d", port, low, high)
		}
		had[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:gocritic // all stay open to the end
	}
}
