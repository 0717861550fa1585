// Package keepalived renders VRRP instances into the configuration of one keepalived, version 2.2.7 or later.
//
// # How the addresses are laid out
//
// keepalived refuses an advert whose address list differs from its own, so two nodes that reload one after the other
// would both become master while their lists differ. Therefore an instance advertises one constant anchor address, and
// the virtual IPs that come and go are in virtual_ipaddress_excluded, which no advert mentions. The peers, too, are the
// same whatever the virtual IPs are.
//
// # What the caller does
//
//   - It writes "0" to the gate file before keepalived starts; a "1" makes every instance give its addresses up at once
//     (FAULT), a "0" lets them compete again.
//   - It writes a number to each group's weight file before keepalived starts. keepalived adds it to the node's
//     priority in that group, so that a group moves, and comes back, make before break and without a reload.
//   - It never removes the gate or a weight file while keepalived runs: a missing one counts as 0.
//   - It starts keepalived with --vrrp --dont-fork --no-syslog --log-console and without --log-detail, which logs every
//     gratuitous ARP and makes many addresses flap (measured).
//   - It removes addresses that a killed keepalived left behind: a restarted one does not.
//
// For an address that a reload adds, versions before 2.3.2 send the first burst of gratuitous ARPs and not the second
// (keepalived 9646fcca). The next is the refresh (vrrp_garp_master_refresh, 60 s).
//
// The package never reads or writes a file and never runs keepalived.
package keepalived
