// Package kubelet stands in for the kubelets of all nodes of a lab: it keeps their Node objects and leases, runs each
// Pod bound to one of them as sandboxed processes, and reports what became of them.
//
//	pod bound ─► address and network ─► volumes ─► init containers ─► containers ⟲ restarts ─► gone
//	                                                  every step shows in the Pod's status
//
// Laws: a node that is cut off from the API server acts like one (no heartbeat, no new pods, no status); a dead
// process makes its Pod NotReady at once; what the lab cannot do is said in the Pod's status, not left out in silence.
//
// There are no images: [Images] maps a name to a program. securityContext and resource limits have no effect.
package kubelet
