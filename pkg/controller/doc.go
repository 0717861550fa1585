// Package controller is lb-controller: it reads the users' ConfigMaps, plans what shall be served, has a backend serve
// it, the project's own daemons or OpenStack's Octavia, and writes what became of it back onto the ConfigMaps.
//
// Addresses are a matter between all load balancers, so the grain of its work is a pass over all of them:
//
//	any change ──► one constant request ──► pass: source.Wishes ─► pods ─► plan.Make ─► backend.Apply ─► statuses, events
//	                  (the queue's dedupe batches a burst)
//
// Laws:
//   - A pass is a function of what is stored. A restart or a new leader changes nothing.
//   - It never plans from a state older than what it wrote (see store).
//   - A pass with nothing to do writes nothing; a node's heartbeat alone does not even cause one.
//   - Pods are watched only where somebody goes by endpoints, and a storm of their changes makes few passes.
//   - One object that cannot be written keeps no other from its status.
//   - An object that is being deleted is not touched, and a deleted one is not brought back. Those that something was
//     made for in OpenStack have a finalizer, which goes when nothing is left of it there.
//   - Nothing that concerns OpenStack keeps the rest of a pass waiting, but for one list every so often.
//
// [Main] is the only door for cmd/lb-controller.
//
// # What it may do
//
// The service account needs these and no more:
//
//	cluster:          ""                   configmaps               get list watch patch
//	                  ""                   services, nodes          list watch
//	                  discovery.k8s.io     endpointslices           list watch
//	                  ""                   secrets                  get list watch
//	                  ""                   namespaces/kube-system   get
//	                  events.k8s.io        events                   create patch
//	system namespace: ""                   configmaps               create update
//	                  ""                   events                   create patch (of the leader election)
//	                  coordination.k8s.io  leases                   get create update
//	TLS namespace:    ""                   secrets                  create patch delete
//
// The missing "create" on users' ConfigMaps is deliberate: a server-side apply then cannot bring a deleted one back.
package controller
