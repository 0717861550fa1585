package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// markdown is the section of docs/benchmarks.md: the figures of this run, and how to get them again.
func (b *bench) markdown() string {
	var t strings.Builder
	fmt.Fprintf(&t, `## Layer 7

Written by %[1]smake bench-l7%[1]s, in %[8]s; do not edit. Throughput is that of 32 connections through the
configuration that we render and through a minimal one written by hand, which does the same work: keepalive to the
target, the headers that ours sets, as many workers, the same certificate, ciphers, session cache and ticket key. It
does not do what ours does besides: drop what clients say of themselves in other headers, and mend a Host that
contradicts the request. Both run all the time and are loaded in turns, each first every other time, for %[2]d rounds
of %[3]s; the ratio is that of the medians, in parentheses the lowest and highest of the rounds. CPU is what all
processes of an nginx took for a request, and tells more than the rate where the load takes most of the machine. wrk
makes the load, and where TLS is for each connection anew a client in Go.

Everything else is measured in the lab, through virtual IPs. A new connection is made every 5 ms with 300 ms to be
answered; kept connections are those of 50 clients with a mean gap of 100 ms between requests, who look for a close
right before they send, and never send twice; of those that failed, the figure says how many a second try on a new
connection, as most clients make for a GET, would not have saved.

- Date: %[4]s
- Commit: %[5]s
- Machine: %[6]s, %[7]s

| what | goal | measured | verdict |
|---|---|---|---|
`, "`", b.rounds, b.wrk, time.Now().UTC().Format(time.DateOnly),
		rig.Commit(b.repo), rig.Machine(), nginxVersion(), b.took.Round(time.Second))
	for _, r := range b.rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s |\n", r.what, r.goal, r.measured, r.verdict)
	}
	t.WriteString("\nThe same machine runs the control plane, all nodes, the load and the measurement.\n")
	return t.String()
}

// nginxVersion asks nginx, which answers on stderr.
func nginxVersion() string {
	out, err := exec.Command("nginx", "-v").CombinedOutput()
	if err != nil {
		return "nginx unknown"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "nginx version: ")
}

// at returns a quantile.
func at[T any](sorted []T, q float64) T {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// distribution says it in milliseconds: median, p95, max and the number of trials.
func distribution(ds []time.Duration) string {
	slices.Sort(ds)
	ms := func(q float64) int64 { return at(ds, q).Milliseconds() }
	return fmt.Sprintf("median %d ms, p95 %d ms, max %d ms (%d trials)", ms(0.5), ms(0.95), ms(1), len(ds))
}
