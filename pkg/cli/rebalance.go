package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// rebalanceOptions are what `rebalance` is told.
type rebalanceOptions struct {
	*program
	waiting
	dryRun
	fieldManager string
}

func (p *program) rebalanceCommand() *cobra.Command {
	o := &rebalanceOptions{program: p}
	cmd := &cobra.Command{
		Use:     "rebalance",
		GroupID: groupOperate,
		Short:   "Spread the addresses anew over the nodes",
		Long: `Spread the groups of addresses anew over the nodes that there are, so that each carries about the same number
of addresses. Nodes that come and go move as little as possible, which may leave some with more than others.

Groups move as they do when a node is drained: new connections do not fail, open ones are cut.`,
		Example: p.example("kubectl lb rebalance", "kubectl lb rebalance --timeout 2m"),
		Args: func(_ *cobra.Command, args []string) error {
			if err := exactly(0, "")(nil, args); err != nil {
				return err
			}
			if err := o.dryRun.validate(); err != nil {
				return err
			}
			return o.waiting.validate()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.dryRun.addTo(cmd)
	o.waiting.addTo(cmd, "every address is where it belongs")
	byDefault(cmd, "wait", "true")
	cmd.Flags().StringVar(&o.fieldManager, "field-manager", defaultFieldManager, "Owner of the fields that are written.")
	return cmd
}

func (o *rebalanceOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	before, err := o.fleetDocuments(ctx, c)
	if err != nil {
		return err
	}
	request := nodeconfig.Rebalance{
		Version: nodeconfig.Version, ID: newID(), Requested: o.now().UTC(), By: c.whoami(ctx),
	}
	if o.dryRun != dryRunClient {
		w := orderWriter{c: c, manager: o.fieldManager, dryRun: o.server()}
		_, err := w.key(ctx, nodeconfig.KeyRebalance, func(string) (string, error) { return nodeconfig.Encode(request) })
		if err != nil {
			return err
		}
	}
	after := before
	if o.wait && o.real() {
		look := func(docs view.Documents) string { after = docs; return o.missing(docs, request.ID) }
		if err := o.untilSeen(ctx, c, look); err != nil {
			return lateError("the groups are not rebalanced yet, but it is ordered", err)
		}
	}
	return o.report(before, after)
}

// missing says what of a request has not happened yet.
func (o *rebalanceOptions) missing(docs view.Documents, id string) string {
	switch {
	case docs.Rebalance.ID != id:
		return "somebody else has asked meanwhile"
	case docs.Config.Fleet.Rebalanced != id:
		return "the controller has not dealt with it yet"
	}
	return docs.Astray("", o.now())
}

// report says which groups have a new home, and which addresses have moved.
func (o *rebalanceOptions) report(before, after view.Documents) error {
	what := "rebalanced"
	var rows [][]printer.Cell
	if o.real() && o.wait {
		was := before.Homes()
		for _, g := range after.Config.Fleet.Groups {
			if old := was[g.ID]; old != g.Home {
				rows = append(rows, printer.Text(strconv.Itoa(g.ID), printer.Or(old, printer.None), g.Home,
					strconv.Itoa(addressesIn(after, g.ID))))
			}
		}
		if len(rows) == 0 {
			what = "rebalanced, nothing had to move"
		}
	}
	if _, err := fmt.Fprintf(o.Out, "fleet %s%s\n", what, o.suffix()); err != nil || len(rows) == 0 {
		return err
	}
	columns := []printer.Column{{Name: "GROUP"}, {Name: "FROM"}, {Name: "TO"}, {Name: "ADDRESSES"}}
	return printer.Table(o.Out, columns, rows, printer.Options{})
}

func addressesIn(docs view.Documents, group int) int {
	n := 0
	for _, e := range docs.Config.LoadBalancers() {
		if e.Group == group {
			n += len(e.VIPs)
		}
	}
	return n
}
