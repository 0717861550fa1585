package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// nodeSoftware is what a node's files depend on beside the controller's documents. The defaults are those of the
// daemon's image.
type nodeSoftware struct {
	name      string
	iface     string
	runDir    string
	stateDir  string
	nginxUser string
	modules   []string
}

func (n *nodeSoftware) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&n.name, "node", "", "Node whose files are printed.")
	flags.StringVar(&n.iface, "interface", "eth0", "The node's network interface, in keepalived's files.")
	flags.StringVar(&n.runDir, "run-dir", "/run/kubectl-lb", "The daemon's --run-dir.")
	flags.StringVar(&n.stateDir, "state-dir", "/var/lib/kubectl-lb", "The daemon's --state-dir.")
	flags.StringVar(&n.nginxUser, "nginx-user", "", "User of nginx's workers (default: www-data).")
	flags.StringSliceVar(&n.modules, "nginx-module", []string{"/usr/lib/nginx/modules/ngx_stream_module.so"},
		"Modules that nginx has to load.")
}

// renderFiles prints what the node's daemon would run, by the daemon's own renderers.
func (o *generateOptions) renderFiles(ctx context.Context) error {
	docs, err := o.sourceDocuments(ctx)
	if err != nil {
		return err
	}
	v, err := docs.Config.For(o.node.name)
	if err != nil {
		return err
	}
	if o.forProgram == forNginx {
		return o.renderNginx(v, *docs)
	}
	return o.renderKeepalived(v, *docs)
}

// sourceDocuments reads the documents from the files, if there are any, else from the cluster.
func (o *generateOptions) sourceDocuments(ctx context.Context) (*view.Documents, error) {
	if !o.given() {
		c, err := o.connect()
		if err != nil {
			return nil, err
		}
		cms, err := c.documents(ctx)
		if err != nil {
			return nil, err
		}
		docs := view.DecodeDocuments(cms)
		return complete(&docs, fmt.Sprintf("namespace %q has no %s document: is lb-controller running there? "+
			"(see --system-namespace)", c.system, nodeconfig.FleetName))
	}
	manifests, err := o.read(o.In, o.systemNamespace)
	if err != nil {
		return nil, err
	}
	var cms []corev1.ConfigMap
	for _, m := range manifests {
		if !m.is("ConfigMap") {
			continue
		}
		cm, err := m.configMap()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.source, err)
		}
		cms = append(cms, *cm)
	}
	docs := view.DecodeDocuments(cms)
	return complete(&docs, fmt.Sprintf("the files have no %s document; which nodes there are and who holds which "+
		"address is the controller's decision and can't be made from load balancers' ConfigMaps alone",
		nodeconfig.FleetName))
}

// complete refuses documents that a daemon would not run.
func complete(docs *view.Documents, lacking string) (*view.Documents, error) {
	for _, p := range docs.Problems {
		return nil, errors.New(p)
	}
	if !docs.HasFleet {
		return nil, errors.New(lacking)
	}
	for _, e := range docs.Config.LoadBalancers() {
		if unread := e.Unread(); len(unread) > 0 {
			return nil, fmt.Errorf("load balancer %s asks for what this version of kubectl lb does not know (%.80q); use the "+
				"version of the controller", e.Origin.Key, unread)
		}
	}
	return docs, nil
}

// nginxVersion returns the version that a node reports, empty where it does not.
func nginxVersion(docs view.Documents, node string) string {
	for _, s := range docs.Statuses {
		if s.Node == node {
			return s.Versions.Nginx
		}
	}
	return ""
}

func (o *generateOptions) renderNginx(v nodeconfig.View, docs view.Documents) error {
	result, err := nginx.Render(nginx.Input{
		LoadBalancers: v.LoadBalancers, RunDir: o.node.runDir, Modules: o.node.modules, User: o.node.nginxUser,
		TLSDir: path.Join(o.node.stateDir, "tls"), Version: nginxVersion(docs, v.Node.Name),
	})
	if err != nil {
		return err
	}
	if err := o.printFiles(result.Files); err != nil {
		return err
	}
	if slices.ContainsFunc(v.LoadBalancers, func(l lb.LoadBalancer) bool { return len(l.Certificates()) > 0 }) {
		o.note("note: the node has keys for session tickets as well, which only it and the controller know")
	}
	for _, r := range result.Refused {
		o.note("error: %s: %s", r.Key, r.Finding)
	}
	if len(result.Refused) > 0 {
		return errFindings
	}
	return nil
}

func (o *generateOptions) renderKeepalived(v nodeconfig.View, docs view.Documents) error {
	in := keepalived.Input{
		Interface:      o.node.iface,
		Gate:           path.Join(o.node.runDir, "gate"),
		AdvertInterval: time.Duration(v.Timing.AdvertInterval),
		WeightDir:      path.Join(o.node.runDir, "weight"),
	}
	for _, s := range docs.Statuses {
		if version, err := keepalived.ParseVersion(s.Versions.Keepalived); s.Node == v.Node.Name && err == nil {
			in.Version = version
		}
	}
	for _, i := range v.Instances {
		in.Instances = append(in.Instances, keepalived.Instance(i))
	}
	result, err := keepalived.Render(in)
	if err != nil {
		return err
	}
	if err := o.printFiles(result.Files); err != nil {
		return err
	}
	for _, r := range result.Refused {
		o.note("error: %s: %s", r.VIP, r.Finding)
	}
	if len(result.Refused) > 0 {
		return errFindings
	}
	return nil
}

// printFiles prints the bytes of the files: a single one as it is, several each below a comment with its path.
func (o *generateOptions) printFiles(files render.Files) error {
	for i, f := range files {
		if len(files) > 1 {
			if i > 0 {
				fmt.Fprintln(o.Out)
			}
			fmt.Fprintln(o.Out, headline(f.Path))
		}
		if _, err := o.Out.Write(f.Data); err != nil {
			return err
		}
	}
	return nil
}
