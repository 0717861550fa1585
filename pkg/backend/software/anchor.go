package software

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// withAnchors gives each group that has none its anchor addresses, one of each family. They are link-local, follow from
// the cluster and the group alone, and differ between groups, so that two clusters on one segment hardly ever collide
// and a lost fleet document comes back with the same ones.
func withAnchors(cluster string, groups []nodeconfig.Group) []nodeconfig.Group {
	taken := map[netip.Addr]bool{}
	for _, g := range groups {
		for _, a := range g.Anchors {
			taken[a] = true
		}
	}
	out := slices.Clone(groups)
	for i := range out {
		for salt := 0; len(out[i].Anchors) == 0; salt++ {
			v4, v6 := anchors(cluster, out[i].ID, salt)
			if taken[v4] || taken[v6] {
				continue
			}
			taken[v4], taken[v6] = true, true
			out[i].Anchors = []netip.Addr{v4, v6}
		}
	}
	return out
}

// anchors returns candidates of both families. IPv4: 169.254.1.1 to 169.254.254.254 (RFC 3927, 2.1) without
// 169.254.169.x, where clouds keep their metadata services, and without .0 and .255. IPv6: fe80::/64.
func anchors(cluster string, id, salt int) (v4, v6 netip.Addr) {
	h := sha256.Sum256(fmt.Appendf(nil, "kubectl-lb anchor/%s/%d/%d", cluster, id, salt))
	third := 1 + int(h[0])%253 // 1 to 253
	if third >= 169 {
		third++ // 170 to 254
	}
	fourth := 1 + int(h[1])%254 // 1 to 254
	v4 = netip.AddrFrom4([4]byte{169, 254, byte(third), byte(fourth)})
	six := [16]byte{0: 0xfe, 1: 0x80}
	copy(six[8:], h[2:10])
	return v4, netip.AddrFrom16(six)
}
