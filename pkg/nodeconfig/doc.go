// Package nodeconfig is the contract between the controller and the node daemons: the documents that the controller
// writes for the daemons to run ([Fleet], [Shard]), the document that each daemon writes about itself ([Status]), and
// the names of the objects that carry them.
//
// The documents are versioned JSON. A reader refuses a version that it does not know and keeps what it had. They never
// hold key material. The package performs no IO and does not import Kubernetes; whoever stores the documents does.
//
// # How an address is withdrawn
//
// An address must be gone from every node before anybody else gets it, also when the controller dies in between. So a
// removed load balancer leaves a [Withdrawal] in its shard, in the same write, stamped with the shard's revision. The
// addresses count as taken until every node of the fleet has reported ([Running.Shards]) that it runs that shard at
// that revision or a later one.
package nodeconfig
