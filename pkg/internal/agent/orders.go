package agent

import (
	"fmt"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// obey does what is ordered. An order changes weights and gate, never a rendered file, so it needs no preparation and
// waits for none.
func (a *Agent) obey(o nodeconfig.Order) {
	if o.Drain == nil {
		a.Release(reasonDrain)
		return
	}
	why := "drained"
	if o.Drain.By != "" {
		why += fmt.Sprintf(" by %q", o.Drain.By)
	}
	if o.Drain.Reason != "" {
		why += fmt.Sprintf(": %q", o.Drain.Reason)
	}
	a.Hold(reasonDrain, why)
}
