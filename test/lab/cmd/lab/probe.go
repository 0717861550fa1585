package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

func newProbe(name *string) *cobra.Command {
	var o probe.Options
	var length time.Duration
	var from string
	asJSON := false
	cmd := &cobra.Command{
		Use:   "probe ADDR[:PORT]",
		Short: "Measure how long an address is away",
		Long: `Every interval a new TCP connection with one HTTP request, each with a deadline of its own; probes overlap.
Downtime is the start of the first success after an outage minus that of the last success before it. Ctrl-C ends
early, with the figures so far. The exit status is 1 if no probe at all succeeded.`,
		Example: "  lab probe 10.88.100.1 --for 30s\n  lab probe '[fd00:88::100:1]:80' --from lb2 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Target, err = parseTarget(args[0]); err != nil {
				return err
			}
			l, err := lab.Open(*name)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), length)
			defer cancel()
			report, err := l.Probe(ctx, from, o)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = printReport(cmd.OutOrStdout(), report)
			}
			if err == nil && report.Failed == report.Sent {
				err = errors.New("no probe succeeded")
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.Interval, "interval", 5*time.Millisecond, "time between two probes")
	flags.DurationVar(&o.Timeout, "timeout", 300*time.Millisecond, "deadline of each probe")
	flags.DurationVar(&length, "for", 10*time.Second, "how long to probe")
	flags.StringVar(&from, "from", "client", "the machine to probe from")
	flags.BoolVar(&o.TCP, "tcp", false, "connect and read one byte instead of an HTTP request")
	flags.StringVar(&o.Host, "host", "", "the request's Host (default the address)")
	flags.StringVar(&o.Path, "path", "/", "the request's path")
	flags.BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// parseTarget reads ADDR, ADDR:PORT, [ADDR6]:PORT or a bare ADDR6; the default port is 80.
func parseTarget(s string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(addr, 80), nil
	}
	target, err := netip.ParseAddrPort(s)
	if err != nil {
		return target, fmt.Errorf("probe %q: want ADDR or ADDR:PORT: %w", s, err)
	}
	return target, nil
}

func printReport(out io.Writer, r probe.Report) error {
	_, err := fmt.Fprintf(out, "sent %d, failed %d, longest gap %s, latency p50 %s p95 %s p99 %s\n",
		r.Sent, r.Failed, millis(r.LongestGap), millis(r.P50), millis(r.P95), millis(r.P99))
	for _, w := range r.Windows {
		open := ""
		if w.Open {
			open = " (or more)"
		}
		_, err = fmt.Fprintf(out, "  away %s%s from %s, %d failed\n",
			millis(w.Downtime), open, w.Start.Format("15:04:05.000"), w.Failed)
	}
	var reasons []string
	for why, n := range r.Reasons {
		reasons = append(reasons, fmt.Sprintf("  %6d × %s\n", n, why))
	}
	slices.Sort(reasons)
	for _, line := range reasons {
		_, err = io.WriteString(out, line)
	}
	if lag := r.MaxLag.Duration(); lag > 50*time.Millisecond {
		_, err = fmt.Fprintf(out, "  this machine was busy: a probe started %s late\n", millis(r.MaxLag))
	}
	return err
}

func millis(m probe.Millis) string {
	return fmt.Sprintf("%.1f ms", float64(m)/float64(time.Millisecond))
}
