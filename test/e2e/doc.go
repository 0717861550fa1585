// Package e2e tests kubectl-lb from outside, as its users meet it: manifests, kubectl, curl, and nodes that die. One
// lab with the product installed serves all tests of a run; each test leaves it as it found it.
//
// It needs root. `make e2e` runs it with everything built.
package e2e
