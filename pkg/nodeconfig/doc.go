// Package nodeconfig is the contract between the controller and the node daemons: the documents that the controller
// writes for the daemons to run ([Fleet], [Shard]), the document that each daemon writes about itself ([Status]), and
// the names of the objects that carry them.
//
// The documents are versioned JSON. A reader refuses a version that it does not know and keeps what it had. They never
// hold key material. The package performs no IO and does not import Kubernetes; whoever stores the documents does.
//
// People's own words to the nodes are a third kind ([Order], [Rebalance]); the controller does not write them.
//
// # How nodes come and go
//
// Two nodes that do not know each other as peers both become master. So a node has a [Phase] on its way in and out,
// which ends when the others, or itself, have reported what is needed: [Fleet.Awaited] is that rule.
//
// # How an address is withdrawn
//
// An address must be gone from every node before anybody else gets it, also when the controller dies in between. So a
// removed load balancer leaves a [Withdrawal] in its shard, in the same write, stamped with the shard's revision. The
// addresses count as taken until every node of the fleet has reported ([Running.Shards]) that it runs that shard at
// that revision or a later one.
package nodeconfig
