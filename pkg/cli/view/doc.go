// Package view works out how load balancers fare, from the users' objects and the documents of the controller and the
// node daemons. It is pure: a [Snapshot] in, the typed objects that every output format prints out. It never talks to
// a cluster and never formats anything for people.
package view
