// Package probe measures how long a service is away, fairly: every few milliseconds a new TCP connection with one
// request, each with a deadline of its own, from inside a machine of the lab.
//
// Law: downtime is the start of the first success after an outage minus the start of the last success before it. One
// long connection would measure TCP's retransmission timer instead, and a probe that waits for its predecessor would
// miss what happens meanwhile, so probes overlap.
package probe
