// Package supervise starts programs that outlive whoever started them, finds them again, and learns of their death.
//
// The program that a supervisor starts must go on when the supervisor is killed: it gets a session of its own, nothing
// for its input, and a file, never a pipe, for its output. A record (process id, start time, boot) lets the next
// supervisor adopt it. A process is only ever signalled through a file descriptor that names it (pidfd_open(2)), so a
// number that the kernel has given to somebody else is never hit.
//
//	Start ──► running ──► Done is closed      (the supervisor's child: reaped here)
//	Adopt ──► running ──► Done is closed      (somebody else's child by now: reaped by them)
//	Child ──► running ──► Done is closed      (the program's own child: reaped by the program)
//
// Laws: a session holds one program and its children only. Whoever starts it again first sees that the session of its
// predecessor is empty ([Orphans]).
//
// The package never decides when to start again and never reads what the program writes.
package supervise
