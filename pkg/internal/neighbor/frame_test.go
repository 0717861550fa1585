package neighbor

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

var self = Hardware{2, 0, 0, 0, 0, 1}

func at(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestFrames compares with frames taken down by hand from the RFCs.
func TestFrames(t *testing.T) {
	none := netip.Addr{}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"probe": {arp(self, none, at("10.0.0.9")),
			"ffffffffffff020000000001" + "0806" + "0001080006040001" + "02000000000100000000" + "0000000000000a000009"},
		"request": {arp(self, at("10.0.0.1"), at("10.0.0.9")),
			"ffffffffffff020000000001" + "0806" + "0001080006040001" + "0200000000010a000001" + "0000000000000a000009"},
		"announcement": {arp(self, at("10.0.0.9"), at("10.0.0.9")),
			"ffffffffffff020000000001" + "0806" + "0001080006040001" + "0200000000010a000009" + "0000000000000a000009"},
		"DAD": {solicitation(self, none, at("fd00::1:2345")),
			"3333ff012345020000000001" + "86dd" + "6000000000183aff" + "00000000000000000000000000000000" +
				"ff0200000000000000000001ff012345" + "8700" + "371b" + "00000000" + "fd000000000000000000000000012345"},
		"solicitation": {solicitation(self, at("fd00::1"), at("fd00::2")),
			"3333ff000002020000000001" + "86dd" + "6000000000203aff" + "fd000000000000000000000000000001" +
				"ff0200000000000000000001ff000002" + "8700" + "7d97" + "00000000" + "fd000000000000000000000000000002" +
				"0101020000000001"},
		"advertisement": {advertisement(self, at("fd00::2")),
			"333300000001020000000001" + "86dd" + "6000000000203aff" + "fd000000000000000000000000000002" +
				"ff020000000000000000000000000001" + "8800" + "5a99" + "20000000" + "fd000000000000000000000000000002" +
				"0201020000000001"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	if c, ok := parseARP(arp(self, at("10.0.0.1"), at("10.0.0.9"))); !ok || c != (claim{at("10.0.0.1"), self}) {
		t.Errorf("ARP: %v, %v", c, ok)
	}
	na := advertisement(self, at("fd00::2"))
	if c, ok := parseAdvertisement(na); !ok || c != (claim{at("fd00::2"), self}) {
		t.Errorf("advertisement: %v, %v", c, ok)
	}
	proxied := append([]byte(nil), na...)
	proxied[len(proxied)-1] = 7
	if c, ok := parseAdvertisement(proxied); !ok || c.hardware != (Hardware{2, 0, 0, 0, 0, 7}) {
		t.Errorf("advertisement for another: %v, %v", c, ok)
	}
	bare := na[:neighborSize]
	if c, ok := parseAdvertisement(bare); !ok || c.hardware != self {
		t.Errorf("advertisement without option: %v, %v", c, ok)
	}
	for name, change := range map[string]func(f []byte){
		"from beyond a router": func(f []byte) { f[etherSize+7] = 254 },
		"not ICMP":             func(f []byte) { f[etherSize+6] = 6 },
		"a solicitation":       func(f []byte) { f[etherSize+ipv6Size] = typeSolicitation },
		"IPv4":                 func(f []byte) { f[12], f[13] = 8, 0 },
	} {
		f := append([]byte(nil), na...)
		change(f)
		if c, ok := parseAdvertisement(f); ok {
			t.Errorf("%s is taken for %v", name, c)
		}
	}
	if _, ok := parseARP(na); ok {
		t.Error("an advertisement is taken for ARP")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(arp(self, at("10.0.0.1"), at("10.0.0.9")))
	f.Add(advertisement(self, at("fd00::2")))
	f.Add(solicitation(self, netip.Addr{}, at("fd00::2")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := parseARP(b); ok && !c.address.Is4() {
			t.Errorf("%x: %v", b, c)
		}
		if c, ok := parseAdvertisement(b); ok && !c.address.Is6() {
			t.Errorf("%x: %v", b, c)
		}
		answers(b, 1)
	})
}
