package chaos

import (
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	KillDaemon     Kind = "kill-daemon"
	KillKeepalived Kind = "kill-keepalived"
	KillNginx      Kind = "kill-nginx"
	Freeze         Kind = "freeze"
	CutLink        Kind = "cut-link"
	PowerCut       Kind = "power-cut"
	Partition      Kind = "partition"
	Drain          Kind = "drain"
	Leave          Kind = "leave"
	APIOutage      Kind = "api-outage"
	KillController Kind = "kill-controller"
	Storm          Kind = "storm"
)

// trait is what the plan and the judge know of a kind.
type trait struct {
	// weight is how often it is drawn.
	weight int
	// node says that it concerns one node, api that it needs the API server to begin and to end.
	node, api bool
	// least and most bound how long it lasts.
	least, most time.Duration
	// recovery is how long afterwards its node may not count as fit.
	recovery time.Duration
	// outage is the longest that an address may be without a live owner because of it.
	outage time.Duration
	// stale is how much longer a client may need to find the owner: by ARP, which is retried every second.
	stale time.Duration
}

const (
	// unnoticed is the bound of what must not be noticed: a lost request or two, and the machine's own stalls.
	unnoticed = 100 * time.Millisecond
	// detected is the bound of what is noticed by missing adverts: three of 50 ms, a skew, and the takeover.
	detected = 500 * time.Millisecond
)

// kinds returns all of them, in an order that plans depend on.
func kinds() []Kind {
	return []Kind{
		KillDaemon, KillKeepalived, KillNginx, Freeze, CutLink, PowerCut, Partition, Drain, Leave, APIOutage,
		KillController, Storm,
	}
}

func (k Kind) trait() trait {
	const s = time.Second
	// A node that is well again holds for a while before it takes its share back.
	hold := time.Duration(nodeconfig.DefaultTiming().HoldTime)
	switch k {
	case KillDaemon:
		return trait{weight: 3, node: true, least: s, most: 2 * s, recovery: 2 * s, outage: unnoticed}
	case KillKeepalived:
		return trait{weight: 3, node: true, least: s, most: 2 * s, recovery: hold + 3*s, outage: detected}
	case KillNginx:
		return trait{weight: 3, node: true, least: s, most: 2 * s, recovery: hold + 3*s, outage: detected}
	case Freeze:
		return trait{weight: 2, node: true, least: s, most: 6 * s, recovery: hold + 3*s, outage: detected, stale: s}
	case CutLink:
		return trait{weight: 3, node: true, least: s, most: 6 * s, recovery: hold + 4*s, outage: detected}
	case PowerCut:
		return trait{weight: 3, node: true, least: s, most: 6 * s, recovery: hold + 8*s, outage: detected}
	case Partition:
		return trait{weight: 2, node: true, least: s, most: 6 * s, recovery: hold + 3*s, outage: detected, stale: 2 * s}
	case Drain:
		return trait{weight: 3, node: true, api: true, least: 3 * s, most: 8 * s, recovery: hold + 3*s, outage: unnoticed}
	case Leave:
		return trait{weight: 2, node: true, api: true, least: 5 * s, most: 12 * s, recovery: hold + 10*s, outage: detected}
	case APIOutage:
		return trait{weight: 2, api: true, least: 2 * s, most: 10 * s, recovery: 2 * s, outage: unnoticed}
	case KillController:
		return trait{weight: 2, least: s, most: 2 * s, recovery: s, outage: unnoticed}
	case Storm:
		return trait{weight: 3, api: true, least: 3 * s, most: 8 * s, recovery: 2 * s, outage: unnoticed}
	}
	return trait{outage: unnoticed}
}
