package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// failoverOptions are what `failover test` is told.
type failoverOptions struct {
	*program
	dryRun
	confirming
	wish         drill.Wish
	kind         string
	force        bool
	reportFile   string
	fieldManager string
	output       *printer.Flags
	// name is the load balancer that was named.
	name string
	// budget is --max-gap where it was given: that of a cloud's failover is another one by nature.
	budget time.Duration
}

func (p *program) failoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "failover",
		GroupID: groupOperate,
		Short:   "Prove that addresses survive the loss of a node",
		Long: `Prove that addresses survive the loss of a node, by losing one on purpose and measuring what clients see;
or have Octavia fail a load balancer over, without a verdict.`,
		Example: p.example("kubectl lb failover test tea", "kubectl lb failover run coffee"),
		Args:    p.noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.failoverTestCommand(), p.failoverRunCommand())
	return cmd
}

func (p *program) failoverTestCommand() *cobra.Command {
	o := &failoverOptions{program: p, output: printer.NewTableFlags()}
	cmd := &cobra.Command{
		Use:   "test (NAME | ADDRESS | --node NODE)",
		Short: "Make the active node fail for a moment, and measure the gap",
		Long: `Make the node that carries an address fail for a moment, and measure what that costs. All addresses on that
node move, not only the one that is named: the plan shows them, and has to be confirmed.

The node's daemon performs the fault and ends it: when everything has been taken over and answers, when the budget of
--max-gap is blown, on Ctrl-C, or at the end of --duration, whatever has become of this command. Meanwhile the addresses
are asked by new connections every few milliseconds from where this command runs. Kinds of faults:

  drain     the node hands its addresses over, as "drain" does
  crash     keepalived is killed, and the addresses stop answering at once
  nginx     nginx is killed and stays down
  isolate   the node's adverts, ARP and virtual IPs are cut off

A load balancer of Octavia is failed over by Octavia itself, with your own credentials of OpenStack; the kinds of
faults and --count are not for it, and it passes unless --max-gap was given.

The exit status is 3 if a run did not pass. docs/failover.md says more.`,
		Example: p.example(
			"kubectl lb failover test tea",
			"kubectl lb failover test 192.0.2.10 --kind nginx",
			"kubectl lb failover test tea --kind crash --count 20 --yes --report crash.html",
			"kubectl lb failover test --node lb1 --kind isolate --max-gap 1s",
			"kubectl lb failover test tea --dry-run"),
		Args: func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("max-gap") {
				o.budget = o.wish.MaxGap
			}
			return o.run(cmd.Context())
		},
		ValidArgsFunction: p.completeLoadBalancer,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.wish.Node, "node", "", "Node to fail, instead of the one that carries an address.")
	flags.StringVar(&o.kind, "kind", string(nodeconfig.DrillDrain), "Kind of fault: "+strings.Join(kinds(), ", ")+".")
	flags.DurationVar(&o.wish.MaxGap, "max-gap", 500*time.Millisecond, "Longest time without an answer that passes.")
	flags.IntVar(&o.wish.Count, "count", 1, "How many times to do it.")
	flags.DurationVar(&o.wish.Hold, "hold", time.Second,
		"How long all addresses must have answered before the fault is ended.")
	flags.DurationVar(&o.wish.Duration, "duration", 20*time.Second, "When the node ends the fault by itself; at most 2m.")
	flags.DurationVar(&o.wish.ProbeTimeout, "probe-timeout", 800*time.Millisecond, "Deadline of each probe.")
	flags.BoolVar(&o.wish.NoProbe, "no-probe", false, "Do not ask the addresses; go by the nodes' reports alone.")
	o.confirming.addTo(cmd)
	flags.BoolVar(&o.force, "force", false, "Go on even if no healthy node can take over.")
	o.dryRun.addTo(cmd)
	flags.Lookup("dry-run").Usage = `"none", or only show the plan ("client", "server").`
	flags.StringVar(&o.reportFile, "report", "", "Write a report to this HTML file.")
	flags.StringVar(&o.fieldManager, "field-manager", defaultFieldManager, "Owner of the fields that are written.")
	o.output.AddTo(cmd)
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kinds(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("node", p.completeNodes)
	return cmd
}

func kinds() []string {
	var out []string
	for _, k := range nodeconfig.DrillKinds() {
		out = append(out, string(k))
	}
	return out
}

func (o *failoverOptions) complete(args []string) error {
	switch {
	case len(args) > 1:
		return usagef("unexpected argument %q", args[1])
	case len(args) == 0 && o.wish.Node == "":
		return usagef("name a load balancer or an address, or give --node")
	case len(args) == 1 && o.wish.Node != "":
		return usagef("%q and --node contradict each other", args[0])
	}
	o.wish.Node = nodeOf(o.wish.Node)
	if len(args) == 1 {
		if a, err := netip.ParseAddr(args[0]); err == nil {
			o.wish.Address = a.Unmap()
		} else {
			o.name = nameOf(args[0])
		}
	}
	if err := o.output.Validate(); err != nil {
		return usagef("%w", err)
	}
	if err := o.dryRun.validate(); err != nil {
		return err
	}
	return o.validate()
}

func (o *failoverOptions) validate() error {
	o.wish.Kind = nodeconfig.DrillKind(o.kind)
	switch {
	case !o.wish.Kind.Valid():
		return usagef("--kind must be one of %s, not %q", strings.Join(kinds(), ", "), o.kind)
	case o.wish.MaxGap <= 0 || o.wish.Hold <= 0 || o.wish.ProbeTimeout <= 0:
		return usagef("--max-gap, --hold and --probe-timeout must be positive")
	case o.wish.Count < 1:
		return usagef("--count must be at least 1")
	case o.wish.Duration < o.wish.Hold+time.Second || o.wish.Duration > nodeconfig.MaxDrill:
		return usagef("--duration must be at least a second more than --hold, and at most %s", nodeconfig.MaxDrill)
	}
	if o.reportFile != "" && !o.real() {
		return usagef("--report tells of a test; with --dry-run there is none")
	}
	if o.reportFile != "" {
		if dir, err := os.Stat(filepath.Dir(o.reportFile)); err != nil || !dir.IsDir() {
			return usagef("--report: there is no directory %s", filepath.Dir(o.reportFile))
		}
	}
	return nil
}

func (o *failoverOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	if o.name != "" {
		o.wish.Key = lb.Key{Namespace: c.namespace, Name: o.name}
	}
	if l, err := o.cloudOf(ctx, c); l != nil || err != nil {
		if err != nil {
			return err
		}
		return o.runCloud(ctx, l, o.budget)
	}
	if err := o.mayDrill(ctx, c); err != nil {
		return err
	}
	docs, err := o.fleetDocuments(ctx, c)
	if err != nil {
		return err
	}
	plan, err := o.plan(docs)
	if err != nil {
		return err
	}
	report := o.newReport(ctx, c, plan, docs)
	if !o.real() {
		return o.showDryRun(report)
	}
	o.describe(plan)
	if err := o.confirm(ctx, o.program); err != nil {
		return err
	}
	t := &tester{failoverOptions: o, c: c, plan: plan, by: report.By,
		holdTime: time.Duration(docs.Config.Fleet.Timing.HoldTime)}
	runs, err := t.runAll(ctx)
	if len(runs) == 0 {
		return err
	}
	report.Runs, report.Summary = runs, drill.Summarize(runs)
	if err == nil {
		return o.conclude(report)
	}
	stop(&report.Summary, err)
	if shown := o.conclude(report); shown != nil && !errors.Is(shown, errFindings) {
		o.note("%s", explain(shown))
	}
	return err
}

// stop notes that an error came before all runs were done.
func stop(s *v1alpha1.FailoverSummary, err error) {
	s.Result, s.Message = v1alpha1.FailoverStopped, err.Error()
	if errors.Is(err, context.Canceled) {
		s.Result, s.Message = v1alpha1.FailoverInterrupted, "interrupted"
	}
}

// plan makes the plan, and refuses what only --force may do.
func (o *failoverOptions) plan(docs view.Documents) (v1alpha1.FailoverPlan, error) {
	if o.wish.Node != "" {
		if err := knownNode(docs, o.wish.Node); err != nil {
			return v1alpha1.FailoverPlan{}, err
		}
	}
	if err := o.servedOrNear(docs); err != nil {
		return v1alpha1.FailoverPlan{}, err
	}
	plan, objections, err := drill.Plan(o.wish, docs, o.now())
	if err == nil && !o.force {
		err = objection(objections)
	}
	plan.Warnings = slices.Concat(objections, plan.Warnings)
	return plan, err
}

// servedOrNear reports a load balancer that no node serves, with the names that were probably meant.
func (o *failoverOptions) servedOrNear(docs view.Documents) error {
	if o.name == "" || docs.Has(o.wish.Key) {
		return nil
	}
	var names []string
	for _, e := range docs.Config.LoadBalancers() {
		if e.Origin.Namespace == o.wish.Key.Namespace {
			names = append(names, e.Origin.Name)
		}
	}
	if near := nearestNames(o.name, names); len(near) > 0 {
		return fmt.Errorf("%s is not served by any node; did you mean %s?", o.wish.Key, strings.Join(near, " or "))
	}
	return fmt.Errorf("%s is not served by any node; '%s status' says what is, and why not", o.wish.Key, o.display)
}

// objection makes what only --force overrides an error; nil where there is nothing.
func objection(objections []string) error {
	if len(objections) == 0 {
		return nil
	}
	return fmt.Errorf("%s; --force goes on all the same", strings.Join(objections, "; "))
}
