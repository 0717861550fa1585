package keepalived

import (
	"net/netip"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// ConfigName is the path of the only file that is rendered.
const ConfigName = "keepalived.conf"

// DefaultAdvertInterval is the time between adverts where the input does not say.
const DefaultAdvertInterval = 50 * time.Millisecond

// Input is everything that keepalived's configuration depends on.
type Input struct {
	// Version is keepalived's; zero means [Oldest].
	Version Version
	// Interface is the network interface that carries the adverts and the virtual IPs.
	Interface string
	// Gate is the absolute path of a file: while it holds a number other than 0, no instance takes or keeps addresses.
	Gate string
	// WeightDir is the absolute path of a directory with a file for each group, named by its ID: the number in it is
	// added to the node's priority in that group, such as 0, or -127 to withhold the group.
	WeightDir string
	// AdvertInterval is the time between adverts, 10 ms to 40.95 s in steps of 10 ms; zero means
	// [DefaultAdvertInterval].
	AdvertInterval time.Duration
	// Instances may be in any order.
	Instances []Instance
}

// Instance is a VRRP instance of this node: a group of virtual IPs of one address family. It has the fields of
// nodeconfig.Instance, so that one converts to the other.
type Instance struct {
	// Group numbers the instance; there is at most one of each group and family.
	Group  int
	Family lb.Family
	// VRID is the virtual router identifier, 1 to 255.
	VRID uint8
	// Priority is this node's, 1 to 254.
	Priority uint8
	// Source is this node's address for adverts.
	Source netip.Addr
	// Peers are the other nodes' addresses for adverts, in any order.
	Peers []netip.Addr
	// Anchor is the one address that adverts name; of IPv6 it is link-local.
	Anchor netip.Addr
	// VIPs are the virtual IPs that the instance carries, in any order.
	VIPs []netip.Addr
}

// Result is the rendered configuration.
type Result struct {
	Files render.Files
	// Refused are the virtual IPs that were left out, sorted.
	Refused []Refusal
}

// Refusal is a virtual IP that no instance can carry, and why.
type Refusal struct {
	VIP netip.Addr
	lb.Finding
}
