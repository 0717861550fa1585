// Package fabric is the lab's network: one namespace with a bridge (the control plane lives there, too), one namespace
// per node and client with a veth on that bridge, an address plan for all of it, and the faults that a network can
// have.
//
// Law: the host's own namespace gets no link, address, route or rule. So any number of labs with equal addresses run
// side by side, and removing the namespaces removes everything.
//
// It never starts a process and never speaks to Kubernetes.
package fabric
