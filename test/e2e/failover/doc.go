// Package failover tests kubectl-lb from outside while something breaks: nodes, links, processes, the control plane;
// and what moves addresses or takes them away: drills, drains, shares, conflicts, withdrawal. Its lab is its own, for
// one with a broken node is no place for anybody else's tests.
//
// It needs root. `make e2e` runs it.
package failover
