// Package daemon is lb-daemon: its flags, its log, its HTTP endpoints and its client for the API server around the
// agent that does the work (pkg/internal/agent).
//
// # What it needs from Kubernetes
//
// In its own namespace, on ConfigMaps: list and watch (the controller's documents), create and patch (its status, by
// server-side apply). In the namespace of certificates, on Secrets: list and watch (the copies that the controller has
// made for the nodes). Nothing else, and no other namespace.
//
// # What it needs from the node
//
// The host's network. Capabilities: NET_ADMIN (addresses, VRRP), NET_RAW (VRRP, gratuitous ARP), SYS_NICE (keepalived's
// priority, which it can do without), NET_BIND_SERVICE (ports below 1024), SETUID and SETGID (nginx's unprivileged
// workers), CHOWN (their temporary directories), KILL (to signal those workers).
// net.ipv4.ip_nonlocal_bind=1 and its IPv6 twin: it sets them itself where /proc/sys may be written (a privileged
// container), and otherwise ends with an error that says so. net.ipv4.conf.IF.arp_ignore=1 and arp_announce=2 for the
// interface of the virtual IPs, so that these can be on the loopback interface of every node: it sets them too, and
// without them addresses move with a short gap. `lb-daemon prepare-node` sets all of them and ends, for a privileged
// container that runs before the daemon's.
//
// # As the first process of a container
//
// It is then a tiny init that runs itself as a child (pkg/internal/pidone), so that the death of the daemon does not
// take nginx and keepalived with it.
//
// The package holds no logic of load balancing.
package daemon
