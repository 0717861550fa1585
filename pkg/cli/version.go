package cli

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/version"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// controllerSelector selects the controller's pods as deploy/ labels them.
const controllerSelector = "app.kubernetes.io/name=kubectl-lb,app.kubernetes.io/component=controller"

// unknownVersion is what a build without version information calls itself.
const unknownVersion = "unknown"

// userAgent is how the API server's audit log knows the program.
func userAgent() string { return "kubectl-lb/" + version.String() }

// versionOptions are what `version` is told.
type versionOptions struct {
	*program
	client bool
	output *printer.Flags
}

func (p *program) versionCommand() *cobra.Command {
	o := &versionOptions{program: p, output: printer.NewTableFlags()}
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupOther,
		Short:   "Show the versions of client, controller and nodes",
		Long: `Show the version of this program, of the controller (the tag of its pods' image) and of the daemon, nginx and
keepalived on each node, as the node reports them. Versions that differ are named on stderr.

Without a cluster, the client's version is shown and the exit status is 0 only with --client.`,
		Example: p.example("kubectl lb version", "kubectl lb version --client -o json"),
		Args: func(cmd *cobra.Command, args []string) error {
			if err := exactly(0, "")(cmd, args); err != nil {
				return err
			}
			if o.output.Name() {
				return usagef("-o name makes no sense for versions")
			}
			if err := o.output.Validate(); err != nil {
				return usagef("%w", err)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.client, "client", false, "Show this program's version only; needs no cluster.")
	o.output.AddTo(cmd)
	return cmd
}

func (o *versionOptions) run(ctx context.Context) error {
	report := &v1alpha1.VersionReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindVersionReport},
		Client: v1alpha1.ClientVersion{
			Version: version.String(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		},
	}
	if !o.client {
		if err := o.ask(ctx, report); err != nil {
			o.note("This program is %s", report.Client.Version)
			return err
		}
		report.Skew = skew(report)
	}
	for _, s := range report.Skew {
		o.note("Warning: %s", s)
	}
	if !o.output.Human() {
		return o.output.Print(o.Out, report)
	}
	return o.show(report)
}

// ask fills in what runs in the cluster. What may not be read is left out with a note.
func (o *versionOptions) ask(ctx context.Context, report *v1alpha1.VersionReport) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	pods, err := c.CoreV1().Pods(c.system).List(ctx, metav1.ListOptions{LabelSelector: controllerSelector})
	switch {
	case apierrors.IsForbidden(err):
		o.note("note: you may not list pods in namespace %q, so the controller's version is not shown", c.system)
	case err != nil:
		return err
	default:
		for _, pod := range pods.Items {
			report.Controllers = append(report.Controllers, controllerVersion(pod))
		}
	}
	docs, err := o.readDocuments(ctx, c, "the nodes' versions are not shown")
	if err != nil || docs == nil {
		return err
	}
	for _, s := range docs.Statuses {
		report.Nodes = append(report.Nodes, v1alpha1.NodeVersion{
			Node: s.Node, Daemon: s.Versions.Daemon, Nginx: s.Versions.Nginx, Keepalived: s.Versions.Keepalived,
			Reported: metav1.Time{Time: s.Reported}, Stale: s.Stale(o.now()),
		})
	}
	return nil
}

func controllerVersion(pod corev1.Pod) v1alpha1.ControllerVersion {
	out := v1alpha1.ControllerVersion{Pod: pod.Name}
	if len(pod.Spec.Containers) > 0 {
		out.Image = pod.Spec.Containers[0].Image
		out.Version = tagOf(out.Image)
	}
	out.Ready = slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	return out
}

// tagOf returns an image's tag; "" where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	last := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(last, ":")
	return tag
}

// skew names what runs another version than this program. A build without a version differs from nothing.
func skew(r *v1alpha1.VersionReport) []string {
	var out []string
	differ := func(what, v string) {
		if v != "" && v != unknownVersion && v != r.Client.Version && r.Client.Version != unknownVersion {
			out = append(out, fmt.Sprintf("%s runs %s, this program is %s", what, v, r.Client.Version))
		}
	}
	for _, c := range r.Controllers {
		differ("lb-controller in pod "+c.Pod, c.Version)
	}
	for _, n := range r.Nodes {
		differ("lb-daemon on "+n.Node, n.Daemon)
	}
	return out
}

func (o *versionOptions) show(r *v1alpha1.VersionReport) error {
	if o.client {
		_, err := fmt.Fprintf(o.Out, "Client Version: %s\n", r.Client.Version)
		return err
	}
	rows := [][]printer.Cell{printer.Text("client", "", r.Client.Version, "", "", r.Client.Platform)}
	for _, c := range r.Controllers {
		rows = append(rows, printer.Text("controller", c.Pod, printer.Or(c.Version, printer.Unknown), "", "", c.Image))
	}
	for _, n := range r.Nodes {
		row := printer.Text("daemon", n.Node, printer.Or(n.Daemon, printer.Unknown),
			printer.Or(n.Nginx, printer.Unknown), printer.Or(n.Keepalived, printer.Unknown), o.reported(n))
		rows = append(rows, row)
	}
	columns := []printer.Column{
		{Name: "COMPONENT"}, {Name: "WHERE"}, {Name: "VERSION"}, {Name: "NGINX"}, {Name: "KEEPALIVED"},
		{Name: "DETAIL", Wide: true},
	}
	return printer.Table(o.Out, columns, rows, o.tableOptions(o.output))
}

func (o *versionOptions) reported(n v1alpha1.NodeVersion) string {
	word := "reported " + printer.Age(n.Reported.Time, o.now()) + " ago"
	if n.Stale {
		word += fmt.Sprintf(" (silent: more than %s)", nodeconfig.StaleAfter)
	}
	return word
}
