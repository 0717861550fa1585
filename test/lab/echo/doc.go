// Package echo asks many addresses at once, every few milliseconds, by ICMP echo requests from a machine of the lab. It
// sees how long an address answers nobody, at a thousandth of what a connection costs, so that all addresses of a fleet
// can be watched while something happens to a node. Whether a service answers is for package probe.
//
// Law: an outage lasts from the last request that was answered before it to the first one that was answered after it.
//
// It shares the machine with what it measures. So it works on threads of its own at the highest priority, and says how
// late it was itself ([Prober.Stall]): what is no longer than that may be its own doing.
package echo
