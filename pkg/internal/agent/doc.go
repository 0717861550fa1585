// Package agent runs a load-balancer node: it turns what the controller wants into what nginx and keepalived do, and
// says what became of it.
//
//	Wanted ─render→ Rendered ─check→ Checked ─switch→ Switched ─reload→ Reloaded ─verify→ Running
//	                    │ refused load balancers are left at      │                    │
//	                    │ their last good version, or out         └──── roll back to the last Running ◄──┘
//	                    └ found by: the renderer, a port that somebody else has, nginx -t
//
// The laws:
//   - What runs goes on until something proven better is there. No error of the API server, of a document, or of one
//     load balancer stops another's traffic.
//   - nginx serves before keepalived announces; keepalived withdraws before nginx lets go. A node whose nginx does not
//     answer has its gate shut, and its addresses move.
//   - Health is the gate, intent is the weights (package share). Both follow at once, whatever the loop is busy with,
//     and neither needs a rendered file: [Agent.Shut] and [Agent.Hold] add a reason, [Agent.Open] and [Agent.Release]
//     take it away.
//   - A keepalived that dies, one process of it or both, or that is stopped, is a node that resigns: it says goodbye in
//     keepalived's place and only then takes the addresses off the interface. A new one starts withheld.
//   - Every served address is on the loopback interface too, so that a node which has just lost it still answers what
//     comes. It counts as withdrawn when it has gone from both interfaces.
//   - An address is written into the ledger before it can get onto the interface. Whatever is in the ledger and should
//     not be there is removed; nothing else is ever touched.
//   - Equal files are never reloaded.
//   - One goroutine starts, reloads and ends nginx and keepalived: the loop in [Agent.Run]. Another one renders and
//     checks the next generation meanwhile. The rest look, and move the gate and the weights.
//
// A killed agent leaves nginx and keepalived running and adopts them when it is back. An agent that is told to end
// resigns: it withholds everything, its peers take the addresses, then it ends both.
//
// The package does not know Kubernetes; see package feed.
package agent
