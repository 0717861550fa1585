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
//   - An address is written into the ledger before it can get onto the interface. Whatever is in the ledger and should
//     not be there is removed; nothing else is ever touched.
//   - Equal files are never reloaded.
//   - One goroutine changes the data plane: the loop in [Agent.Run]. Another one renders and checks the next
//     generation meanwhile; the rest only look.
//
// A killed agent leaves nginx and keepalived running and adopts them when it is back. An agent that is told to end
// resigns: its gate is shut, its peers take the addresses, then it ends both.
//
// The package does not know Kubernetes; see package feed.
package agent
