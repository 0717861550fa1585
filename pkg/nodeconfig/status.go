package nodeconfig

import (
	"net/netip"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// HeartbeatInterval is how often a daemon writes its status when nothing changes.
const HeartbeatInterval = 10 * time.Second

// DaemonManager is the field manager (server-side apply) by which daemons write their status. The API server notes
// under that name when it stored the last one.
const DaemonManager = "lb-daemon"

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
	// Hardware is the hardware address of the interface that carries the virtual IPs, such as "02:42:0a:58:00:0b".
	Hardware string `json:"hardware,omitempty"`
	// Addresses are those of the interface that the daemon was told to use, at most one of each family, IPv4 first: what
	// the node is to speak VRRP with. Empty where it was told none; then those of the Node object count.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Share says whether the node carries its share of the addresses.
	Share Share `json:"share,omitzero"`
	// Drill is the last drill that was ordered, nil when there was none since the daemon started.
	Drill *DrillStatus `json:"drill,omitempty"`
	// Conflicts are what stands against one owner for each address, sorted by address and group.
	Conflicts []Conflict `json:"conflicts,omitempty"`
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
	// Withheld groups have their low priority here: the node carries them only where no other can.
	Withheld bool `json:"withheld,omitempty"`
}

// Share is a node's part in the fleet.
type Share struct {
	State ShareState `json:"state"`
	Since time.Time  `json:"since"`
	// Reason says in words why the node does not serve, empty where it does.
	Reason string `json:"reason,omitempty"`
}

// ShareState says whether a node carries its share.
type ShareState string

const (
	// ShareServing nodes carry their share.
	ShareServing ShareState = "Serving"
	// ShareDraining nodes are handing their addresses over, by order or because they leave.
	ShareDraining ShareState = "Draining"
	// ShareDrained nodes have handed them over.
	ShareDrained ShareState = "Drained"
	// ShareHolding nodes are well again and wait for the hold time to pass.
	ShareHolding ShareState = "Holding"
	// ShareUnfit nodes carry nothing because something is broken: nginx, keepalived, the witness.
	ShareUnfit ShareState = "Unfit"
	// ShareSilent nodes announce nothing: they join, have left, or have no configuration.
	ShareSilent ShareState = "Silent"
)

// DrillStatus is what became of a drill.
type DrillStatus struct {
	ID    string     `json:"id"`
	Kind  DrillKind  `json:"kind"`
	State DrillState `json:"state"`
	// Started and Ended are the node's clock; zero where it has not come to that.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Message says why it was refused, how it ended, or what keeps it from ending.
	Message string `json:"message,omitempty"`
}

// DrillState is how far a drill is.
type DrillState string

const (
	// DrillRefused drills were not performed.
	DrillRefused DrillState = "Refused"
	// DrillRunning faults are in place.
	DrillRunning DrillState = "Running"
	// DrillRestored faults are undone.
	DrillRestored DrillState = "Restored"
)

// Conflict is a sign that an address has, or is about to have, more than one owner.
type Conflict struct {
	Kind ConflictKind `json:"kind"`
	// Address is the virtual IP concerned, zero where the whole group is.
	Address netip.Addr `json:"address,omitzero"`
	Group   int        `json:"group"`
	Family  lb.Family  `json:"family"`
	// Other is who else is there: a hardware address for an address's owner, an IP address for a sender of adverts.
	Other string    `json:"other,omitempty"`
	Since time.Time `json:"since"`
}

// ConflictKind is a kind of conflict.
type ConflictKind string

const (
	// ConflictOwner means that another hardware address answers for the virtual IP. That it is another node of the fleet
	// shows in that node's status.
	ConflictOwner ConflictKind = "Owner"
	// ConflictSkew means that adverts of the group came with other anchors than ours (addr_list_err): the nodes'
	// configurations differ.
	ConflictSkew ConflictKind = "Skew"
	// ConflictVRID means that somebody outside of the fleet sends adverts with the group's VRID on this segment.
	ConflictVRID ConflictKind = "VRID"
)

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

// Stale reports whether the status is too old at that time to say anything about the present. Reported and the time
// must be of one clock, or of clocks that agree.
func (s Status) Stale(now time.Time) bool { return now.Sub(s.Reported) > StaleAfter }
