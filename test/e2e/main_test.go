package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// shared is the rig of this run. Tests that break a node mend it before they return.
var shared *rig.Rig

// patience is what a probe waits for its answer. It is less than TCP's first retransmission takes (1 s, RFC 6298), so a
// lost packet is a failed probe, and more than a busy machine is late by.
const patience = 900 * time.Millisecond

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: skipped: network namespaces need root")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := rig.Up(ctx, rig.Options{
		Name: "e2e", LBNodes: 3, Workers: 2, ProbeTimeout: patience, Progress: os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer r.Down()
	// An interrupted run leaves nothing behind. (The end of run ends ctx, too, which is no interruption.)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-ctx.Done():
			r.Down()
			os.Exit(130)
		case <-over:
		}
	}()
	if err := r.Install(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	for file, service := range map[string]string{"coffee-app.yaml": "coffee-svc", "tea-app.yaml": "tea"} {
		err := r.ApplyFile(ctx, "examples/"+file)
		if err == nil {
			err = r.WaitService(ctx, "default", service)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
	}
	shared = r
	return m.Run()
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// apply applies manifests and deletes them when the test ends.
func apply(t *testing.T, manifests string) {
	t.Helper()
	must(t, shared.Apply(t.Context(), manifests))
	t.Cleanup(func() { remove(t, manifests) })
}

// remove deletes what manifests name, and waits until no node holds an address of it any more.
func remove(t *testing.T, manifests string) {
	t.Helper()
	//nolint:usetesting // in a cleanup the test's context is done
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := shared.MustKubectl(ctx, manifests, "delete", "--ignore-not-found", "-f", "-"); err != nil {
		t.Error(err)
	}
}

// probe asks an address from the client until the report is wanted; every test that says "no probe is lost" uses it.
func probe(t *testing.T, address string) *rig.Probe {
	t.Helper()
	p, err := shared.Probe(t.Context(), "client", address)
	must(t, err)
	return p
}

// hiccup is the longest outage that a test forgives. Two cores carry the whole cluster here, and a keepalived that
// comes late by three adverts costs a probe or two. How many is for the benches, which count them (docs/benchmarks.md).
const hiccup = 50 * time.Millisecond

// lossless fails the test if there was an outage, or hardly any probe was sent.
func lossless(t *testing.T, r rig.Report) {
	t.Helper()
	if r.Outage() > hiccup || r.Failed > 5 || r.Sent < 100 || !r.Ended() {
		t.Error(r)
	}
	if r.Failed > 0 {
		t.Log(r)
	}
}

// loadBalancer is a ConfigMap of the default namespace; keys are "key: value" lines.
func loadBalancer(name string, keys ...string) string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name +
		"\n  namespace: default\n  labels:\n    app: loadbalancer\ndata:\n"
	for _, k := range keys {
		text += "  " + k + "\n"
	}
	return text
}

// serve applies a load balancer and returns its address once it answers.
func serve(t *testing.T, name string, keys ...string) string {
	t.Helper()
	apply(t, loadBalancer(name, keys...))
	ip, err := shared.WaitServing(t.Context(), "default", name)
	must(t, err)
	return ip
}
