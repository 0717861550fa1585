package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// cloudBranch adds what a cloud says of everything below a load balancer.
func (o *statusOptions) cloudBranch(t *printer.Tree, c lb.CloudStatus) {
	if c.ID == "" {
		return
	}
	root := t.Add(c.Name, printer.Cell{Text: "Octavia"}, cloudCell(c.Provisioning, c.Operating),
		printer.Cell{Text: "id " + c.ID + o.sinceOf(c.Since)})
	if n := c.Traffic; n != nil {
		root.Add("traffic", printer.Cell{Text: "Counters"}, printer.Cell{}, printer.Cell{Text: fmt.Sprintf(
			"%s in, %s out, %d connections now, %d in all, %d request errors", bytesOf(n.BytesIn), bytesOf(n.BytesOut),
			n.ActiveConnections, n.TotalConnections, n.RequestErrors)})
	}
	for _, l := range c.Listeners {
		listener := root.Add(l.Name, printer.Cell{Text: "Listener"}, cloudCell(l.Provisioning, l.Operating), printer.Cell{})
		for _, p := range l.Pools {
			pool := listener.Add(p.Name, printer.Cell{Text: "Pool"}, cloudCell(p.Provisioning, p.Operating), printer.Cell{})
			for _, m := range p.Members {
				pool.Add(m.Address, printer.Cell{Text: "Member"}, cloudCell(m.Provisioning, m.Operating),
					printer.Cell{Text: trimComma(o.sinceOf(m.Since))})
			}
		}
	}
}

// addTraffic asks Octavia for the counters of a load balancer.
func (o *statusOptions) addTraffic(ctx context.Context, s *v1alpha1.LoadBalancerStatus) error {
	c := s.Status.Cloud
	if c == nil || c.ID == "" {
		return fmt.Errorf("%s is no load balancer of Octavia, which is who counts traffic", s.Name)
	}
	traffic, err := o.operator().Traffic(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("traffic of load balancer %s: %w", c.ID, err)
	}
	c.Traffic = &traffic
	return nil
}

// operator makes calls to OpenStack with the user's own credentials.
func (p *program) operator() *octavia.Operator {
	getenv := func(name string) string {
		v, _ := p.env(name)
		return v
	}
	return octavia.NewOperator(octavia.UserCredentials(getenv, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}))
}

// bytesOf writes a number of bytes as people read it.
func bytesOf(n int64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, unit := float64(n), 0
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// sinceOf says since when something is so, as the rest of a sentence.
func (o *statusOptions) sinceOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", for " + printer.Age(t, o.now())
}

func trimComma(s string) string {
	if len(s) > 2 {
		return s[2:]
	}
	return s
}

// cloudCell shows the two statuses of Octavia: whether it has done its work, and whether traffic flows.
func cloudCell(provisioning, operating string) printer.Cell {
	cell := printer.Cell{Text: provisioning + "/" + operating, Color: printer.Doubtful}
	switch {
	case provisioning == "ERROR" || operating == "ERROR":
		cell.Color = printer.Bad
	case provisioning == "ACTIVE" && operating == "ONLINE":
		cell.Color = printer.Good
	case provisioning == "ACTIVE" && operating != "DEGRADED":
		cell.Color = printer.Plain
	}
	return cell
}
