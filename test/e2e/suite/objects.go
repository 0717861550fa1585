package suite

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// Must fails the test on an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Apply applies manifests and deletes them when the test ends.
func Apply(t *testing.T, r *rig.Rig, manifests string) {
	t.Helper()
	Must(t, r.Apply(t.Context(), manifests))
	t.Cleanup(func() { Remove(t, r, manifests) })
}

// Remove deletes what manifests name, and waits until no node holds an address of it any more.
func Remove(t *testing.T, r *rig.Rig, manifests string) {
	t.Helper()
	//nolint:usetesting // in a cleanup the test's context is done
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := r.MustKubectl(ctx, manifests, "delete", "--ignore-not-found", "-f", "-"); err != nil {
		t.Error(err)
	}
}

// LoadBalancer is a ConfigMap of the default namespace; keys are "key: value" lines.
func LoadBalancer(name string, keys ...string) string {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name +
		"\n  namespace: default\n  labels:\n    app: loadbalancer\ndata:\n")
	for _, k := range keys {
		text.WriteString("  " + k + "\n")
	}
	return text.String()
}

// Serve applies a load balancer and returns its address once it answers.
func Serve(t *testing.T, r *rig.Rig, name string, keys ...string) string {
	t.Helper()
	Apply(t, r, LoadBalancer(name, keys...))
	ip, err := r.WaitServing(t.Context(), "default", name)
	Must(t, err)
	return ip
}

// KubectlLB runs `kubectl lb …` and fails the test unless it ends with the code.
func KubectlLB(t *testing.T, r *rig.Rig, code int, stdin string, args ...string) rig.Result {
	t.Helper()
	res, err := r.Kubectl(t.Context(), stdin, append([]string{"lb"}, args...)...)
	Must(t, err)
	if res.Code != code {
		t.Fatalf("kubectl lb %s: exit status %d, want %d\nstdout: %s\nstderr: %s",
			strings.Join(args, " "), res.Code, code, res.Stdout, res.Stderr)
	}
	return res
}
