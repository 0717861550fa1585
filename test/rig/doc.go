// Package rig is kubectl-lb installed in a lab, as a user would install it: the manifests of deploy/, unchanged but for
// the address pools, run by the lab's kubelets from images that stand for the programs just built. The demo, the
// end-to-end tests and the benches all stand on it.
//
// It asserts nothing and prints nothing: it does things, waits for them with a deadline, and returns errors that say
// what was last seen.
package rig
