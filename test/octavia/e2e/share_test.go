package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// together waits until objects are done, and returns the load balancer that they share.
func together(t *testing.T, share string, names ...string) row {
	t.Helper()
	var found []row
	for _, name := range names {
		until(t, name, func() (bool, string) {
			data, err := shared.Data(t.Context(), "default", name)
			must(t, err)
			found = rows(t, "default-"+share+"-shared-loadbalancer")
			ok := data["status"] == "SUCCESS" && len(found) == 1 && data["bind-ip"] == found[0].Address
			return ok, fmt.Sprintf("%v, %+v", data, found)
		})
	}
	return found[0]
}

// has waits until a load balancer has just these ports, each with its pool.
func has(t *testing.T, what, id string, ports ...int) {
	t.Helper()
	var want []string
	for _, p := range ports {
		want = append(want, fmt.Sprintf("listener tcp-%d -1 ACTIVE", p), fmt.Sprintf("pool tcp-%d 3 members monitored ACTIVE", p))
	}
	slices.Sort(want)
	until(t, what, func() (bool, string) {
		have := parts(t, id)
		return slices.Equal(have, want), fmt.Sprintf("there is %q", have)
	})
}

// TestShare has several objects share a load balancer, which was the oldest's alone: each has its ports, a port that
// somebody has is nobody else's, it stays as it is when the oldest goes, and goes with the last one. All that once
// undisturbed, and once with a controller that is killed at each of its calls that change something.
func TestShare(t *testing.T) {
	for _, disturbed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%t", disturbed), func(t *testing.T) {
			k := &killer{}
			if disturbed {
				gate.Break(octavia.Fault{
					Writes: true, Lost: true, Outlive: true, Reset: true, Call: func() { k.kill(context.WithoutCancel(t.Context())) },
				})
				t.Cleanup(gate.Mend)
			}
			shareLife(t, fmt.Sprintf("edge-%t", disturbed))
			if n := k.take(t); disturbed && n < 15 {
				t.Errorf("killed only %d times; the test is blind", n)
			}
		})
	}
}

func shareLife(t *testing.T, share string) {
	t.Helper()
	first, second, third, key := share+"-a", share+"-b", share+"-c", "share-key: "+share
	want(t, first)
	own := serving(t, first)
	change(t, first, []string{key})
	want(t, second, key, "bind-port: 81")
	got := together(t, share, first, second)
	if got.ID != own.ID || got.Address != own.Address {
		t.Errorf("another load balancer: %+v, it was %+v", got, own)
	}
	has(t, "two share", got.ID, 80, 81)
	out := lbStatus(t, second)
	if !strings.Contains(out, "tcp-81") || strings.Contains(out, "tcp-80") || !strings.Contains(out, got.Address) {
		t.Errorf("the status of one shows another's, or not its own:\n%s", out)
	}

	want(t, third, key)
	t.Log("two share", got)
	until(t, "a clash", func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", third)
		must(t, err)
		ok := strings.HasPrefix(data["status"], "ERROR : LB0303 data[bind-port]: port 80 is served by default/"+first)
		return ok && data["bind-ip"] == "", fmt.Sprint(data)
	})
	has(t, "the clash changes nothing", got.ID, 80, 81)

	remove(t, first)
	if now := together(t, share, second, third); now.ID != got.ID || now.Address != got.Address {
		t.Errorf("the oldest has gone, and another load balancer is there: %+v, it was %+v", now, got)
	}
	has(t, "the next one has the port", got.ID, 80, 81)

	change(t, second, nil)
	until(t, "one of its own", func() (bool, string) {
		r := rows(t, "default-"+second+"-loadbalancer")
		return len(r) == 1, fmt.Sprint(r)
	})
	serving(t, second)
	has(t, "one leaves", got.ID, 80)
	if now := together(t, share, third); now.ID != got.ID {
		t.Errorf("another load balancer: %+v, it was %+v", now, got)
	}
	remove(t, third)
	if left := rows(t, got.Name); len(left) > 0 {
		t.Errorf("the last one has gone, and the load balancer has not: %+v", left)
	}
	remove(t, second)
}

// lbStatus is what a user reads of an object.
func lbStatus(t *testing.T, name string) string {
	t.Helper()
	res, err := shared.Kubectl(t.Context(), "", "lb", "status", name)
	must(t, err)
	return res.Stdout + res.Stderr
}
