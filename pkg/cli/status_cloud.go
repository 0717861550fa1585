package cli

import (
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// cloudBranch adds what a cloud says of everything below a load balancer.
func (o *statusOptions) cloudBranch(t *printer.Tree, c lb.CloudStatus) {
	if c.ID == "" {
		return
	}
	root := t.Add(c.Name, printer.Cell{Text: "Octavia"}, cloudCell(c.Provisioning, c.Operating),
		printer.Cell{Text: "id " + c.ID + o.sinceOf(c.Since)})
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
