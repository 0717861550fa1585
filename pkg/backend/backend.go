// Package backend says what a backend is: something that makes load balancers exist, such as the project's own daemons
// or OpenStack Octavia. Each backend has a package of its own below this one.
//
// Backends know nothing of sources.
package backend

import (
	"context"
	"net/netip"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
)

// Backend makes a set of load balancers exist and says how they fare.
type Backend interface {
	// Name is the backend's name in the configuration, such as "software".
	Name() string
	// Capabilities say what it can do.
	Capabilities() lb.Capabilities
	// State returns what it has been told to serve and how that fares. It survives a restart of the controller.
	State(ctx context.Context) (State, error)
	// Apply makes exactly these load balancers exist, sorted by key; what is no longer among them is withdrawn. It is
	// idempotent, and may be called again after an error.
	Apply(ctx context.Context, want []lb.LoadBalancer) error
}

// State is what a backend serves.
type State struct {
	// LoadBalancers are the last good versions, sorted by key.
	LoadBalancers []lb.LoadBalancer
	// Withdrawn are addresses not yet known to be gone from everywhere.
	Withdrawn []plan.Hold
	// Health is keyed by load balancer; one that is missing has not been applied yet. One that is on its way out is in it
	// as well, where the backend knows how that fares.
	Health map[lb.Key]Health
	// Nodes are the nodes that serve, sorted by name; none where the backend has no nodes of its own.
	Nodes []Node
	// Expires is when the state may change without anybody telling, such as a node's report that grows too old; zero
	// where it never does.
	Expires time.Time
}

// Health is how a load balancer fares.
type Health struct {
	// Ready says that its addresses answer.
	Ready bool
	// Reason says in plain words what is missing while it is not ready, such as "1 of 3 nodes run it".
	Reason string
	// Moving says that nothing is missing but an owner of an address that may be on its way between nodes, as in a drain:
	// who called it ready so far had better wait for what comes of it.
	Moving bool
	// Findings are the backend's own, such as a node that refused the configuration.
	Findings []lb.Finding
	// Cloud is what the cloud says of it; nil where there is no cloud, or nothing is known yet.
	Cloud *lb.CloudStatus
	// Disputes are the addresses without exactly one owner. Each has a finding as well.
	Disputes []Dispute
}

// Node is a node that serves load balancers.
type Node struct {
	Name string
	// Phase is one of the phases below.
	Phase string
	// Notices are what its people should know.
	Notices []Notice
}

// The phases of a [Node].
const (
	PhaseMember  = "member"
	PhaseJoining = "joining"
	PhaseLeaving = "leaving"
)

// Notice is something about a node that does not go away by itself.
type Notice struct {
	// Reason is a word for machines, such as "JoinWaits".
	Reason string
	// Message says it in words, and what to do.
	Message string
}

// The kinds of [Dispute].
const (
	// DisputeTwoOwners: more than one node holds the address.
	DisputeTwoOwners = "two-owners"
	// DisputeNoOwner: no node holds it although there are some that could.
	DisputeNoOwner = "no-owner"
	// DisputeForeignOwner: a machine that is no node of ours answers for it.
	DisputeForeignOwner = "foreign-owner"
)

// The causes of a [Dispute].
const (
	CausePartition   = "partition"
	CauseSkew        = "skewed-configuration"
	CauseForeignVRID = "foreign-vrid"
	CauseForeign     = "foreign-machine"
	CauseUnknown     = "unknown"
)

// Dispute is an address that has not exactly one owner.
type Dispute struct {
	Address netip.Addr
	// Kind and Cause are words for machines, of those above.
	Kind, Cause string
}
