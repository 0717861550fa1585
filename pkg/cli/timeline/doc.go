// Package timeline draws the report of a failover test as one HTML page that needs nothing else: no network, no script,
// no font. It is a pure function of the report.
package timeline
