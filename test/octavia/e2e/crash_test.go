package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// killer kills the leading controller at each of its calls that change something in Octavia. The call comes through when
// its sender is dead: no controller ever sees the answer.
type killer struct {
	mu    sync.Mutex
	kills int
	errs  []error
}

// take returns what has happened since it was asked last.
func (k *killer) take(t *testing.T) int {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, err := range k.errs {
		t.Error(err)
	}
	n := k.kills
	k.kills, k.errs = 0, nil
	return n
}

func (k *killer) kill(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills++
	if err := killLeader(ctx); err != nil {
		k.errs = append(k.errs, err)
	}
}

// killLeader kills the leading controller, and takes its lease away, so that the next one need not wait for its end.
func killLeader(ctx context.Context) error {
	var leader string
	err := rig.Wait(ctx, limit, "a leader", func() (bool, string) {
		var err error
		leader, err = shared.Leader(ctx)
		return err == nil, fmt.Sprint(err)
	})
	if err != nil {
		return err
	}
	_, err = shared.MustKubectl(ctx, "", "-n", rig.SystemNamespace, "delete", "pod", leader, "--grace-period=0", "--force")
	if err != nil {
		return err
	}
	return shared.Client.CoordinationV1().Leases(rig.SystemNamespace).DeleteCollection(ctx, metav1.DeleteOptions{},
		metav1.ListOptions{})
}

// TestKilledAtEveryCall kills the leading controller at every call of create, update and delete: the one after it goes on,
// there is one load balancer all the way, as it is wanted, and then none.
func TestKilledAtEveryCall(t *testing.T) {
	const name = "killed"
	k := &killer{}
	gate.Break(octavia.Fault{
		Writes: true, Lost: true, Outlive: true, Reset: true, Call: func() { k.kill(context.WithoutCancel(t.Context())) },
	})
	t.Cleanup(gate.Mend)
	want(t, name)
	first := serving(t, name)
	is := func(what string, least int, want ...string) {
		t.Helper()
		until(t, what, func() (bool, string) {
			have := parts(t, first.ID)
			return slices.Equal(have, want), fmt.Sprintf("there is %q", have)
		})
		if got := serving(t, name); got.ID != first.ID {
			t.Errorf("%s: another load balancer, %s in place of %s", what, got.ID, first.ID)
		}
		n := k.take(t)
		t.Logf("%s: killed %d times", what, n)
		if n < least {
			t.Errorf("%s: killed only %d times; the test is blind", what, n)
		}
	}
	is("create", 1, "listener tcp-80 -1 ACTIVE", "pool tcp-80 3 members monitored ACTIVE")
	change(t, name, []string{"target-port: ", "bind-port: ", "ports: 80, 8080:80/TCP", "max-connections: 100"})
	is("a port more", 5, "listener tcp-80 100 ACTIVE", "listener tcp-8080 100 ACTIVE",
		"pool tcp-80 3 members monitored ACTIVE", "pool tcp-8080 3 members monitored ACTIVE")
	change(t, name, nil)
	is("a port less", 3, "listener tcp-80 -1 ACTIVE", "pool tcp-80 3 members monitored ACTIVE")
	_, err := shared.MustKubectl(t.Context(), "", "delete", "configmap", name, "--wait=false")
	must(t, err)
	until(t, "the ConfigMap is gone", func() (bool, string) {
		_, err := shared.Data(t.Context(), "default", name)
		return err != nil, "it is there"
	})
	if left := rows(t, first.Name); len(left) > 0 {
		t.Errorf("the ConfigMap is gone, and the load balancer is not: %+v", left)
	}
	if n := k.take(t); n < 1 {
		t.Error("delete: nobody was killed; the test is blind")
	}
}

// parts are what a load balancer has, as far as the test changes it, sorted; what is there twice is there twice.
func parts(t *testing.T, id string) (all []string) {
	t.Helper()
	for _, l := range list(get(t, "listeners?loadbalancer_id="+id)["listeners"]) {
		all = append(all, strings.Join([]string{"listener", text(l["name"]), text(l["connection_limit"]),
			text(l["provisioning_status"])}, " "))
	}
	for _, p := range list(get(t, "pools?loadbalancer_id="+id)["pools"]) {
		monitored := "monitored"
		if text(p["healthmonitor_id"]) == "null" {
			monitored = "unmonitored"
		}
		all = append(all, fmt.Sprintf("pool %s %d members %s %s", text(p["name"]), len(list(p["members"])), monitored,
			text(p["provisioning_status"])))
	}
	slices.Sort(all)
	return all
}
