package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// markdown is the section of docs/benchmarks.md: the figures of this run, and how to get them again.
func (b *bench) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, `## From a ConfigMap to an address

Written by %[1]smake bench%[1]s; do not edit. Everything is measured in the lab on one machine: a real API server,
three load-balancer nodes, two workers and a client outside, each a network namespace, with kubectl-lb installed from
deploy/. A probe is a new TCP connection with one HTTP request every 5 ms, each with 300 ms to be answered; an outage
lasts from the start of the last answered probe before it to the start of the first one after it.

- Date: %[2]s
- Commit: %[3]s
- Machine: %[4]s

| what | goal | measured |
|---|---|---|
`, "`", time.Now().UTC().Format(time.DateOnly), rig.Commit(b.rig.Repo),
		rig.Machine())
	for _, r := range b.rows {
		fmt.Fprintf(&t, "| %s | %s | %s |\n", r.what, r.goal, r.measured)
	}
	t.WriteString(`
The same machine runs the control plane, all nodes, the load and the measurement, so the figures include their
competition for the cores. MetalLB, which announces addresses but has no proxy to configure, takes 18 ms from a Service
to an address that answers on such a machine.
`)
	return t.String()
}
