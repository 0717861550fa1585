package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The values of --for.
const (
	forNginx      = "nginx"
	forKeepalived = "keepalived"
)

// generateOptions are what `generate` is told.
type generateOptions struct {
	*program
	wishFlags
	fileFlags
	forProgram string
	node       nodeSoftware
	output     *printer.Flags
}

func (p *program) generateCommand() *cobra.Command {
	o := &generateOptions{program: p, output: printer.NewFlags()}
	cmd := &cobra.Command{
		Use:     "generate (svc/NAME | --for PROGRAM --node NODE)",
		GroupID: groupAuthor,
		Short:   "Print a load balancer's manifest, or a node's files",
		Long: `Print the manifest of a load balancer for a Service. Nothing is written and no cluster is needed; what is
wrong with the manifest itself is a finding on stderr and exit status 3.

With --for nginx or --for keepalived, print instead the files that the daemon of --node makes of the controller's
documents: of those in the cluster, or of those in the files of -f, which must then hold the lb-fleet document and
the lb-shard documents, as "kubectl get configmaps -n kubectl-lb-system -l app=kubectl-lb-config -o yaml" prints
them. What only the node itself knows, such as its interface, is set by flags.`,
		Example: p.example(
			"kubectl lb generate svc/tea --port 80 > tea-lb.yaml",
			"kubectl lb generate svc/shop --host shop.example.com -o json",
			"kubectl lb generate --for nginx --node lb1",
			"kubectl lb generate --for keepalived --node lb1 --interface ens3 -f documents.yaml"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeServices,
	}
	o.wishFlags.addTo(cmd)
	o.fileFlags.addTo(cmd, "Files with the controller's documents, for --for; - is standard input.")
	cmd.Flags().StringVar(&o.forProgram, "for", "", `Print the files of "nginx" or "keepalived".`)
	o.node.addTo(cmd)
	o.output.AddTo(cmd)
	_ = cmd.RegisterFlagCompletionFunc("for",
		cobra.FixedCompletions([]string{forNginx, forKeepalived}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("node", p.completeNodes)
	_ = cmd.RegisterFlagCompletionFunc("target-namespace", p.completeNamespaces)
	return cmd
}

func (o *generateOptions) complete(args []string) error {
	switch o.forProgram {
	case "":
		switch {
		case o.given():
			return usagef("-f and -k go with --for")
		case o.node.name != "":
			return usagef("--node goes with --for")
		}
		if err := o.output.Validate(); err != nil {
			return usagef("%w", err)
		}
		return o.wishFlags.complete(args)
	case forNginx, forKeepalived:
		switch {
		case len(args) > 0:
			return usagef("unexpected argument %q beside --for", args[0])
		case o.node.name == "":
			return usagef("--for needs --node")
		case !o.output.Human():
			return usagef("the files of %s have one format; -o does not go with --for", o.forProgram)
		}
		return o.fileFlags.validate()
	}
	return usagef("--for must be nginx or keepalived, not %q", o.forProgram)
}

func (o *generateOptions) run(ctx context.Context) error {
	if o.forProgram != "" {
		return o.renderFiles(ctx)
	}
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	cm := o.configMap(namespace)
	checker := o.offlineChecker(ctx)
	found, err := checker.check(ctx, []corev1.ConfigMap{*cm})
	if err != nil {
		return err
	}
	for _, n := range checker.hosts.notes() {
		o.note("note: %s", n)
	}
	findings := found[lb.Key{Namespace: namespace, Name: o.name}]
	for _, f := range findings {
		o.note("%s: %s", f.Severity(), describeFinding(f))
	}
	if lb.HasErrors(findings) {
		return errFindings
	}
	return o.printManifest(cm)
}

// printManifest prints YAML unless another format was asked for. The namespace is written only where it was given: a
// manifest that names none can go anywhere.
func (o *generateOptions) printManifest(cm *corev1.ConfigMap) error {
	if *o.connection.Namespace == "" {
		cm.Namespace = ""
	}
	cm.CreationTimestamp = metav1.Time{}
	if o.output.Human() {
		return o.output.PrintYAML(o.Out, cm)
	}
	return o.output.Print(o.Out, cm)
}

// headline starts each file where several are printed, as a comment of both programs' languages.
func headline(path string) string {
	return fmt.Sprintf("# ---- %s %s", path, strings.Repeat("-", max(3, 70-len(path))))
}
