// Package vault looks at the users' certificates, and hands copies of those that load balancers need to the nodes:
// Secrets of a namespace of their own, the only ones that a daemon may read.
//
// # The laws of the copies
//
//   - A copy has one source, and its name follows from the source's. It is made only of what a served load balancer
//     names, and taken away when none has named it for a while.
//   - A copy is replaced only by what is good: a source that is spoilt or deleted leaves its copy as it is, and so the
//     load balancer goes on with its last good version.
//   - Key material is nowhere else: not in a ConfigMap, a log, an Event, a finding, or a metric.
//
// The keys of TLS session tickets are such a Secret too; they are made here, and rotated.
package vault
