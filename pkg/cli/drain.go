package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// drainOptions are what `drain` and `undrain` are told.
type drainOptions struct {
	*program
	waiting
	dryRun
	node         string
	reason       string
	force        bool
	fieldManager string
	// held are the addresses that the node had at the start.
	held []netip.Addr
}

func (p *program) drainCommand() *cobra.Command {
	o := &drainOptions{program: p}
	cmd := &cobra.Command{
		Use:     "drain NODE",
		GroupID: groupOperate,
		Short:   "Move every address off a node, and keep them off",
		Long: `Move every virtual IP off a load-balancer node, before its maintenance, and keep them off until "undrain".

The others announce the addresses before the node stops to serve them, so that new connections do not fail; open ones
are cut. The node stays drained when it reboots. If every other node is lost meanwhile, it serves all the same.`,
		Example: p.example(
			`kubectl lb drain lb1 --reason "new kernel"`,
			"kubectl lb drain lb1 --timeout 30s",
			"kubectl lb drain lb1 --dry-run=server"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.drain(cmd.Context()) },
		ValidArgsFunction: p.completeNode,
	}
	o.addTo(cmd, "another node has each address")
	cmd.Flags().StringVar(&o.reason, "reason", "", "Why, for those who look at the node later.")
	cmd.Flags().BoolVar(&o.force, "force", false, "Drain even if no other node can take the addresses over.")
	return cmd
}

func (p *program) undrainCommand() *cobra.Command {
	o := &drainOptions{program: p}
	cmd := &cobra.Command{
		Use:     "undrain NODE",
		GroupID: groupOperate,
		Short:   "Give a drained node its share of the addresses back",
		Long: `Take the order of "drain" back. Once the node has been well for the fleet's hold time (5 s by default), it
takes the addresses that are at home on it, as carefully as it gave them up.`,
		Example:           p.example("kubectl lb undrain lb1", "kubectl lb undrain lb1 --wait=false"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.undrain(cmd.Context()) },
		ValidArgsFunction: p.completeNode,
	}
	o.addTo(cmd, "the node has its addresses")
	return cmd
}

func (o *drainOptions) addTo(cmd *cobra.Command, what string) {
	o.dryRun.addTo(cmd)
	o.waiting.addTo(cmd, what)
	byDefault(cmd, "wait", "true")
	cmd.Flags().StringVar(&o.fieldManager, "field-manager", defaultFieldManager, "Owner of the fields that are written.")
}

// byDefault changes the default of a flag that several commands share.
func byDefault(cmd *cobra.Command, flag, value string) {
	f := cmd.Flags().Lookup(flag)
	f.DefValue = value
	_ = f.Value.Set(value)
}

func (o *drainOptions) complete(args []string) error {
	if err := exactly(1, "the node")(nil, args); err != nil {
		return err
	}
	o.node = nodeOf(args[0])
	if err := o.dryRun.validate(); err != nil {
		return err
	}
	return o.waiting.validate()
}

func (o *drainOptions) drain(ctx context.Context) error {
	c, docs, err := o.start(ctx)
	if err != nil {
		return err
	}
	fit, problems := docs.Standbys(o.node, o.now())
	if len(fit) == 0 && !o.force {
		return fmt.Errorf("no other node can take the addresses of %s over (%s); --force drains it all the same", o.node,
			printer.Or(strings.Join(problems, "; "), "there is none"))
	}
	by := c.whoami(ctx)
	changed, err := o.order(ctx, c, func(order *nodeconfig.Order) error {
		if order.Drain == nil {
			order.Drain = &nodeconfig.Drain{Since: o.now().UTC(), By: by, Reason: o.reason}
		} else if o.reason != "" {
			order.Drain.Reason = o.reason
		}
		return nil
	})
	if err != nil {
		return err
	}
	before := docs.Placed(o.now())
	if len(fit) == 0 {
		o.note("No other node can take the addresses over; they stay on %s until one can.", o.node)
	} else if o.wait && o.real() {
		if err := o.untilSeen(ctx, c, o.keep(&docs, o.undrained)); err != nil {
			return o.late("is not drained yet", err)
		}
	}
	return o.report("drained", changed, before, docs.Placed(o.now()))
}

func (o *drainOptions) undrain(ctx context.Context) error {
	c, docs, err := o.start(ctx)
	if err != nil {
		return err
	}
	changed, err := o.order(ctx, c, func(order *nodeconfig.Order) error {
		order.Drain = nil
		return nil
	})
	if err != nil {
		return err
	}
	before := docs.Placed(o.now())
	if o.wait && o.real() {
		if err := o.untilSeen(ctx, c, o.keep(&docs, o.unshared)); err != nil {
			return o.late("does not carry its share yet", err)
		}
	}
	return o.report("undrained", changed, before, docs.Placed(o.now()))
}

// start reads the fleet, which must have the node.
func (o *drainOptions) start(ctx context.Context) (*cluster, view.Documents, error) {
	c, err := o.connect()
	if err != nil {
		return nil, view.Documents{}, err
	}
	docs, err := o.fleetDocuments(ctx, c)
	if err == nil {
		err = knownNode(docs, o.node)
	}
	s, _ := docs.Status(o.node)
	o.held = s.Holding
	return c, docs, err
}

// order changes the node's order, as far as --dry-run lets it.
func (o *drainOptions) order(ctx context.Context, c *cluster, change func(*nodeconfig.Order) error) (bool, error) {
	if o.dryRun == dryRunClient {
		return true, nil
	}
	return orderWriter{c: c, manager: o.fieldManager, dryRun: o.server()}.node(ctx, o.node, change)
}

// keep makes a look that leaves what it last saw in docs.
func (o *drainOptions) keep(docs *view.Documents, look func(view.Documents) string) func(view.Documents) string {
	return func(seen view.Documents) string {
		*docs = seen
		return look(seen)
	}
}

// undrained says what a drained node still has.
func (o *drainOptions) undrained(docs view.Documents) string {
	s, missing := o.heard(docs)
	switch {
	case missing != "":
		return missing
	case docs.Config.Orders[o.node].Drain == nil:
		return "somebody has undrained it meanwhile"
	case len(s.Holding) > 0:
		return "it still has " + listAddresses(s.Holding)
	case s.Share.State != nodeconfig.ShareDrained:
		return "it reports " + reported(s.Share)
	}
	now := o.now()
	for _, p := range docs.Placed(now) {
		if len(p.Holders) == 0 && slices.Contains(o.held, p.Address) {
			return fmt.Sprintf("no node reports %s yet", p.Address)
		}
	}
	return ""
}

// unshared says what of its share an undrained node does not have yet.
func (o *drainOptions) unshared(docs view.Documents) string {
	s, missing := o.heard(docs)
	switch {
	case missing != "":
		return missing
	case docs.Config.Orders[o.node].Drain != nil:
		return "somebody has drained it again"
	case s.Share.State != nodeconfig.ShareServing:
		return "it reports " + reported(s.Share)
	}
	return docs.Astray(o.node, o.now())
}

// heard returns what the node last said, and what is missing where that says nothing about the present.
func (o *drainOptions) heard(docs view.Documents) (s nodeconfig.Status, missing string) {
	s, ok := docs.Status(o.node)
	switch {
	case !ok:
		return s, "it has never reported"
	case s.Stale(o.now()):
		return s, "it has been silent for " + printer.Age(s.Reported, o.now())
	}
	return s, ""
}

// reported words a node's share.
func reported(s nodeconfig.Share) string {
	text := printer.Or(string(s.State), "nothing about its share")
	if s.Reason != "" {
		text += " (" + s.Reason + ")"
	}
	return text
}

func (o *drainOptions) late(what string, err error) error {
	return lateError(fmt.Sprintf("node/%s %s, but is ordered", o.node, what), err)
}

// report says what was done and which addresses have moved.
func (o *drainOptions) report(verb string, changed bool, before, after []view.Placed) error {
	if !changed {
		verb = "unchanged"
	}
	if _, err := fmt.Fprintf(o.Out, "node/%s %s%s\n", o.node, verb, o.suffix()); err != nil {
		return err
	}
	return o.showMoves(before, after)
}

// showMoves lists the addresses that are elsewhere than before.
func (p *program) showMoves(before, after []view.Placed) error {
	was := map[netip.Addr][]string{}
	for _, b := range before {
		was[b.Address] = b.Holders
	}
	var rows [][]printer.Cell
	for _, a := range after {
		old, known := was[a.Address]
		if known && !slices.Equal(old, a.Holders) {
			rows = append(rows, printer.Text(a.Address.String(), a.Key.String(),
				printer.Or(strings.Join(old, "+"), printer.None), printer.Or(strings.Join(a.Holders, "+"), printer.None)))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	columns := []printer.Column{{Name: "ADDRESS"}, {Name: "LOADBALANCER"}, {Name: "FROM"}, {Name: "TO"}}
	return printer.Table(p.Out, columns, rows, printer.Options{})
}

// listAddresses names addresses, only the first few of many.
func listAddresses(all []netip.Addr) string {
	const few = 3
	var words []string
	for i, a := range all {
		if i == few {
			words = append(words, fmt.Sprintf("%d more", len(all)-few))
			break
		}
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// lateError words a wait that came to nothing; other errors stay as they are.
func lateError(what string, err error) error {
	var e *exitError
	if errors.As(err, &e) && e.code == ExitTimeout {
		return &exitError{ExitTimeout, fmt.Errorf("%s: %w", what, e.err)}
	}
	return err
}
