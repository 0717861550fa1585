package nodeconfig

import (
	"slices"
	"time"
)

// Orders are what people ask of the nodes, with kubectl lb: to drain one, to drill, to rebalance. They are kept in one
// ConfigMap of a fixed name, so that leave to change that one is all that an operator needs (RBAC, resourceNames), with
// a key for each node and one for the fleet, so that two people's orders never overwrite each other's.
const (
	OrdersName = "lb-orders"
	AppOrders  = "kubectl-lb-orders"
	// KeyOrderPrefix starts the key of a node's [Order]; the node's name follows.
	KeyOrderPrefix = "node."
	// KeyRebalance is the key of the [Rebalance].
	KeyRebalance = "rebalance"
)

// OrderKey returns the key of a node's order.
func OrderKey(node string) string { return KeyOrderPrefix + node }

// Order is what is asked of one node. A node without an order serves its share.
type Order struct {
	Version int `json:"version"`
	// Drain, while it is there, keeps the node from carrying any address.
	Drain *Drain `json:"drain,omitempty"`
	// Drill is the fault to perform. Taking it away ends the fault at once.
	Drill *Drill `json:"drill,omitempty"`
}

// Drain keeps a node free of addresses: it hands over those it has, and takes none unless no other node is left.
type Drain struct {
	Since time.Time `json:"since"`
	// By is who asked, and Reason why; both may be empty.
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Drill is a fault performed on purpose, on the node whose order it is in. The node restores itself after Duration,
// whatever becomes of who asked, and never performs a drill that was ordered before its daemon started.
type Drill struct {
	// ID tells drills apart; each is performed once.
	ID   string    `json:"id"`
	Kind DrillKind `json:"kind"`
	// Requested is when it was asked for, by the clock of who asked.
	Requested time.Time `json:"requested"`
	// Duration is how long the fault lasts unless it is ended before, at most [MaxDrill].
	Duration Duration `json:"duration"`
	By       string   `json:"by,omitempty"`
}

// MaxDrill is the longest that a node leaves a fault in place.
const MaxDrill = 2 * time.Minute

// DrillKind is a kind of fault.
type DrillKind string

// The kinds of drills. All of them concern the whole node.
const (
	// DrillDrain hands the addresses over as `kubectl lb drain` does.
	DrillDrain DrillKind = "drain"
	// DrillCrash silences the node as its death would: keepalived is killed, no advert says goodbye, and the addresses
	// stop answering at once.
	DrillCrash DrillKind = "crash"
	// DrillNginx kills nginx and keeps it down.
	DrillNginx DrillKind = "nginx"
	// DrillIsolate cuts the node's adverts, its ARP and its virtual IPs off, in both directions.
	DrillIsolate DrillKind = "isolate"
)

// DrillKinds returns every kind.
func DrillKinds() []DrillKind {
	return []DrillKind{DrillDrain, DrillCrash, DrillNginx, DrillIsolate}
}

// Valid reports whether the kind exists.
func (k DrillKind) Valid() bool { return slices.Contains(DrillKinds(), k) }

// Rebalance asks the controller to spread the groups anew over the nodes there are. The fleet's Rebalanced holds the
// last ID that was dealt with.
type Rebalance struct {
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	Requested time.Time `json:"requested"`
	By        string    `json:"by,omitempty"`
}
