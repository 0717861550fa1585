// Package feed is how the daemon hears from the controller and the operators and how it answers: an informer on the
// ConfigMaps of the configuration and the orders, one on the Secrets with the key material that the configuration
// names, and a server-side apply of the node's status.
//
// # Nothing is lost
//
// What the daemon once knew it goes on knowing until it is told otherwise in so many words. A document that cannot be
// read leaves its last good version in force. So does one that has vanished while load balancers were in it: the
// controller withdraws by writing a document without them, so a deletion is an accident. The same holds for the
// operators' orders: an order ends when its key is taken away, not when it cannot be read or its ConfigMap has
// vanished. A list that has come back without the fleet's document changes nothing at all. Each of these is a finding.
//
// The package decides nothing about the data plane. Errors of the API server are logged and tried again.
package feed
