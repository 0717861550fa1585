// Package share decides whether a node carries its share of the addresses: which VRRP groups it withholds, and whether
// its gate is open. It is a state machine without IO, clock or goroutine.
//
//	              no groups                    groups
//	     any ──────────────────► Silent ─────────────────┐
//	                                                     ▼
//	             something broken (shut, or keepalived dead)
//	     any ──────────────────────────────────────► Unfit ◄─────────────┐
//	                                                     │ all well       │
//	                     asked to withhold               ▼                │
//	┌───────────┐ ◄────────────────────────────────── Holding ───────────┤
//	│ Draining  │                                        │ hold time over,│
//	│    ▲▼     │  nothing asked                         │ group by group │
//	│  Drained  │ ─────────────────────────────────►     ▼                │
//	└───────────┘ ◄────────────────────────────────── Serving ───────────┘
//	     Draining: holds an address still
//	     Drained:  holds none
//
// The laws:
//   - Health is the gate, intent is the weights. A shut gate (FAULT) gives everything up at once, and takes nothing
//     whoever else is left. A withheld group stays as long as nobody else is there for it.
//   - Whatever was broken is withheld when it is well again, until it has been well for the hold time.
//   - Groups are released one after the other, so that a node that comes back does not move all its addresses in one
//     go.
//   - A node without peers has nobody to spare by waiting.
package share
