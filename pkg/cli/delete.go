package cli

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// outputName is the one format of `delete`.
const outputName = "name"

// deleteOptions are what `delete` is told.
type deleteOptions struct {
	*program
	waiting
	dryRun
	names          []string
	all            bool
	selector       string
	ignoreNotFound bool
	output         string
	// blind says that the nodes' documents are not to be had, unseen that the objects may not be read one by one.
	blind, unseen bool
}

func (p *program) deleteCommand() *cobra.Command {
	o := &deleteOptions{program: p}
	cmd := &cobra.Command{
		Use:     "delete (NAME... | --all | -l SELECTOR)",
		GroupID: groupBasic,
		Short:   "Delete load balancers; their Services stay",
		Long: `Delete load balancers, that is their ConfigMaps. The Services and pods behind them are left alone, and so is
every ConfigMap without the label app=loadbalancer.

The address is withdrawn from every node before anybody else can get it; --wait waits for that, as far as you may
read what the nodes report, and for OpenStack to have deleted what it made.`,
		Example: p.example(
			"kubectl lb delete tea",
			"kubectl lb delete tea --wait --timeout 30s",
			"kubectl lb delete --all -n shop --dry-run=client"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeLoadBalancers,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "Delete all load balancers of the namespace.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Delete the load balancers that a label selector chooses.")
	flags.BoolVar(&o.ignoreNotFound, "ignore-not-found", false, "A load balancer that does not exist is no error.")
	flags.StringVarP(&o.output, "output", "o", "", `Output format: "" or "name".`)
	printer.SetFormats(flags.Lookup("output"), []string{outputName})
	_ = cmd.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions([]string{outputName}, cobra.ShellCompDirectiveNoFileComp))
	o.dryRun.addTo(cmd)
	o.waiting.addTo(cmd, "no node serves them or holds their addresses any more")
	return cmd
}

func (o *deleteOptions) complete(args []string) error {
	for _, a := range args {
		o.names = append(o.names, nameOf(a))
	}
	ways := 0
	for _, given := range []bool{len(o.names) > 0, o.all, o.selector != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return usagef("name the load balancers to delete, or give --all or --selector")
	case ways > 1:
		return usagef("names, --all and --selector exclude each other")
	case o.output != "" && o.output != outputName:
		return usagef(`-o must be "name", not %q`, o.output)
	}
	if err := o.dryRun.validate(); err != nil {
		return err
	}
	return o.waiting.validate()
}

func (o *deleteOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	doomed, err := o.find(ctx, c)
	if err != nil {
		return err
	}
	if len(doomed) == 0 && len(o.names) == 0 {
		o.note("No load balancers found in %s namespace.", c.namespace)
	}
	for _, cm := range doomed {
		if err := o.delete(ctx, c, cm); err != nil {
			return err
		}
	}
	if !o.wait || !o.real() || len(doomed) == 0 {
		return nil
	}
	return o.until(ctx, func(ctx context.Context) (string, error) { return o.remains(ctx, c, doomed) })
}

// find returns the ConfigMaps to delete. Nothing is deleted unless all that were named can be.
func (o *deleteOptions) find(ctx context.Context, c *cluster) ([]corev1.ConfigMap, error) {
	if len(o.names) == 0 {
		return c.objects(ctx, c.namespace, o.selector)
	}
	var found []corev1.ConfigMap
	for _, name := range o.names {
		cm, err := c.CoreV1().ConfigMaps(c.namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && o.ignoreNotFound:
			continue
		case err != nil:
			return nil, err
		case !isLoadBalancer(cm):
			return nil, notOurs(cm)
		}
		found = append(found, *cm)
	}
	return found, nil
}

// isLoadBalancer reports whether a ConfigMap is a load balancer.
func isLoadBalancer(cm *corev1.ConfigMap) bool {
	return cm.Labels[configmap.LabelKey] == configmap.LabelValue
}

func notOurs(cm *corev1.ConfigMap) error {
	return fmt.Errorf("configmap %q is not a load balancer: it lacks the label %s=%s",
		cm.Name, configmap.LabelKey, configmap.LabelValue)
}

// delete deletes what was looked at: not an object that has taken its name since.
func (o *deleteOptions) delete(ctx context.Context, c *cluster, cm corev1.ConfigMap) error {
	if o.dryRun != dryRunClient {
		err := c.CoreV1().ConfigMaps(cm.Namespace).Delete(ctx, cm.Name, metav1.DeleteOptions{
			Preconditions: metav1.NewUIDPreconditions(string(cm.UID)), DryRun: o.server(),
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	var err error
	if o.output == outputName {
		_, err = fmt.Fprintf(o.Out, "configmap/%s\n", cm.Name)
	} else {
		_, err = fmt.Fprintf(o.Out, "configmap/%s deleted%s\n", cm.Name, o.suffix())
	}
	return err
}

// remains says what is still left of deleted load balancers: the objects, which what was made in a cloud holds, and
// what is on the nodes; "" when nothing is.
func (o *deleteOptions) remains(ctx context.Context, c *cluster, deleted []corev1.ConfigMap) (string, error) {
	for _, cm := range deleted {
		if left, err := o.stays(ctx, c, cm); left != "" || err != nil {
			return left, err
		}
	}
	if o.blind {
		return "", nil
	}
	cms, err := c.documents(ctx)
	if apierrors.IsForbidden(err) {
		o.blind = true
		o.note("note: you may not list configmaps in namespace %q, so the nodes are not waited for", c.system)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	docs := c.clock.Documents(cms)
	if !docs.HasFleet {
		o.blind = true
		o.note("note: namespace %q has no fleet document, so the nodes are not waited for (see --system-namespace)", c.system)
		return "", nil
	}
	for _, cm := range deleted {
		key := lb.Key{Namespace: cm.Namespace, Name: cm.Name}
		if docs.Has(key) {
			return fmt.Sprintf("%s is still in the nodes' configuration", key), nil
		}
		for _, a := range view.Addresses(cm) {
			if holders := o.stillHeld(docs, a); len(holders) > 0 {
				return fmt.Sprintf("%s is still held by %s", a, strings.Join(holders, ", ")), nil
			}
		}
	}
	return "", nil
}

// stays says why an object is still there; "" when it has gone, or may not be looked at.
func (o *deleteOptions) stays(ctx context.Context, c *cluster, cm corev1.ConfigMap) (string, error) {
	now, err := c.CoreV1().ConfigMaps(cm.Namespace).Get(ctx, cm.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		if !o.unseen {
			o.unseen = true
			o.note("note: you may not get configmaps in namespace %q, so their end is not waited for", cm.Namespace)
		}
		return "", nil
	case apierrors.IsNotFound(err), err == nil && now.UID != cm.UID:
		return "", nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("configmap/%s is still there: %s", cm.Name,
		printer.Or(now.Data[configmap.KeyStatus], "something holds it by a finalizer")), nil
}

// stillHeld names the nodes that hold an address which no load balancer has any more. A node that has fallen silent
// counts: nobody knows what it still does.
func (o *deleteOptions) stillHeld(docs view.Documents, a netip.Addr) []string {
	for _, e := range docs.Config.LoadBalancers() {
		if slices.Contains(e.VIPs, a) {
			return nil
		}
	}
	var nodes []string
	for _, s := range docs.Statuses {
		if slices.Contains(s.Holding, a) {
			nodes = append(nodes, s.Node)
		}
	}
	return nodes
}
