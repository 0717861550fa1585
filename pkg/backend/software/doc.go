// Package software is the backend of the project's own daemons: it writes what the load-balancer nodes shall run into
// the documents of package nodeconfig, and reads from the nodes' reports how that fares.
//
// Its laws, each with a test:
//   - What is stored is the only memory. A controller that starts anew continues where the last one stopped.
//   - A load balancer stays in its shard and in its VRRP group; a change of one rewrites one shard.
//   - An address is in at most one entry, and is held back after a removal until every node of the fleet has reported
//     that it runs without it. What would break this is refused here, whatever the plan said.
//   - A document that cannot be read is never taken for an empty one.
//
// It never talks to Kubernetes itself ([Store] does), never to nginx or keepalived, and knows no source.
package software
