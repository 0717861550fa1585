package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

// nodesOptions are what `nodes` is told.
type nodesOptions struct {
	*program
	names  []string
	watch  bool
	output *printer.Flags
}

func (p *program) nodesCommand() *cobra.Command {
	o := &nodesOptions{program: p, output: printer.NewTableFlags()}
	cmd := &cobra.Command{
		Use:     "nodes [NODE...]",
		GroupID: groupOperate,
		Short:   "Show the load-balancer nodes and whether each carries its share",
		Long: `Show the load-balancer nodes: whether each carries its share of the addresses, how many it holds, how many are
at home on it, and why it could not take over, if it could not.

Everything shown is what the nodes report. SHARE is Serving, Draining, Drained, Holding (well again, waiting for the
hold time to pass), Unfit or Silent (it announces nothing).`,
		Example: p.example("kubectl lb nodes", "kubectl lb nodes lb1 -o yaml", "kubectl lb nodes --watch"),
		Args: func(_ *cobra.Command, args []string) error {
			for _, a := range args {
				o.names = append(o.names, nodeOf(a))
			}
			if err := o.output.Validate(); err != nil {
				return usagef("%w", err)
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeNodes,
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "Go on showing changes until interrupted.")
	o.output.AddTo(cmd)
	return cmd
}

func (o *nodesOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	docs, err := o.fleetDocuments(ctx, c)
	if err != nil {
		return err
	}
	for _, n := range o.names {
		if err := knownNode(docs, n); err != nil {
			return err
		}
	}
	if o.watch {
		return o.follow(ctx, c, docs)
	}
	list := o.picture(docs)
	switch {
	case o.output.Name():
		o.showNames(list.Items)
		return nil
	case !o.output.Human():
		return o.output.Print(o.Out, list)
	case len(list.Items) == 0:
		o.note("No load-balancer nodes found")
		return nil
	}
	return o.show(list.Items, o.tableOptions(o.output))
}

// picture returns the nodes that are to be shown.
func (o *nodesOptions) picture(docs view.Documents) *v1alpha1.NodeStatusList {
	list := view.Nodes(docs, o.now())
	if len(o.names) > 0 {
		list.Items = slices.DeleteFunc(list.Items, func(n v1alpha1.NodeStatus) bool {
			return !slices.Contains(o.names, n.Name)
		})
	}
	return list
}

func (o *nodesOptions) showNames(items []v1alpha1.NodeStatus) {
	for _, n := range items {
		fmt.Fprintf(o.Out, "node/%s\n", n.Name)
	}
}

func (o *nodesOptions) show(items []v1alpha1.NodeStatus, table printer.Options) error {
	var rows [][]printer.Cell
	for _, n := range items {
		row := printer.Text(n.Name, printer.Or(string(n.Share), printer.Unknown), strconv.Itoa(n.Addresses),
			strconv.Itoa(n.Home), o.reportAge(n), printer.Or(nodeNote(n), printer.None), strconv.Itoa(n.Conflicts),
			drillNote(n), currentNote(n))
		if n.Share != "" {
			row[1].Color = shareColor(n.Share)
		}
		rows = append(rows, row)
	}
	columns := []printer.Column{
		{Name: "NAME"}, {Name: "SHARE"}, {Name: "ADDRESSES"}, {Name: "HOME"}, {Name: "REPORTED"}, {Name: "NOTE"},
		{Name: "CONFLICTS", Wide: true}, {Name: "DRILL", Wide: true}, {Name: "CURRENT", Wide: true},
	}
	return printer.Table(o.Out, columns, rows, table)
}

func (o *nodesOptions) reportAge(n v1alpha1.NodeStatus) string {
	if n.Reported == nil {
		return "never"
	}
	return printer.Age(n.Reported.Time, o.now()) + " ago"
}

// nodeNote says what there is to know about a node beside its share: who drained it and why, or what is wrong.
func nodeNote(n v1alpha1.NodeStatus) string {
	switch {
	case n.Drain != nil:
		text := "drained"
		if n.Drain.By != "" {
			text += fmt.Sprintf(" by %q", n.Drain.By)
		}
		if n.Drain.Reason != "" {
			text += fmt.Sprintf(": %q", n.Drain.Reason)
		}
		return text
	case n.Problem != "":
		return n.Problem
	case n.ShareReason != "":
		return n.ShareReason
	case n.Conflicts > 0:
		return fmt.Sprintf("sees %d conflicts", n.Conflicts)
	}
	return ""
}

func drillNote(n v1alpha1.NodeStatus) string {
	if n.Drill == nil {
		return printer.None
	}
	return fmt.Sprintf("%s %s", n.Drill.Kind, n.Drill.State)
}

func currentNote(n v1alpha1.NodeStatus) string {
	if n.Current {
		return "yes"
	}
	return "no"
}
