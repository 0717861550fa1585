package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// as runs kubectl with the credentials of a user of OpenStack.
func as(t *testing.T, who string, args ...string) rig.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	must(t, os.WriteFile(file, []byte(people.CloudsYAML()), 0o600))
	res, err := shared.KubectlWith(t.Context(), []string{"OS_CLIENT_CONFIG_FILE=" + file, "OS_CLOUD=" + who}, "", args...)
	must(t, err)
	t.Logf("%s: kubectl %s: exit status %d\n%s%s", who, strings.Join(args, " "), res.Code, res.Stdout, res.Stderr)
	return res
}

// TestFailoverRun fails a load balancer over by command: one that serves, and one that is in ERROR, which that mends. Who
// lacks the role is told so, and who means nodes of the cluster.
func TestFailoverRun(t *testing.T) {
	t.Parallel()
	const name = "fails-over"
	want(t, name)
	got := serving(t, name)
	says := func(res rig.Result, code int, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if res.Code != code || !strings.Contains(res.Stdout+res.Stderr, text) {
				t.Errorf("exit status %d, want %d and %q", res.Code, code, text)
			}
		}
	}
	run := []string{"lb", "failover", "run", name, "--yes"}
	done := "configmap/" + name + " failed over: load balancer " + got.ID + " is ACTIVE/"
	says(as(t, "demo", run...), 1, "A failover needs the role load-balancer_admin.", "openstack loadbalancer failover "+got.ID)
	says(as(t, "other", run...), 1, "load balancer "+got.ID)
	says(as(t, "lbadmin", run[:4]...), 2, "there is no terminal to ask for confirmation at")
	says(as(t, "lbadmin", run...), 0, done, got.Address)
	if again := serving(t, name); again != got {
		t.Errorf("%+v, then %+v", got, again)
	}
	for _, s := range forced(got.ID, "ONLINE", "ERROR") {
		_, err := cloud.SQL(t.Context(), s)
		must(t, err)
	}
	says(as(t, "lbadmin", run...), 0, "which is ERROR/ONLINE", done)
	until(t, "the object to be well again", func() (bool, string) {
		res, err := shared.Kubectl(t.Context(), "", "lb", "status", name)
		must(t, err)
		out := res.Stdout + res.Stderr
		return strings.Contains(out, "ACTIVE/") && !strings.Contains(out, "LB0604"), out
	})
	says(as(t, "lbadmin", "lb", "failover", "test", name, "--yes", "--no-probe", "--force"), 0, "Octavia took ")
	want(t, "on-nodes", "provider: software")
	says(as(t, "lbadmin", "lb", "failover", "run", "on-nodes"), 1, "on-nodes is on this cluster's load-balancer nodes",
		"drain NODE", "failover test on-nodes")
}
