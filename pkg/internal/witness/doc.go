// Package witness tells whether a node still has the network that its virtual IPs are for: it asks somebody who is on
// the other side of whatever may break, the default gateway for one.
//
//	         first answer                4 questions in a row unanswered
//	Unproven ────────────► There ───────────────────────────────────────► Lost
//	                         ▲                                              │
//	                         └──────── every question of 500 ms answered ───┘
//	Nobody: there is nobody to ask
//
// Only Lost is a reason to give addresses up. A witness that has never answered is a mistake in the configuration until
// it does, and a mistake must not take every node out of service at once.
package witness
