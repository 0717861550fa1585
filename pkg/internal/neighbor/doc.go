// Package neighbor speaks ARP (RFC 826, 5227) and IPv6 neighbour discovery (RFC 4861) on one interface: who answers for
// an address, is somebody there, and: it is me now.
//
// It never takes part in the kernel's own exchange: what it asks leaves the kernel's neighbour tables as they are, here
// and, by probing without a sender address, everywhere else.
package neighbor
