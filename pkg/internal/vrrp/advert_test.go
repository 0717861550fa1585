package vrrp

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// same compares adverts.
func same(t *testing.T, got, want Advert) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestEncode(t *testing.T) {
	for name, c := range map[string]struct {
		advert   Advert
		from, to netip.Addr
		want     string
	}{
		"IPv4": {
			Advert{VRID: 51, Interval: 50 * time.Millisecond, Addresses: []netip.Addr{addr("169.254.7.1")}},
			addr("10.0.0.1"), addr("10.0.0.2"), "31330001" + "0005" + "0948" + "a9fe0701",
		},
		"IPv6": {
			Advert{VRID: 51, Interval: time.Second, Addresses: []netip.Addr{addr("fe80::7:1")}},
			addr("fd00::1"), addr("fd00::2"), "31330001" + "0064" + "d551" + "fe800000000000000000000000070001",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.advert.encode(c.from, c.to)
			// The sum over a message with its own checksum is zero.
			if rest := checksum(got, c.from, c.to); rest != 0 {
				t.Errorf("the checksum is off by %#04x", rest)
			}
			if hex.EncodeToString(got) != c.want {
				t.Errorf("got %x, want %s", got, c.want)
			}
			back, err := parse(got, c.from.Is6())
			if err != nil {
				t.Fatal(err)
			}
			c.advert.Version = 3
			same(t, back, c.advert)
		})
	}
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		six  bool
		want Advert
	}{
		// RFC 3768, 5.1, with the 8 bytes of authentication data at its end.
		"version 2": {"21336401" + "0001" + "bb5a" + "0a000064" + "0000000000000000", false,
			Advert{Version: 2, VRID: 51, Priority: 100, Addresses: []netip.Addr{addr("10.0.0.100")}}},
		"fewer addresses than it says": {"31336403" + "0064" + "0000" + "0a000064" + "0a00", false,
			Advert{Version: 3, VRID: 51, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{addr("10.0.0.100")}}},
		"none": {"3101ff00" + "ffff" + "0000", true, Advert{Version: 3, VRID: 1, Priority: 255, Interval: 40950 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(b, c.six)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, c.want)
		})
	}
	for name, text := range map[string]string{
		"empty": "", "short": "31336401000100", "version 4": "4133640100010000", "another type": "3233640100010000",
		"router 0": "3100640100010000",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parse(b, false); err == nil {
			t.Errorf("%s: took %q for %+v", name, text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x31\x33\x64\x01\x00\x64\x00\x00\x0a\x00\x00\x01"), false)
	f.Add([]byte("\x21\x33\x64\xff\x00\x64\x00\x00"), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		a, err := parse(b, six)
		if err != nil {
			return
		}
		if a.VRID == 0 || len(a.Addresses) > int(b[3]) {
			t.Errorf("%x became %+v", b, a)
		}
		for _, addr := range a.Addresses {
			if addr.Is6() != six {
				t.Errorf("%s has the wrong family", addr)
			}
		}
		a.Version = 3
		again, err := parse(a.encode(addr("fd00::1"), addr("fd00::2")), six)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, a)
	})
}
