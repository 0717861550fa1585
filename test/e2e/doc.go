// Package e2e tests kubectl-lb from outside, as its users meet it: manifests, kubectl and curl, while the nodes are
// well. What breaks and who takes over is in the package failover below it. One lab with the product installed serves
// all tests of a package's run; each test leaves it as it found it.
//
// It needs root. `make e2e` runs both packages, at the same time, with everything built.
package e2e
