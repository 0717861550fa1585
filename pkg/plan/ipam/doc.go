// Package ipam knows address pools and picks free addresses from them. It is pure and keeps no state of its own: what
// is taken is an argument. It never enumerates a range, so an IPv6 /64 costs no more than a single address.
//
// Its laws:
//   - The same pools and the same taken addresses give the same pick, the lowest free address of the first pool that
//     has one; the order of the pools is the administrator's preference.
//   - No address is in two pools, and none is special: not a subnet's network, broadcast or router-anycast address
//     (unless asked for), not loopback, link-local, multicast or unspecified.
package ipam
