package rig

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

// ProbeInterval is the time between two probes: a new connection with one request each, as facts need them.
const ProbeInterval = 5 * time.Millisecond

// Probe is a running prober.
type Probe struct {
	prober *lab.Prober
	ctx    context.Context
}

// Report is what a prober saw.
type Report struct{ probe.Report }

// Outage is the longest outage, zero when no probe failed.
func (r Report) Outage() time.Duration {
	var longest time.Duration
	for _, w := range r.Windows {
		longest = max(longest, w.Downtime.Duration())
	}
	return longest
}

// Ended says whether the last probe was answered.
func (r Report) Ended() bool {
	n := len(r.Windows)
	return n == 0 || !r.Windows[n-1].Open
}

// String is for logs and failures.
func (r Report) String() string {
	if r.Failed == 0 {
		return fmt.Sprintf("0 of %d probes failed", r.Sent)
	}
	return fmt.Sprintf("%d of %d probes failed, longest outage %s, reasons %v, outages %v",
		r.Failed, r.Sent, r.Outage(), r.Reasons, r.Windows)
}

// warmUp is how long a prober runs before whatever is to happen, so that an outage has a last success before it.
const warmUp = 200 * time.Millisecond

// Probe asks an address at port 80 every 5 ms from a machine of the lab, until it is stopped. It returns once the
// prober has run for a moment.
func (r *Rig) Probe(ctx context.Context, from, address string) (*Probe, error) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	p, err := r.Lab.Prober(from, probe.Options{
		Target: netip.AddrPortFrom(addr, 80), Interval: ProbeInterval, Timeout: r.ProbeTimeout,
	})
	if err != nil {
		return nil, err
	}
	p.Start(ctx)
	time.Sleep(warmUp)
	return &Probe{prober: p, ctx: ctx}, nil
}

// Stop ends the probing.
func (p *Probe) Stop() Report { return Report{p.prober.Stop()} }

// StopAfter ends the probing after a while, or when the context ends.
func (p *Probe) StopAfter(d time.Duration) Report {
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
	return p.Stop()
}
