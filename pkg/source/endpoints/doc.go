// Package endpoints reads from EndpointSlices which pods stand behind a port of a Service, as kube-proxy would: the
// ready ones; where none is, those that end but still serve.
//
// Pods come and go while the objects that lead to them stay as they are, so this is a step of its own between the
// source and the plan: [Fill] gives the targets of a load balancer their addresses of now, be it one that is asked
// for or the last good version of one, whose pods move on whatever is wrong with its object.
//
// It never reads from a cluster and keeps nothing.
package endpoints
