// Package chaos breaks a running fleet at random, by a seed, and judges what became of its addresses.
//
//	plan   seed, length        → which fault when, to which node (pure)
//	run    plan, a lab         → a history: faults, the kernels' owners, the clients' outages, who got which address
//	check  history, bounds     → violations (pure; tested with histories made up for it)
//
// The laws that are checked:
//
//   - Two nodes that hear each other never both own an address for longer than it takes to detect that.
//   - An address that some fit node could serve is never without an owner, or silent at a client, for longer than the
//     bound of the fault that ran.
//   - No address belongs to two load balancers.
//   - The fleet converges soon after the last fault, and nothing is left behind.
//
// The same seed and length make the same plan. What the fleet makes of it depends on the machine, so a history that was
// kept can be judged again without running anything.
package chaos
