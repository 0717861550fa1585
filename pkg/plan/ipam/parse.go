package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Options say how a pool is read and used.
type Options struct {
	// IncludeNetworkAndBroadcast gives out a CIDR's first and last IPv4 address and its first IPv6 address, too. By
	// default they are left out, as hosts and routers treat them as the subnet itself (RFC 1122, 3.2.1.3; RFC 4291,
	// 2.6.1). A /31, /32, /127 or /128 and everything written as a range or a single address is always given out whole.
	IncludeNetworkAndBroadcast bool
	// Manual keeps the pool out of automatic allocation.
	Manual bool
}

// ParsePool reads a pool from CIDRs ("10.0.0.0/24"), ranges ("10.0.0.10-10.0.0.20") and single addresses, of both
// families in any order. It fails on a malformed name or entry, an entry without usable addresses, and on entries that
// overlap; the error names the pool and the entries.
func ParsePool(name string, addresses []string, o Options) (Pool, error) {
	if !validName(name) {
		return Pool{}, fmt.Errorf("pool %q: the name must be 1 to 63 lower-case letters, digits and inner dashes", name)
	}
	if len(addresses) == 0 {
		return Pool{}, fmt.Errorf("pool %q: it has no addresses", name)
	}
	type entry struct {
		Range
		text string
	}
	entries := make([]entry, 0, len(addresses))
	for i, text := range addresses {
		r, err := parseRange(strings.TrimSpace(text), o)
		if err != nil {
			return Pool{}, fmt.Errorf("pool %q: addresses[%d] %q: %w", name, i, text, err)
		}
		entries = append(entries, entry{Range: r, text: text})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.From.Compare(b.From) })
	pool := Pool{Name: name, Manual: o.Manual}
	for i, e := range entries {
		if i > 0 && entries[i-1].Contains(e.From) {
			return Pool{}, fmt.Errorf("pool %q: %q and %q overlap", name, entries[i-1].text, e.text)
		}
		pool.Ranges = append(pool.Ranges, e.Range)
	}
	return pool, nil
}

// Check fails when two pools have the same name or an address in common; the error names both.
func Check(pools []Pool) error {
	type entry struct {
		Range
		pool string
	}
	var entries []entry
	for i, p := range pools {
		if _, twice := Named(pools[:i], p.Name); twice {
			return fmt.Errorf("pool %q is there twice", p.Name)
		}
		for _, r := range p.Ranges {
			entries = append(entries, entry{Range: r, pool: p.Name})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.From.Compare(b.From) })
	for i := 1; i < len(entries); i++ {
		if a, b := entries[i-1], entries[i]; a.Contains(b.From) {
			return fmt.Errorf("pools %q (%s) and %q (%s) overlap", a.pool, a.Range, b.pool, b.Range)
		}
	}
	return nil
}

// parseRange reads one entry.
func parseRange(text string, o Options) (Range, error) {
	var r Range
	var err error
	if from, to, ok := strings.Cut(text, "-"); ok {
		r, err = parseEnds(from, to)
	} else if strings.Contains(text, "/") {
		r, err = parsePrefix(text, o.IncludeNetworkAndBroadcast)
	} else {
		r, err = parseEnds(text, text)
	}
	if err != nil {
		return Range{}, err
	}
	for _, s := range special() {
		if first := s.prefix.Addr(); r.Contains(first) || s.prefix.Contains(r.From) {
			return Range{}, fmt.Errorf("%s is %s, no address of it can be a virtual IP", s.prefix, s.what)
		}
	}
	return r, nil
}

// parseEnds reads a range by its first and last address.
func parseEnds(first, last string) (Range, error) {
	from, err := parseAddr(first)
	if err != nil {
		return Range{}, err
	}
	to, err := parseAddr(last)
	if err != nil {
		return Range{}, err
	}
	if from.BitLen() != to.BitLen() {
		return Range{}, errors.New("the range mixes IPv4 and IPv6")
	}
	if to.Less(from) {
		return Range{}, errors.New("the range ends before it begins")
	}
	return Range{From: from, To: to}, nil
}

// parsePrefix reads a CIDR.
func parsePrefix(text string, whole bool) (Range, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Range{}, errors.New("not a CIDR, a range a-b or an address")
	}
	if p.Addr().Is4In6() {
		return Range{}, errors.New("write an IPv4 network in the IPv4 way")
	}
	if p != p.Masked() {
		return Range{}, fmt.Errorf("the address has bits beyond the prefix; the network is %s", p.Masked())
	}
	r := Range{From: p.Addr(), To: lastAddr(p)}
	if whole || p.Addr().BitLen()-p.Bits() <= 1 {
		return r, nil
	}
	r.From = r.From.Next()
	if r.To.Is4() {
		r.To = r.To.Prev()
	}
	return r, nil
}

// parseAddr reads an address.
func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	switch {
	case err != nil:
		return netip.Addr{}, errors.New("not a CIDR, a range a-b or an address")
	case a.Zone() != "":
		return netip.Addr{}, errors.New("an address with a zone cannot be a virtual IP")
	case a.Is4In6():
		return netip.Addr{}, fmt.Errorf("write it as the IPv4 address %s", a.Unmap())
	}
	return a, nil
}

// lastAddr returns the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// A specialPrefix is a network whose addresses cannot be virtual IPs.
type specialPrefix struct {
	prefix netip.Prefix
	what   string
}

// special returns the networks of the IANA special-purpose registries (RFC 6890) that no load balancer can serve.
// 169.254.0.0/16 and fe80::/10 also hold the anchors of the VRRP groups.
func special() []specialPrefix {
	return []specialPrefix{
		{netip.MustParsePrefix("0.0.0.0/8"), `"this network"`},
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
		{netip.MustParsePrefix("::/128"), "the unspecified address"},
		{netip.MustParsePrefix("::1/128"), "loopback"},
		{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4 mapped to IPv6"},
		{netip.MustParsePrefix("fe80::/10"), "link-local"},
		{netip.MustParsePrefix("ff00::/8"), "multicast"},
	}
}

// validName reports whether a pool may be called so: a DNS label, as users name it in their objects.
func validName(s string) bool {
	alnum := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	if s == "" || len(s) > 63 || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}
