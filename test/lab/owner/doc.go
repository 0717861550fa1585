// Package owner watches who holds which address, as the kernels of the nodes say it themselves: the truth that a
// failover is measured and judged by, whatever daemons report and clients see.
//
// A [Watch] records netlink's events of every node's link; a [History] is what was recorded, and answers questions
// about it. A node whose link is down owns nothing: nobody can reach what it holds.
package owner
