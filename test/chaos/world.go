package chaos

import (
	"net/netip"
	"time"
)

// world is what is known of the fleet at a moment of a history.
type world struct {
	nodes, clients []string
	addresses      []netip.Addr

	has    map[string]map[netip.Addr]bool
	up     map[string]bool
	faults map[int]fault
}

// fault is one that is there, or that its node is still recovering from.
type fault struct {
	kind  Kind
	node  string
	ended bool
	// until is when the recovery is over.
	until time.Duration
}

func newWorld(began Record) *world {
	w := &world{
		nodes: began.Nodes, clients: began.Clients, addresses: began.Addresses,
		has: map[string]map[netip.Addr]bool{}, up: map[string]bool{}, faults: map[int]fault{},
	}
	for _, n := range w.nodes {
		w.has[n] = map[netip.Addr]bool{}
	}
	return w
}

// apply takes a record in.
func (w *world) apply(r Record) {
	switch r.What {
	case Added, Removed:
		if w.has[r.Node] != nil {
			w.has[r.Node][r.Address] = r.What == Added
		}
	case Up, Down:
		w.up[r.Node] = r.What == Up
	case Broken:
		w.faults[r.ID] = fault{kind: r.Kind, node: r.Node}
	case Mended:
		f := w.faults[r.ID]
		f.ended, f.until = true, r.At+f.kind.trait().recovery
		w.faults[r.ID] = f
	}
}

// forget drops the faults that are recovered from.
func (w *world) forget(now time.Duration) {
	for id, f := range w.faults {
		if f.ended && f.until <= now {
			delete(w.faults, id)
		}
	}
}

// nextRecovery returns when the next recovery ends, if any does before the given time.
func (w *world) nextRecovery(before time.Duration) time.Duration {
	for _, f := range w.faults {
		if f.ended && f.until < before {
			before = f.until
		}
	}
	return before
}

// frozen says whether the node's programs are stopped: its kernel then holds what nobody serves.
func (w *world) frozen(node string) bool {
	for _, f := range w.faults {
		if f.node == node && f.kind == Freeze && !f.ended {
			return true
		}
	}
	return false
}

// hears says whether two machines reach each other. The second client is on the side of a partitioned node.
func (w *world) hears(a, b string) bool {
	for _, f := range w.faults {
		if f.kind == Partition && !f.ended && w.apart(f.node, a) != w.apart(f.node, b) {
			return false
		}
	}
	return true
}

// apart says whether the machine is on the small side of the node's partition.
func (w *world) apart(node, machine string) bool {
	return machine == node || len(w.clients) > 1 && machine == w.clients[1]
}

// owns says whether the node serves the address to whoever reaches it.
func (w *world) owns(node string, a netip.Addr) bool {
	return w.has[node][a] && w.up[node] && !w.frozen(node)
}

// split says whether two nodes own the address and could know it.
func (w *world) split(a netip.Addr) bool {
	for i, x := range w.nodes {
		for _, y := range w.nodes[i+1:] {
			if w.owns(x, a) && w.owns(y, a) && w.hears(x, y) {
				return true
			}
		}
	}
	return false
}

// served says whether the client reaches an owner of the address.
func (w *world) served(client string, a netip.Addr) bool {
	for _, n := range w.nodes {
		if w.owns(n, a) && w.hears(client, n) {
			return true
		}
	}
	return false
}

// possible says whether the client reaches a node that is well, so that it has a right to be served.
func (w *world) possible(client string) bool {
	for _, n := range w.nodes {
		if w.up[n] && w.well(n) && w.hears(client, n) {
			return true
		}
	}
	return false
}

func (w *world) well(node string) bool {
	for _, f := range w.faults {
		if f.node == node && f.kind != KillDaemon {
			return false
		}
	}
	return true
}

// outage is the longest that an address may be away now, stale how much longer a client may take to notice its return.
func (w *world) outage() (outage, stale time.Duration) {
	outage = unnoticed
	for _, f := range w.faults {
		t := f.kind.trait()
		outage, stale = max(outage, t.outage), max(stale, t.stale)
	}
	return outage, stale
}
