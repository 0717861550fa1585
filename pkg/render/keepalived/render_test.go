package keepalived_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// A node's instances convert to the renderer's, so that nobody has to copy them field by field.
var _ = keepalived.Instance(nodeconfig.Instance{})

func TestBadInput(t *testing.T) {
	for name, change := range map[string]func(*keepalived.Input){
		"old version":          func(in *keepalived.Input) { in.Version = keepalived.Version{Major: 2, Minor: 2, Patch: 6} },
		"no interface":         func(in *keepalived.Input) { in.Interface = "" },
		"interface with space": func(in *keepalived.Input) { in.Interface = "eth0 }" },
		"long interface":       func(in *keepalived.Input) { in.Interface = "sixteen-letters-" },
		"no gate":              func(in *keepalived.Input) { in.Gate = "" },
		"quote in gate":        func(in *keepalived.Input) { in.Gate = `/run/"gate` },
		"advert too short":     func(in *keepalived.Input) { in.AdvertInterval = 5 * time.Millisecond },
		"advert too long":      func(in *keepalived.Input) { in.AdvertInterval = 41 * time.Second },
		"advert between steps": func(in *keepalived.Input) { in.AdvertInterval = 15 * time.Millisecond },
		"no weights":           func(in *keepalived.Input) { in.WeightDir = "" },
		"quote in weights":     func(in *keepalived.Input) { in.WeightDir = `/run/"weight` },
		"relative weights":     func(in *keepalived.Input) { in.WeightDir = "weight" },
		"family":               func(in *keepalived.Input) { in.Instances[0].Family = "IPX" },
		"group":                func(in *keepalived.Input) { in.Instances[0].Group = -1 },
		"VRID":                 func(in *keepalived.Input) { in.Instances[0].VRID = 0 },
		"priority 0":           func(in *keepalived.Input) { in.Instances[0].Priority = 0 },
		"priority 255":         func(in *keepalived.Input) { in.Instances[0].Priority = 255 },
		"no source":            func(in *keepalived.Input) { in.Instances[0].Source = netip.Addr{} },
		"source of 2 families": func(in *keepalived.Input) { in.Instances[0].Source = netip.MustParseAddr("fd00::1") },
		"zone":                 func(in *keepalived.Input) { in.Instances[1].Anchor = netip.MustParseAddr("fe80::1%x}") },
		"no anchor":            func(in *keepalived.Input) { in.Instances[0].Anchor = netip.Addr{} },
		"global IPv6 anchor":   func(in *keepalived.Input) { in.Instances[1].Anchor = netip.MustParseAddr("fd00::7") },
		"peer is itself":       func(in *keepalived.Input) { in.Instances[0].Peers = addrs("10.0.0.2", "10.0.0.1") },
		"multicast peer":       func(in *keepalived.Input) { in.Instances[0].Peers = addrs("224.0.0.18") },
		"same instance twice":  func(in *keepalived.Input) { in.Instances[1] = in.Instances[0] },
		"same VRID twice": func(in *keepalived.Input) {
			in.Instances[1] = four(1)
			in.Instances[1].VRID = in.Instances[0].VRID
		},
		"same anchor twice": func(in *keepalived.Input) {
			in.Instances[1] = four(1)
			in.Instances[1].Anchor = in.Instances[0].Anchor
		},
	} {
		in := input(four(0, "10.0.0.100"), six(0, "fd00::100"))
		change(&in)
		if res, err := keepalived.Render(in); err == nil || len(res.Files) > 0 {
			t.Errorf("%s: %v, %d files", name, err, len(res.Files))
		}
	}
}

// TestRefused has virtual IPs that no instance can carry among those that one can: they alone are left out.
func TestRefused(t *testing.T) {
	in := input(
		four(0, "10.0.0.1", "10.0.0.2", "10.0.0.100", "169.254.7.2", "fd00::9", "0.0.0.0", "127.0.0.1", "224.0.0.1"),
		four(1, "10.0.0.100", "10.0.0.100", "10.0.0.101"),
	)
	in.Instances[1].VIPs = append(in.Instances[1].VIPs, netip.Addr{})
	res, err := keepalived.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range res.Refused {
		got = append(got, r.Finding.String())
	}
	want := []string{
		"LB0403 virtual IP invalid IP is not an IPv4 address that a node can hold",
		"LB0403 virtual IP 0.0.0.0 is not an IPv4 address that a node can hold",
		"LB0403 virtual IP 10.0.0.1 is the address of a node",
		"LB0403 virtual IP 10.0.0.2 is the address of a node",
		"LB0403 virtual IP 10.0.0.100 is carried by instance lb_0_ipv4",
		"LB0403 virtual IP 127.0.0.1 is not an IPv4 address that a node can hold",
		"LB0403 virtual IP 169.254.7.2 is the anchor of instance lb_1_ipv4",
		"LB0403 virtual IP 224.0.0.1 is not an IPv4 address that a node can hold",
		"LB0403 virtual IP fd00::9 is not an IPv4 address that a node can hold",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sound, err := keepalived.Render(input(four(0, "10.0.0.100"), four(1, "10.0.0.101")))
	if diff := cmp.Diff(sound.Files, res.Files); diff != "" || err != nil {
		t.Errorf("%v, a refused address left something (-want +got):\n%s", err, diff)
	}
	accepted(t, res)
}

// TestOrder renders the same in another order, and leaves its input alone.
func TestOrder(t *testing.T) {
	reversed := input(six(0, "fd00::100", "fd00::101"), four(1), four(0, "10.0.0.101", "10.0.0.100", "10.0.0.1"))
	slices.Reverse(reversed.Instances[2].Peers)
	before := slices.Clone(reversed.Instances[2].VIPs)
	ordered := input(four(0, "10.0.0.1", "10.0.0.100", "10.0.0.101"), six(0, "fd00::101", "fd00::100"), four(1))
	want, err := keepalived.Render(ordered)
	if err != nil {
		t.Fatal(err)
	}
	got, err := keepalived.Render(reversed)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if !slices.Equal(before, reversed.Instances[2].VIPs) {
		t.Errorf("the input became %v", reversed.Instances[2].VIPs)
	}
}

// FuzzRender puts arbitrary values into an instance: nothing panics, and whatever is rendered has the lines of a sound
// configuration and no other.
func FuzzRender(f *testing.F) {
	f.Add("eth0", "/run/gate", "IPv4", uint8(1), uint8(100),
		[]byte{10, 0, 0, 1}, []byte{169, 254, 0, 1}, []byte{10, 0, 0, 9}, int64(5e7), "/run/weight")
	f.Add("eth0}", "/run/\"\ngate", "IPv6", uint8(0), uint8(0),
		[]byte{}, []byte{1}, make([]byte, 16), int64(-1), "/run/}\nweight")
	f.Add("e-._@0", "/run/../gate", "IPX\n", uint8(255), uint8(255),
		make([]byte, 16), make([]byte, 4), []byte{10, 0, 0, 1}, int64(1e7), "/")
	f.Fuzz(func(t *testing.T, dev, gate, family string, vrid, prio uint8,
		source, anchor, vip []byte, advert int64, weights string,
	) {
		i := keepalived.Instance{Family: lb.Family(family), VRID: vrid, Priority: prio}
		i.Source, _ = netip.AddrFromSlice(source)
		i.Anchor, _ = netip.AddrFromSlice(anchor)
		v, _ := netip.AddrFromSlice(vip)
		i.VIPs = []netip.Addr{v}
		res, err := keepalived.Render(keepalived.Input{
			Interface: dev, Gate: gate, AdvertInterval: time.Duration(advert), WeightDir: weights,
			Instances: []keepalived.Instance{i},
		})
		if err != nil {
			return
		}
		text, _ := res.Files.Get(keepalived.ConfigName)
		lines, blocks := bytes.Count(text, []byte("\n")), bytes.Count(text, []byte("{"))
		wantLines, wantBlocks := 48, 8
		if len(res.Refused) > 0 {
			wantLines, wantBlocks = 45, 7
		}
		if lines != wantLines || blocks != wantBlocks || bytes.ContainsAny(text[1:], "#!@$'\t\r") {
			t.Errorf("%d lines and %d blocks, want %d and %d:\n%s", lines, blocks, wantLines, wantBlocks, text)
		}
	})
}
