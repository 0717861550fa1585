package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

// nodeWatcher shows the nodes again and again: it redraws a terminal, and elsewhere appends what changed.
type nodeWatcher struct {
	*nodesOptions
	redraw, headed bool
	// shown is what was last appended of each node.
	shown map[string]string
}

// follow shows the nodes and then every change, until it is interrupted.
func (o *nodesOptions) follow(ctx context.Context, c *cluster, docs view.Documents) error {
	w := &nodeWatcher{nodesOptions: o, shown: map[string]string{}}
	w.redraw = o.output.Human() && printers.IsTerminal(o.Out)
	changed := make(chan struct{}, 1)
	copied := follower(ctx, c, c.system, systemSelector, changed)
	lost := false
	return keepUp(ctx, changed, pictures{
		draw: func() error { return w.draw(o.picture(docs)) },
		copy: func() { docs = c.clock.Documents(copied()) },
		ask: func() bool {
			limited, cancel := context.WithTimeout(ctx, askLimit)
			defer cancel()
			cms, err := c.documents(limited)
			if err == nil {
				docs = c.clock.Documents(cms)
			} else if !lost && ctx.Err() == nil {
				o.outdated(err)
			}
			lost = err != nil
			return !lost
		},
	})
}

// draw shows all nodes, or those that have changed; in a format for programs as a list of its own.
func (w *nodeWatcher) draw(list *v1alpha1.NodeStatusList) error {
	table := w.tableOptions(w.output)
	if w.redraw {
		fmt.Fprint(w.Out, "\x1b[H\x1b[2J")
		return w.show(list.Items, table)
	}
	list.Items = w.changes(list.Items)
	switch {
	case len(list.Items) == 0:
		return nil
	case w.output.Name():
		w.showNames(list.Items)
		return nil
	case !w.output.Human():
		return w.output.Print(w.Out, list)
	}
	table.NoHeaders = table.NoHeaders || w.headed
	w.headed = true
	return w.show(list.Items, table)
}

// changes returns the nodes of which there is something new to show: neither ages nor heartbeats, but what the table
// has. It tells of those that have gone.
func (w *nodeWatcher) changes(nodes []v1alpha1.NodeStatus) []v1alpha1.NodeStatus {
	var changed []v1alpha1.NodeStatus
	there := map[string]bool{}
	for _, n := range nodes {
		there[n.Name] = true
		note := nodeNote(n)
		if n.Stale && n.Drain == nil {
			note = "" // for how long
		}
		now := fmt.Sprint(n.Stale, n.Share, n.Addresses, n.Home, note)
		if w.output.Wide() || !w.output.Human() {
			now += fmt.Sprint(n.Conflicts, drillNote(n), currentNote(n))
		}
		if w.shown[n.Name] != now {
			w.shown[n.Name] = now
			changed = append(changed, n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.shown)) {
		if !there[name] {
			delete(w.shown, name)
			w.note("node/%s: gone", printer.Escape(name))
		}
	}
	return changed
}
