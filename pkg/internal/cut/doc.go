// Package cut cuts some of an interface's traffic off for a drill, both ways, and mends that again: the virtual IPs,
// what ARP and neighbour discovery say about them, and VRRP. Everything else of the node goes on.
//
// It is one nftables table of its own, in the netdev family, where packet sockets pass too: keepalived announces an
// address through one. No other table is read or changed.
package cut
