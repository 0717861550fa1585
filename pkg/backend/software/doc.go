// Package software is the backend of the project's own daemons: it writes what the load-balancer nodes shall run into
// the documents of package nodeconfig, and reads from the nodes' reports how that fares.
//
// Its laws, each with a test:
//   - What is stored is the only memory. A controller that starts anew continues where the last one stopped.
//   - A load balancer stays in its shard and in its VRRP group; a change of one rewrites one shard.
//   - An address is in at most one entry, and is held back after a removal until every node of the fleet has reported
//     that it runs without it. What would break this is refused here, whatever the plan said.
//   - A document that cannot be read is never taken for an empty one.
//   - Groups are fixed slots. A node that goes moves its own groups only, to who comes next in them; a node that comes
//     takes its fair share, and no other group moves. A new order may reach the nodes in any sequence: a group moves
//     once or not at all, and no two nodes go for it at once. While the nodes' daemons disagree, two of those that are
//     not the master may have the same priority in a group; should the master die just then, VRRP lets the one with
//     the higher address win (RFC 5798, 6.4.3).
//   - Of two nodes that announce, each has the other among its peers. What people ask, and what the nodes report, in
//     any order and however late, does not change that.
//   - That an address has two owners, or none, is said by the clock of the controller and only of nodes that are there.
//
// It never talks to Kubernetes itself ([Store] does), never to nginx or keepalived, and knows no source.
package software
