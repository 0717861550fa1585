package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// rangesName is the file of the variables that tell whether an address is in ranges.
const rangesName = "ranges.conf"

// The variables that addresses are looked up by: who the client is, and who the peer of the connection.
const (
	clientAddress = "$remote_addr"
	peerAddress   = "$realip_remote_addr"
)

// A rangeSet is a variable of nginx's that is 1 where an address is in one of the ranges, else 0. Each has a tree in
// the memory of every worker, so listeners that ask for the same have it together.
type rangeSet struct {
	address string
	ranges  []netip.Prefix
}

// variable names the set by what is in it.
func (s rangeSet) variable() string {
	var texts []string
	for _, p := range s.ranges {
		texts = append(texts, p.String())
	}
	sum := sha256.Sum256([]byte(strings.Join(texts, " ")))
	kind := map[string]string{clientAddress: "client", peerAddress: "peer"}[s.address]
	return "$lb_" + kind + "_" + hex.EncodeToString(sum[:8])
}

// clients returns the set of those whom a listener lets in.
func clients(o lb.Options) rangeSet { return rangeSet{clientAddress, o.Sources} }

// peers returns the set of the proxies that a listener trusts.
func peers(o lb.Options) rangeSet { return rangeSet{peerAddress, o.TrustedProxies} }

// needs remembers the sets of an HTTP listener.
func (b *builder) needs(s lb.Listener) {
	if len(s.Options.Sources) > 0 {
		set := clients(s.Options)
		b.ranges[set.variable()] = set
	}
	if trusts(s) {
		set := peers(s.Options)
		b.ranges[set.variable()] = set
	}
}

// rangesFile returns the sets of all listeners. The ranges are canonical, so it holds no text of a user's.
func (b *builder) rangesFile() render.File {
	var t render.Text
	for _, name := range slices.Sorted(maps.Keys(b.ranges)) {
		set := b.ranges[name]
		t.Block("geo "+set.address+" "+name, func() {
			t.Line("default 0;")
			for _, p := range set.ranges {
				t.Line(p.String(), "1;")
			}
		})
	}
	return render.File{Path: rangesName, Data: t.Bytes()}
}
