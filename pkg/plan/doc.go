// Package plan decides, from all wishes and all that is served now, what should be served: which wish is granted, with
// which virtual IPs, and which findings its user gets. It is a pure function of its input.
//
// Its laws, each with a test:
//   - An address is never given to two load balancers that do not share it, nor to a second one while a node may still
//     hold it for the first.
//   - An address that is served or recorded is adopted before any is allocated, so a restart, a replaced object or a
//     changed pool keeps it.
//   - Where two want the same thing, the one that is served has it, then the older object, then the smaller key.
//   - A wish with errors changes nothing: its last good version stays as it is, and no neighbour is touched.
package plan
