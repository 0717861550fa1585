package failover

import (
	"os"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/e2e/suite"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// shared is the rig of this run. Tests that break a node mend it before they return.
var shared *rig.Rig

func TestMain(m *testing.M) {
	os.Exit(suite.Run(m, "e2efailover", func(r *rig.Rig) { shared = r }))
}

// What follows are the suite's words, about the shared rig.

func must(t *testing.T, err error) {
	t.Helper()
	suite.Must(t, err)
}

func apply(t *testing.T, manifests string) {
	t.Helper()
	suite.Apply(t, shared, manifests)
}

func remove(t *testing.T, manifests string) {
	t.Helper()
	suite.Remove(t, shared, manifests)
}

func loadBalancer(name string, keys ...string) string { return suite.LoadBalancer(name, keys...) }

func serve(t *testing.T, name string, keys ...string) string {
	t.Helper()
	return suite.Serve(t, shared, name, keys...)
}

func kubectlLB(t *testing.T, code int, stdin string, args ...string) rig.Result {
	t.Helper()
	return suite.KubectlLB(t, shared, code, stdin, args...)
}

func probe(t *testing.T, address string) *rig.Probe {
	t.Helper()
	return suite.Probe(t, shared, address)
}

func lossless(t *testing.T, r rig.Report) {
	t.Helper()
	suite.Lossless(t, r)
}

func holder(t *testing.T, address string) string {
	t.Helper()
	return suite.Holder(t, shared, address)
}

func holds(t *testing.T, node, address string, want bool, limit time.Duration) {
	t.Helper()
	suite.Holds(t, shared, node, address, want, limit)
}

func mended(t *testing.T) {
	t.Helper()
	suite.Mended(t, shared)
}
