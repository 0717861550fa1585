package octavia

import "fmt"

// Verb is what an operation does.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
	// Fill replaces all members of a pool in one call.
	Fill Verb = "fill"
)

// Kind is what an operation is about.
type Kind string

// The kinds.
const (
	KindLoadBalancer Kind = "loadbalancer"
	KindListener     Kind = "listener"
	KindPool         Kind = "pool"
	KindMonitor      Kind = "monitor"
	KindPolicy       Kind = "policy"
	KindRule         Kind = "rule"
)

// Op is one call that changes something. Octavia takes one at a time for a load balancer.
type Op struct {
	Verb Verb
	Kind Kind
	// Name is what it is about: a listener, a pool (also for its monitor and members), or a policy (also for its rules).
	Name string
	// ID is that of what is updated or deleted; NeedsID says that it must be read first.
	ID      string
	NeedsID bool
	// Listener, Pool and Policy are as they shall be.
	Listener *Listener
	Pool     *Pool
	Policy   *Policy
	// Port is that of the policy's listener; Position is the policy's among those of the listener, or the rule's among
	// those of the policy, from 1.
	Port     uint16
	Position int
}

// String returns such as "create listener tcp-80".
func (o Op) String() string { return fmt.Sprintf("%s %s %s", o.Verb, o.Kind, o.Name) }
