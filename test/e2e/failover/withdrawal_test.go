package failover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

const contested = "requested-ip: 10.88.98.1"

// TestWithdrawnBeforeReuse: an address is not given to anybody else while a node that cannot be reached may still hold
// it, and is as soon as that node has let go.
func TestWithdrawnBeforeReuse(t *testing.T) {
	ctx := t.Context()
	first := loadBalancer("first", "target-service-name: coffee-svc", contested)
	apply(t, first)
	_, err := shared.WaitServing(ctx, "default", "first")
	must(t, err)

	must(t, shared.Lab.Cut("lb3", fabric.API))
	t.Cleanup(func() { must(t, shared.Lab.Heal("lb3")) })
	remove(t, first)
	second := loadBalancer("second", "target-service-name: coffee-svc", contested)
	apply(t, second)
	data, err := shared.WaitStatus(ctx, "default", "second", "ERROR : LB0302", 30*time.Second)
	must(t, err)
	if !strings.Contains(data["status"], "withdrawn") {
		t.Errorf("status %q does not say why", data["status"])
	}
	must(t, shared.Lab.Heal("lb3"))
	if _, err := shared.WaitServing(ctx, "default", "second"); err != nil {
		t.Fatal(err)
	}
	mended(t)
}

// TestReplacedKeepsAddress: a ConfigMap that is deleted and created again gets its address back, whatever was created
// in between.
func TestReplacedKeepsAddress(t *testing.T) {
	ip := serve(t, "phoenix", "target-service-name: coffee-svc")
	manifest := loadBalancer("phoenix", "target-service-name: coffee-svc")
	if _, err := shared.MustKubectl(t.Context(), manifest, "replace", "--force", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	again, err := shared.WaitServing(t.Context(), "default", "phoenix")
	must(t, err)
	if again != ip {
		t.Errorf("had %s, now %s", ip, again)
	}
}

// TestLastGoodServes: a fault written into a good object leaves the last good version, and its address, in service.
func TestLastGoodServes(t *testing.T) {
	ip := serve(t, "steady", "target-service-name: coffee-svc")
	running := probe(t, ip)
	must(t, shared.Apply(t.Context(), loadBalancer("steady", "target-service-name: coffee-svc", `bind-port: "nope"`)))
	data, err := shared.WaitStatus(t.Context(), "default", "steady", "ERROR : LB0103", 30*time.Second)
	must(t, err)
	if data["bind-ip"] != ip {
		t.Errorf("bind-ip is %q, was %q", data["bind-ip"], ip)
	}
	must(t, shared.Apply(t.Context(), loadBalancer("steady", "target-service-name: coffee-svc")))
	if _, err := shared.WaitServing(t.Context(), "default", "steady"); err != nil {
		t.Error(err)
	}
	lossless(t, running.Stop())
}

// TestDeletedIsGone: after a deletion no node holds the address, and nothing answers there.
func TestDeletedIsGone(t *testing.T) {
	ip := serve(t, "mayfly", "target-service-name: coffee-svc")
	remove(t, loadBalancer("mayfly"))
	must(t, rig.Wait(t.Context(), 30*time.Second, ip+" to be gone", func() (bool, string) {
		nodes, err := shared.Holders(ip)
		return err == nil && len(nodes) == 0, strings.Join(nodes, ", ")
	}))
	// It is gone from the interface first, and from lo a moment after.
	must(t, rig.Wait(t.Context(), 30*time.Second, ip+" to be silent", func() (bool, string) {
		page, err := shared.Get(t.Context(), "client", "http://"+ip+"/")
		return err != nil, fmt.Sprintf("something still answers: %s", page)
	}))
}
