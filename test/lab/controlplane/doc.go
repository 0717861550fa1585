// Package controlplane provides the programs of a Kubernetes control plane, built from the pinned Go modules of
// test/controlplane into a cache outside git, or taken from KUBEBUILDER_ASSETS where they exist.
//
// Law: nothing of Kubernetes' own code is linked in here; this package only calls `go build` in that module's folder.
// A binary appears in the cache whole or not at all, and two runs at once build once.
//
// It never starts the programs; package cluster does.
package controlplane
