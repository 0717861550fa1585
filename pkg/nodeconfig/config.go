package nodeconfig

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Fleet is what all load-balancer nodes share: who they are, and how VRRP runs between them.
type Fleet struct {
	Version int `json:"version"`
	// Revision grows by at least one with every change of the document.
	Revision int64 `json:"revision"`
	// Cluster is the UID of the kube-system namespace.
	Cluster string `json:"cluster"`
	// Nodes are sorted by name.
	Nodes []Node `json:"nodes"`
	// Groups are sorted by ID.
	Groups  []Group `json:"groups"`
	Timing  Timing  `json:"timing"`
	Witness Witness `json:"witness,omitzero"`
	// Rebalanced is the ID of the last [Rebalance] that the groups' homes follow.
	Rebalanced string `json:"rebalanced,omitempty"`
}

// Node is a load-balancer node.
type Node struct {
	Name string `json:"name"`
	// Addresses are the node's own addresses for VRRP, at most one of each family, IPv4 first.
	Addresses []netip.Addr `json:"addresses"`
	// Phase is empty for a full member.
	Phase Phase `json:"phase,omitempty"`
	// Since is the fleet's revision in which the phase began, 0 for a full member.
	Since int64 `json:"since,omitempty"`
}

// Phase says how far a node is on its way into the fleet or out of it. Two owners of an address arise where two nodes
// do not know each other as peers, so everybody hears of a newcomer before it speaks, and of a leaver until it is
// silent.
type Phase string

const (
	// PhaseJoining nodes are everybody's peers already, and announce nothing until every other node has reported that
	// it runs a fleet that has them.
	PhaseJoining Phase = "Joining"
	// PhaseLeaving nodes are everybody's peers still: they drain, stop announcing, and report that.
	PhaseLeaving Phase = "Leaving"
)

// Address returns the node's address of a family, if it has one.
func (n Node) Address(f lb.Family) (netip.Addr, bool) {
	for _, a := range n.Addresses {
		if lb.FamilyOf(a) == f {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Group is a set of virtual IPs that move together: one VRRP instance for each address family in use.
type Group struct {
	// ID numbers the group from 0. It never changes, and load balancers refer to it.
	ID int `json:"id"`
	// VRID is the virtual router identifier, 1 to 255 (RFC 5798, 5.2.3); IPv4 and IPv6 may share one.
	VRID uint8 `json:"vrid"`
	// Home is the node that carries the group as long as it can.
	Home string `json:"home"`
	// Former is the node that was the home before, as long as not every node is known to have heard of the new one. It is
	// second until then: a node that still knows the old order only must not come between the two.
	Former string `json:"former,omitempty"`
	// Priorities are sorted by node name; a node that is not listed takes no part.
	Priorities []Priority `json:"priorities"`
	// Anchors are the addresses in the adverts themselves, one of each family, which never change: keepalived refuses
	// adverts whose address list differs from its own, so the addresses that come and go are kept out of them.
	Anchors []netip.Addr `json:"anchors"`
}

// Priority is a node's VRRP priority in a group, 1 to 254; the highest that is alive carries the group.
type Priority struct {
	Node     string `json:"node"`
	Priority uint8  `json:"priority"`
}

// Timing is how fast VRRP notices and acts.
type Timing struct {
	// AdvertInterval is the time between adverts, 10 ms to 40.95 s in steps of 10 ms (keepalived.conf(5), advert_int).
	// A dead node is noticed after three of them and a skew.
	AdvertInterval Duration `json:"advertInterval"`
	// HoldTime is how long a node that is back, or no longer drained, must have been well before it takes its share back.
	HoldTime Duration `json:"holdTime"`
}

// DefaultTiming suits machines that are not paused: a lost node is taken over from in about 150 ms.
func DefaultTiming() Timing {
	return Timing{AdvertInterval: Duration(50 * time.Millisecond), HoldTime: Duration(5 * time.Second)}
}

// Witness is what a node asks whether it still has the network that its virtual IPs are for. One that gets no answer
// gives its addresses up rather than become a second owner.
type Witness struct {
	// Mode is empty for none, or one of the modes.
	Mode WitnessMode `json:"mode,omitempty"`
	// Addresses are asked; an answer of any of them will do. Empty means the default gateways of the node's interface.
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

// WitnessMode is how a witness is asked.
type WitnessMode string

const (
	// WitnessARP asks by ARP (IPv6: neighbour solicitation): for witnesses on the same segment.
	WitnessARP WitnessMode = "arp"
	// WitnessPing asks by ICMP echo: for witnesses anywhere.
	WitnessPing WitnessMode = "ping"
)

// Shard holds some of the load balancers; each is in exactly one shard.
type Shard struct {
	Version int `json:"version"`
	// Revision grows by at least one with every change of the document, and is never reused by a shard of that name.
	Revision int64 `json:"revision"`
	// LoadBalancers are sorted by key.
	LoadBalancers []Entry `json:"loadBalancers"`
	// Withdrawn are sorted by key.
	Withdrawn []Withdrawal `json:"withdrawn,omitempty"`
}

// Entry is a load balancer and the group that carries its virtual IPs.
type Entry struct {
	lb.LoadBalancer
	Group int `json:"group"`
	// Requires are the features that a reader has to know to serve it ([Requires]), sorted. One that does not leaves this
	// load balancer as it was, and the others alone.
	Requires []Feature `json:"requires,omitempty"`
	// Revision is the shard's revision when this entry last changed. A node runs the entry as it stands once it runs the
	// shard at this revision or later, whatever happened to the entry's neighbours since.
	Revision int64 `json:"revision"`
}

// Withdrawal is the memory of a removed load balancer's addresses; see the package comment.
type Withdrawal struct {
	lb.Key
	VIPs []netip.Addr `json:"vips"`
	// Group is the one that carried them: given back while a node may still hold them, they go to it again, or two
	// groups would carry them.
	Group int `json:"group"`
	// Revision is the revision of the shard that first lacked them.
	Revision int64 `json:"revision"`
}

// Config is everything that a daemon has been told.
type Config struct {
	Fleet Fleet `json:"fleet"`
	// Shards are keyed by the name of their ConfigMap.
	Shards map[string]Shard `json:"shards"`
	// Orders are those of the nodes, by node.
	Orders map[string]Order `json:"orders,omitempty"`
}

// LoadBalancers returns the entries of all shards, sorted by key, each key once. A key that two shards hold, as they
// can for the moment between two writes, comes from the shard of the higher revision (then the smaller name): a move
// is written to its destination first, under a revision above that of the shard it leaves.
func (c Config) LoadBalancers() []Entry {
	names := slices.SortedFunc(maps.Keys(c.Shards), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.Shards[b].Revision, c.Shards[a].Revision), strings.Compare(a, b))
	})
	var all []*Entry // for they are large, and sorting moves them about
	for _, name := range names {
		entries := c.Shards[name].LoadBalancers
		for i := range entries {
			all = append(all, &entries[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *Entry) int { return a.Origin.Key.Compare(b.Origin.Key) })
	all = slices.CompactFunc(all, func(a, b *Entry) bool { return a.Origin.Key == b.Origin.Key })
	out := make([]Entry, 0, len(all))
	for _, e := range all {
		out = append(out, *e)
	}
	return out
}
