package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

// statusOptions are what `status` is told.
type statusOptions struct {
	*program
	names         []string
	allNamespaces bool
	selector      string
	watch         bool
	exitCode      bool
	traffic       bool
	output        *printer.Flags
}

func (p *program) statusCommand() *cobra.Command {
	o := &statusOptions{program: p, output: printer.NewTableFlags()}
	cmd := &cobra.Command{
		Use:     "status [NAME...]",
		Aliases: []string{"get"},
		GroupID: groupBasic,
		Short:   "Show how load balancers fare and which node holds each address",
		Long: `Show how load balancers fare: their addresses, the node that holds each of them now, and how many nodes run
the version that is wanted. With one NAME, show it in full, down to the pods behind it.

What is shown comes from the load balancers' ConfigMaps and from what the nodes report; nothing is probed.
Reading needs "list" on ConfigMaps in the namespace, and in the system namespace for the nodes' part.`,
		Example: p.example(
			"kubectl lb status",
			"kubectl lb status tea",
			"kubectl lb status -A -o wide",
			"kubectl lb status tea -o jsonpath='{.status.vips[0].holders[0]}'",
			"kubectl lb status --watch"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeLoadBalancers,
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Show the load balancers of all namespaces.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Label selector, such as -l team=a.")
	flags.BoolVarP(&o.watch, "watch", "w", false, "Go on showing changes until interrupted.")
	flags.BoolVar(&o.exitCode, "exit-code", false, "Exit with 3 unless every load balancer shown is healthy.")
	flags.BoolVar(&o.traffic, "traffic", false,
		"Ask Octavia, with your own credentials, what the NAMEd load balancer has carried.")
	o.output.AddTo(cmd)
	return cmd
}

func (o *statusOptions) complete(args []string) error {
	for _, a := range args {
		o.names = append(o.names, nameOf(a))
	}
	if len(o.names) > 0 && o.allNamespaces {
		return usagef("a name and --all-namespaces contradict each other")
	}
	if len(o.names) > 0 && o.selector != "" {
		return usagef("a name and --selector contradict each other")
	}
	if o.traffic && (len(o.names) != 1 || o.watch) {
		return usagef("--traffic is for one NAME, without --watch")
	}
	if err := o.output.Validate(); err != nil {
		return usagef("%w", err)
	}
	return nil
}

// nameOf strips the kind that -o name and kubectl put before a name.
func nameOf(arg string) string {
	for _, kind := range []string{"configmap/", "configmaps/", "cm/"} {
		if name, ok := strings.CutPrefix(arg, kind); ok {
			return name
		}
	}
	return arg
}

func (o *statusOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(ctx, c)
	}
	snap, err := o.snapshot(ctx, c)
	if err != nil {
		return err
	}
	list := view.Build(snap)
	if err := o.pick(list, c.namespace); err != nil {
		return err
	}
	if o.traffic {
		if err := o.addTraffic(ctx, &list.Items[0]); err != nil {
			return err
		}
	}
	if err := o.show(ctx, c, list); err != nil {
		return err
	}
	if o.exitCode && slices.ContainsFunc(list.Items, unhealthy) {
		return errFindings
	}
	return nil
}

func unhealthy(s v1alpha1.LoadBalancerStatus) bool { return s.Status.State != v1alpha1.Healthy }

// snapshot reads what the status is worked out from, by one List for each kind of object.
func (o *statusOptions) snapshot(ctx context.Context, c *cluster) (view.Snapshot, error) {
	namespace := c.namespace
	if o.allNamespaces {
		namespace = metav1.NamespaceAll
	}
	return o.take(ctx, c, namespace, o.selector)
}

// pick keeps the load balancers that were named. A name that does not exist is an error, like in kubectl; the others
// are kept all the same.
func (o *statusOptions) pick(list *v1alpha1.LoadBalancerStatusList, namespace string) error {
	if len(o.names) == 0 {
		return nil
	}
	var picked []v1alpha1.LoadBalancerStatus
	var missing error
	for _, name := range o.names {
		i := slices.IndexFunc(list.Items, func(s v1alpha1.LoadBalancerStatus) bool { return s.Name == name })
		switch {
		case i >= 0:
			picked = append(picked, list.Items[i])
		case missing == nil:
			missing = notFound(name, namespace, list)
		}
	}
	list.Items = picked
	return missing
}

// notFound says that there is no load balancer of a name, and which may have been meant.
func notFound(name, namespace string, list *v1alpha1.LoadBalancerStatusList) error {
	var names []string
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	if near := nearestNames(name, names); len(near) > 0 {
		return fmt.Errorf("load balancer %q not found in namespace %q; did you mean %s?",
			name, namespace, strings.Join(near, " or "))
	}
	return fmt.Errorf("load balancer %q not found in namespace %q", name, namespace)
}

// show prints the load balancers: as a tree when one was named, else as a table.
func (o *statusOptions) show(ctx context.Context, c *cluster, list *v1alpha1.LoadBalancerStatusList) error {
	if len(o.names) == 1 && len(list.Items) == 1 && !o.output.Name() {
		o.countEndpoints(ctx, c, &list.Items[0])
	}
	switch {
	case len(o.names) > 0 && len(list.Items) == 0: // Only what is watched can go.
		o.note("%s: gone", strings.Join(o.names, ", "))
		return nil
	case o.output.Name():
		return o.showNames(list.Items)
	case !o.output.Human() && len(o.names) == 1:
		return o.output.Print(o.Out, &list.Items[0])
	case !o.output.Human():
		return o.output.Print(o.Out, list)
	case len(o.names) == 1:
		return o.showTree(list.Items[0])
	case len(list.Items) == 0:
		if o.allNamespaces {
			o.note("No load balancers found")
		} else {
			o.note("No load balancers found in %s namespace.", c.namespace)
		}
		return nil
	}
	if err := o.showTable(list.Items, o.tableOptions(o.output)); err != nil {
		return err
	}
	if !o.output.Wide() {
		o.showReasons(list.Items)
	}
	return nil
}

// showNames prints what kubectl, and delete, take as a name.
func (o *statusOptions) showNames(items []v1alpha1.LoadBalancerStatus) error {
	for _, s := range items {
		if _, err := fmt.Fprintf(o.Out, "configmap/%s\n", s.Name); err != nil {
			return err
		}
	}
	return nil
}
