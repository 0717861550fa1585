// Package octavia is the backend of OpenStack's load balancing service: each load balancer of the model becomes one of
// Octavia, with a listener, a pool, members and a health monitor for each port.
//
// Its laws, each with a test:
//   - Tags say whose a load balancer is: the cluster, and the object that asks for it. Names are for people. What does
//     not carry our tags is never changed or deleted, whatever its name is.
//   - One call creates a load balancer with all its children; whether the provider did make them is read back, and what
//     it has forgotten is made one by one.
//   - Octavia is the memory. A controller that is killed at any call goes on where it was: what it finds is compared
//     with what is wanted ([Diff]), and the differences are the work.
//   - A load balancer that waits, is stuck or in ERROR keeps no other one waiting.
//   - A load balancer that has ever been ready is never deleted but because its object is gone.
//   - One list is all that a pass without news costs, however many load balancers there are.
//
// The way through it: a model becomes a [Tree] ([Plant]), which is compared with what there is ([Seen]), which gives
// [Op]s. That much is pure. The engine does the operations, one load balancer at a time each, several load balancers
// at once, and waits for Octavia between two of them without holding a goroutine. Only credentials.go and api.go speak
// to OpenStack.
//
// It never talks to Kubernetes, and knows no source.
package octavia
