package lab

import (
	"context"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

// Prober probes from a machine of the lab.
type Prober struct {
	*probe.Prober
	dialer *netspace.Dialer
}

// Prober makes a prober that stands on the machine ("" is the client); o.Dial is set here. Start it, and Stop it
// always: only that gives its thread back.
func (l *Lab) Prober(from string, o probe.Options) (*Prober, error) {
	if from == "" {
		from = l.info.Client.Name
	}
	d, err := l.Dialer(from)
	if err != nil {
		return nil, err
	}
	o.Dial = d.DialContext
	p, err := probe.New(o)
	if err != nil {
		d.Close()
		return nil, err
	}
	return &Prober{Prober: p, dialer: d}, nil
}

// Stop ends the probing and reports.
func (p *Prober) Stop() probe.Report {
	defer p.dialer.Close()
	return p.Prober.Stop()
}

// Probe probes until ctx ends and reports.
func (l *Lab) Probe(ctx context.Context, from string, o probe.Options) (probe.Report, error) {
	p, err := l.Prober(from, o)
	if err != nil {
		return probe.Report{}, err
	}
	p.Start(ctx)
	<-ctx.Done()
	return p.Stop(), nil
}
