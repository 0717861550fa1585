package nodeconfig

import (
	"net/netip"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// HeartbeatInterval is how often a daemon writes its status when nothing changes.
const HeartbeatInterval = 10 * time.Second

// StaleAfter is the age at which a status no longer says anything about the present.
const StaleAfter = 3 * HeartbeatInterval

// Status is what a node's daemon says about itself.
type Status struct {
	Version int    `json:"version"`
	Node    string `json:"node"`
	// Reported is when the daemon wrote this.
	Reported time.Time `json:"reported"`
	Versions Versions  `json:"versions"`
	// Wanted is the configuration that the daemon has been told to run; Running is the one that it has verified to run.
	// They differ while it works, and for good when the wanted one was refused.
	Wanted  Running `json:"wanted"`
	Running Running `json:"running"`
	// Holding are the virtual IPs on this node's interfaces now, sorted.
	Holding []netip.Addr `json:"holding"`
	// Groups are the VRRP states, sorted by ID.
	Groups []GroupStatus `json:"groups"`
	// Processes are the supervised daemons, sorted by name.
	Processes []Process `json:"processes"`
	// Findings say what the node could not do, sorted by load balancer.
	Findings []NodeFinding `json:"findings,omitempty"`
}

// Versions are the versions of the software on a node, such as "1.22.1"; empty when unknown.
type Versions struct {
	Daemon     string `json:"daemon"`
	Nginx      string `json:"nginx"`
	Keepalived string `json:"keepalived"`
}

// Running names a configuration by what it was made from.
type Running struct {
	// Generation is the hash of the rendered files; empty before the first.
	Generation string `json:"generation"`
	// Fleet and Shards are the revisions it was made from.
	Fleet  int64            `json:"fleet"`
	Shards map[string]int64 `json:"shards,omitempty"`
	// Since is when it became so.
	Since time.Time `json:"since"`
}

// GroupStatus is the state of a VRRP group on a node.
type GroupStatus struct {
	ID     int       `json:"id"`
	Family lb.Family `json:"family"`
	// State is "MASTER" or "BACKUP", as seen by who has the group's anchor address.
	State string    `json:"state"`
	Since time.Time `json:"since"`
}

// The states of a VRRP group on a node.
const (
	StateMaster = "MASTER"
	StateBackup = "BACKUP"
)

// Process is a supervised daemon.
type Process struct {
	Name string `json:"name"`
	// PID is 0 while it does not run.
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
}

// NodeFinding is a finding about a load balancer on this node, or about the node itself when Key is zero.
type NodeFinding struct {
	Key lb.Key `json:"key"`
	lb.Finding
}

// Stale reports whether the status is too old at that time to say anything about the present.
func (s Status) Stale(now time.Time) bool { return now.Sub(s.Reported) > StaleAfter }
