package agent

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/nstest"
)

// apart runs a function in a network namespace of its own, whose loopback interface is up.
func apart(t *testing.T, f func()) {
	t.Helper()
	nstest.Apart(t, func() {
		if lo, err := netlink.LinkByName(loopback); err != nil || netlink.LinkSetUp(lo) != nil {
			t.Errorf("the loopback interface is not up: %v", err)
			return
		}
		f()
	})
}

// onLoopback returns the addresses of the loopback interface but its own.
func onLoopback(t *testing.T) []netip.Addr {
	t.Helper()
	have, err := ifaddr.List(loopback)
	if err != nil {
		t.Error(err)
	}
	return slices.DeleteFunc(have, netip.Addr.IsLoopback)
}

func TestResidence(t *testing.T) {
	apart(t, func() {
		root := t.TempDir()
		var log bytes.Buffer
		old := addrs("10.9.0.1", "fd00:9::1")
		if _, err := ifaddr.AddHost(loopback, slices.Concat(old, addrs("10.8.8.8"))); err != nil {
			t.Error(err)
		}
		r := &residence{sysctls: root, log: slog.New(slog.NewTextHandler(&log, nil)), iface: "eth0", ours: old}
		check := func(what string, want ...string) {
			t.Helper()
			if got := onLoopback(t); !slices.Equal(got, sorted(addrs(append(want, "10.8.8.8")...))) {
				t.Errorf("%s: %v, want %v and the foreign one", what, got, want)
			}
		}
		set := func(want ...string) {
			t.Helper()
			if err := r.set("eth0", addrs(want...), sorted(slices.Concat(old, addrs(want...)))); err != nil {
				t.Error(err)
			}
		}
		r.adopt(true)
		r.refresh()
		r.serve(true)
		check("adopted", "10.9.0.1", "fd00:9::1")
		set("10.9.0.1", "10.9.0.2", "fd00:9::2")
		check("IPv4 may not stay", "fd00:9::2")
		set("10.9.0.2", "fd00:9::2")
		if n := strings.Count(log.String(), "short gap"); n != 1 {
			t.Errorf("it complains %d times: %s", n, log.String())
		}
		dir := filepath.Join(root, "ipv4", "conf", "eth0")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Error(err)
		}
		set("10.9.0.2", "fd00:9::2")
		check("IPv4 may stay", "10.9.0.2", "fd00:9::2")
		if _, err := ifaddr.Remove(loopback, addrs("10.9.0.2")); err != nil {
			t.Error(err)
		}
		r.refresh()
		check("somebody took one away", "10.9.0.2", "fd00:9::2")
		r.serve(false)
		r.refresh()
		check("nginx is gone")
		r.serve(true)
		check("nginx is back", "10.9.0.2", "fd00:9::2")
	})
}

// TestResidenceSweeps what a former daemon has left and nobody serves.
func TestResidenceSweeps(t *testing.T) {
	apart(t, func() {
		left := addrs("10.9.0.1", "fd00:9::1")
		if _, err := ifaddr.AddHost(loopback, left); err != nil {
			t.Error(err)
		}
		r := &residence{sysctls: t.TempDir(), log: slog.New(slog.DiscardHandler), ours: left}
		r.adopt(false)
		if have := onLoopback(t); len(have) > 0 {
			t.Errorf("%v is left", have)
		}
	})
}

// TestResidenceTriesAgain to remove what could not be removed.
func TestResidenceTriesAgain(t *testing.T) {
	apart(t, func() {
		rename := func(from, to string) {
			t.Helper()
			link, err := netlink.LinkByName(from)
			if err != nil || netlink.LinkSetDown(link) != nil || netlink.LinkSetName(link, to) != nil ||
				netlink.LinkSetUp(link) != nil {
				t.Errorf("the interface %s cannot be named %s: %v", from, to, err)
			}
		}
		vips := addrs("10.9.0.1")
		r := &residence{sysctls: t.TempDir(), log: slog.New(slog.DiscardHandler), iface: "eth0"}
		if err := os.MkdirAll(filepath.Join(r.sysctls, "ipv4", "conf", "eth0"), 0o700); err != nil {
			t.Error(err)
		}
		r.serve(true)
		if err := r.set("eth0", vips, vips); err != nil || !slices.Equal(onLoopback(t), vips) {
			t.Errorf("%v, there are %v", err, onLoopback(t))
		}
		rename(loopback, "away")
		r.serve(false)
		rename("away", loopback)
		if !slices.Equal(onLoopback(t), vips) {
			t.Errorf("nothing is shown: %v", onLoopback(t))
		}
		r.refresh()
		if have := onLoopback(t); len(have) > 0 {
			t.Errorf("%v stays", have)
		}
	})
}
