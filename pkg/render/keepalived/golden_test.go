package keepalived_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

var update = rendertest.UpdateFlag()

// addrs parses addresses.
func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range texts {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

// input is what the golden files are made with.
func input(instances ...keepalived.Instance) keepalived.Input {
	return keepalived.Input{
		Interface: "eth0", Gate: "/run/kubectl-lb/gate", WeightDir: "/run/kubectl-lb/weight", Instances: instances,
	}
}

// four is an IPv4 instance of node 10.0.0.1 among two peers.
func four(group int, vips ...string) keepalived.Instance {
	return keepalived.Instance{
		Group: group, Family: lb.IPv4, VRID: uint8(50 + group), Priority: uint8(200 - 50*group),
		Source: netip.MustParseAddr("10.0.0.1"), Peers: addrs("10.0.0.3", "10.0.0.2"),
		Anchor: netip.MustParseAddr(fmt.Sprintf("169.254.7.%d", group+1)), VIPs: addrs(vips...),
	}
}

// six is the IPv6 instance of the same node.
func six(group int, vips ...string) keepalived.Instance {
	return keepalived.Instance{
		Group: group, Family: lb.IPv6, VRID: uint8(50 + group), Priority: uint8(200 - 50*group),
		Source: netip.MustParseAddr("fd00::1"), Peers: addrs("fd00::2", "fd00::3"),
		Anchor: netip.MustParseAddr(fmt.Sprintf("fe80::7:%d", group+1)), VIPs: addrs(vips...),
	}
}

func goldens() map[string]keepalived.Input {
	alone := four(0, "10.0.0.100")
	alone.Peers = nil
	aloneSix := six(0, "fd00::100")
	aloneSix.Peers = nil
	slow := input(four(0))
	slow.Version = keepalived.Version{Major: 2, Minor: 4, Patch: 3}
	slow.AdvertInterval = time.Second
	many := four(0)
	for i := range 1000 {
		many.VIPs = append(many.VIPs, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	return map[string]keepalived.Input{
		"empty":    input(),
		"no-vips":  input(four(0), four(1), four(2)),
		"ipv4":     input(four(0, "10.0.0.101", "10.0.0.100")),
		"ipv6":     input(six(0, "fd00::100")),
		"dual":     input(six(1, "fd00::101"), four(1, "10.0.0.101"), six(0, "fd00::100"), four(0, "10.0.0.100")),
		"alone":    input(alone, aloneSix),
		"slow-2.4": slow,
		"many":     input(many, four(1)),
	}
}

func TestGolden(t *testing.T) {
	for name, in := range goldens() {
		t.Run(name, func(t *testing.T) {
			res, err := keepalived.Render(in)
			if err != nil || len(res.Refused) > 0 {
				t.Fatal(err, res.Refused)
			}
			rendertest.Golden(t, filepath.Join("testdata", name), res.Files, *update)
			accepted(t, res)
		})
	}
}

// accepted feeds the configuration to the real keepalived -t.
func accepted(tb testing.TB, res keepalived.Result) {
	tb.Helper()
	dir := tb.TempDir()
	rendertest.Write(tb, dir, res.Files)
	cmd := rendertest.Sandboxed(tb, "keepalived", "-t", "-f", filepath.Join(dir, keepalived.ConfigName))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		tb.Errorf("keepalived -t: %v\n%s", err, out)
	}
}
