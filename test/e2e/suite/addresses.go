package suite

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// Probe asks an address from the client until the report is wanted; every test that says "no probe is lost" uses it.
func Probe(t *testing.T, r *rig.Rig, address string) *rig.Probe {
	t.Helper()
	p, err := r.Probe(t.Context(), "client", address)
	Must(t, err)
	return p
}

// hiccup is the longest outage that a test forgives. Two cores carry whole clusters here, and a keepalived that comes
// late by three adverts costs a probe or two. How many is for the benches, which count them (docs/benchmarks.md).
const hiccup = 50 * time.Millisecond

// Lossless fails the test if there was an outage, or hardly any probe was sent.
func Lossless(t *testing.T, report rig.Report) {
	t.Helper()
	if report.Outage() > hiccup || report.Failed > 5 || report.Sent < 100 || !report.Ended() {
		t.Error(report)
	}
	if report.Failed > 0 {
		t.Log(report)
	}
}

// Holder returns the one node that has the address.
func Holder(t *testing.T, r *rig.Rig, address string) string {
	t.Helper()
	var node string
	Must(t, rig.Wait(t.Context(), time.Minute, "one node to hold "+address, func() (bool, string) {
		nodes, err := r.Holders(address)
		if err != nil {
			return false, err.Error()
		}
		if len(nodes) != 1 {
			return false, fmt.Sprintf("held by %v", nodes)
		}
		node = nodes[0]
		return true, ""
	}))
	return node
}

// Holds waits until the node has, or has not, the address on its link.
func Holds(t *testing.T, r *rig.Rig, node, address string, want bool, limit time.Duration) {
	t.Helper()
	Must(t, rig.Wait(t.Context(), limit, fmt.Sprintf("%s to hold %s: %t", node, address, want), func() (bool, string) {
		nodes, err := r.Holders(address)
		return err == nil && slices.Contains(nodes, node) == want, fmt.Sprintf("held by %v, %v", nodes, err)
	}))
}

// Mended waits until everything is as it was: API, daemons, and every VRRP group at home. Cleanups use it, too, when
// the test's context is done.
func Mended(t *testing.T, r *rig.Rig) {
	t.Helper()
	Must(t, r.WaitInstalled(context.WithoutCancel(t.Context())))
}
