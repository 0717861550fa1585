// Package members finds out where a cloud's load balancer sends its traffic: to the node ports of a Service on the
// nodes that are there for it, or to the Service's pods. It is pure: it reads objects that somebody else has read, and
// replaces the cluster IPs in a wish, which a cloud cannot reach.
//
// Its laws, each with a test:
//   - A node counts while it is ready, wanted by the selector, not being deleted, and without the label or taint that
//     keeps it out. Where none is ready, all the others count: the news of all nodes dying at once are more likely
//     wrong than right, and Octavia's own checks know better.
//   - A Service with externalTrafficPolicy Local gets the nodes only that have a ready endpoint of it, and is checked
//     at its health port if it has one.
//   - What a Service lacks is a finding on the object that names it.
package members
