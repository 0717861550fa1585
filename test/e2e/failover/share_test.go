package failover

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// serveMany applies load balancers of both families and returns their names' addresses once all are served.
func serveMany(t *testing.T, name string, n int) map[string][]string {
	t.Helper()
	var manifests []string
	for i := range n {
		manifests = append(manifests, loadBalancer(fmt.Sprintf("%s-%02d", name, i), "target-service-name: coffee-svc",
			"ip-families: IPv4,IPv6"))
	}
	apply(t, strings.Join(manifests, "---\n"))
	out := map[string][]string{}
	for i := range n {
		object := fmt.Sprintf("%s-%02d", name, i)
		ips, err := shared.WaitServing(t.Context(), "default", object)
		must(t, err)
		out[object] = strings.Split(ips, ",")
	}
	return out
}

// homeOf returns the node where an address belongs.
func homeOf(t *testing.T, address string) string {
	t.Helper()
	homes, err := shared.Homes(t.Context())
	must(t, err)
	return homes[netip.MustParseAddr(address)]
}

// TestShare: every node carries a share, of both families; a lost node moves its own share and nothing else, and the
// survivors split it.
func TestShare(t *testing.T) {
	all := serveMany(t, "share", 12)
	mended(t)
	lost := shared.LBNodes()[0]
	var moving, staying []string
	carriers := map[string]bool{}
	for object, ips := range all {
		if len(ips) != 2 {
			t.Fatalf("%s has %v", object, ips)
		}
		home := homeOf(t, ips[0])
		carriers[home] = true
		if home == lost {
			moving = append(moving, ips...)
		} else {
			staying = append(staying, ips...)
		}
	}
	if len(carriers) != len(shared.LBNodes()) {
		t.Fatalf("only %v carry anything", carriers)
	}
	spans := watchAll(t)
	giveBack := lose(t, lost)
	t.Cleanup(func() { giveBack(); mended(t) })
	heirs := map[string]int{}
	for _, ip := range moving {
		var now string
		must(t, rig.Wait(t.Context(), failoverBound, "another node to have "+ip, func() (bool, string) {
			s := spans(ip)
			if len(s) == 0 || len(s[len(s)-1].Owners) != 1 || s[len(s)-1].Owners[0] == lost {
				return false, fmt.Sprint(s)
			}
			now = s[len(s)-1].Owners[0]
			return true, ""
		}))
		heirs[now]++
	}
	if len(heirs) != len(shared.LBNodes())-1 {
		t.Errorf("the share of %s went to %v alone", lost, heirs)
	}
	for _, ip := range staying {
		if s := spans(ip); owner.Moves(s) > 0 || owner.Longest(s, owner.Nobody) > 0 {
			t.Errorf("%s is not of %s, and did not stay where it was: %v", ip, lost, s)
		}
	}
}

// movedFrom adds up how many addresses left a node, by the output of `kubectl lb rebalance`.
func movedFrom(out, node string) int {
	sum := 0
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == node {
			n, _ := strconv.Atoi(f[3])
			sum += n
		}
	}
	return sum
}

// TestRebalance: after deletions one node carries everything that is left. `kubectl lb rebalance` spreads it, shows what
// has moved, and nobody notices.
func TestRebalance(t *testing.T) {
	all := serveMany(t, "balanced", 12)
	mended(t)
	keeper := shared.LBNodes()[1]
	var kept []string
	for object, ips := range all {
		if homeOf(t, ips[0]) == keeper {
			kept = append(kept, ips...)
		} else {
			remove(t, loadBalancer(object))
		}
	}
	load := func() map[string]int {
		out := map[string]int{}
		for _, ip := range kept {
			out[homeOf(t, ip)]++
		}
		return out
	}
	if before := load(); len(kept) < 6 || before[keeper] != len(kept) {
		t.Fatalf("there is nothing to even out: %v", before)
	}
	spans := watchAll(t)
	running := probe(t, kept[0])
	out := lb(t, "rebalance")
	mended(t)
	lossless(t, running.StopAfter(time.Second))
	after := load()
	most, least := 0, len(kept)
	for _, n := range shared.LBNodes() {
		most, least = max(most, after[n]), min(least, after[n])
	}
	if most-least > 2 { // addresses of one load balancer stay together, and there are two of each
		t.Errorf("not even: %v", after)
	}
	if moved := len(kept) - after[keeper]; movedFrom(out, keeper) != moved {
		t.Errorf("%d addresses have moved away from %s, but the output says\n%s", moved, keeper, out)
	}
	for _, ip := range kept {
		s := spans(ip)
		if d := owner.Longest(s, owner.Several); d > splitBound {
			t.Errorf("%s had two owners for %s: %v", ip, d, s)
		}
		holds(t, homeOf(t, ip), ip, true, time.Second)
	}
	fleet, err := shared.Fleet(context.WithoutCancel(t.Context()))
	if err != nil || fleet.Rebalanced == "" {
		t.Errorf("the fleet does not say that it was rebalanced: %v", err)
	}
}
