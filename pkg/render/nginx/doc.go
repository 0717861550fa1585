// Package nginx renders load balancers into the configuration of one nginx, version 1.22.1 or later.
//
// # Layout
//
//	nginx.conf                          the process, the events and the defaults of http{} and stream{}
//	generation.conf                     the generation probe
//	ranges.conf                         the ranges of addresses that HTTP listeners ask for, if any do
//	http/<namespace>_<name>.conf        the HTTP listeners of one load balancer
//	stream/<namespace>_<name>.conf      its listeners of TCP, UDP and TLS passthrough
//
// Every include is relative, so that a generation can be tested where it was written and be switched to by a symbolic
// link. A load balancer's files are named in nginx's error messages; [Result.Owner] says whose they are.
//
// # The generation probe
//
// [Result.Generation] is the hash of all files, computed while generation.conf still lacks it, and then written there.
// nginx answers it to every request on the unix socket [SocketName] in the run directory; a daemon that has sent HUP
// asks there until the answer is the new one. From then on new workers serve the new generation. Old ones go on
// accepting beside them for about 100 ms more, until nginx calls them "worker process is shutting down" (measured with
// 1.22.1): only then has a change or a removal taken effect for everybody.
//
// # What the caller does
//
//   - It makes the run directory, writable by nobody but root; nginx makes its own directories in it.
//   - It starts nginx with "-c <dir>/nginx.conf -e stderr"; the configuration keeps nginx in the foreground.
//   - It removes a socket that a killed nginx left behind: nginx refuses to start over it.
//   - It sets ip_nonlocal_bind of both families, for nginx listens on addresses that another node may hold now.
//   - It allows enough open files: every listener is one in the master, every connection two in a worker.
//
// # Laws
//
// No text of a user's object reaches a file but as a checked and quoted token, none is ever in a comment, and a load
// balancer that cannot be rendered is refused by a finding while all others are rendered.
//
// The package never reads or writes a file and never runs nginx.
package nginx
