package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// defaultFieldManager owns the fields that expose writes.
const defaultFieldManager = "kubectl-lb"

// exposeOptions are what `expose` is told.
type exposeOptions struct {
	*program
	wishFlags
	dryRun
	waiting
	fieldManager   string
	forceConflicts bool
	output         *printer.Flags
	// wish is what was asked for, as the controller reads it.
	wish lb.Wish
}

func (p *program) exposeCommand() *cobra.Command {
	o := &exposeOptions{program: p, output: printer.NewFlags()}
	cmd := &cobra.Command{
		Use:     "expose svc/NAME",
		GroupID: groupBasic,
		Short:   "Give a Service a highly available address",
		Long: `Give a Service a highly available address, by writing a load balancer's ConfigMap for it.

The wish is judged first, by the same code as in the controller; with a finding, nothing is written and the exit
status is 3. Running the command again changes nothing, or makes the load balancer what the flags now say.`,
		Example: p.example(
			"kubectl lb expose svc/tea",
			"kubectl lb expose svc/tea --port 80 --target-port http --wait --timeout 30s",
			"kubectl lb expose svc/shop --host shop.example.com --path /cart",
			"kubectl lb expose svc/tea --requested-ip 192.0.2.10 --dry-run=client -o yaml"),
		Args:              func(_ *cobra.Command, args []string) error { return o.complete(args) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
		ValidArgsFunction: p.completeServices,
	}
	o.wishFlags.addTo(cmd)
	o.dryRun.addTo(cmd)
	o.waiting.addTo(cmd, "the address answers")
	cmd.Flags().StringVar(&o.fieldManager, "field-manager", defaultFieldManager, "Owner of the fields that are written.")
	cmd.Flags().BoolVar(&o.forceConflicts, "force-conflicts", false, "Take fields over from other owners.")
	o.output.AddTo(cmd)
	_ = cmd.RegisterFlagCompletionFunc("target-namespace", p.completeNamespaces)
	return cmd
}

func (o *exposeOptions) complete(args []string) error {
	if err := o.wishFlags.complete(args); err != nil {
		return err
	}
	if err := o.dryRun.validate(); err != nil {
		return err
	}
	if err := o.output.Validate(); err != nil {
		return usagef("%w", err)
	}
	return o.waiting.validate()
}

func (o *exposeOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	cm := o.configMap(c.namespace)
	old, err := o.existing(ctx, c)
	if err != nil {
		return err
	}
	if err := o.judge(ctx, c, cm, old); err != nil {
		return err
	}
	changed := true
	if o.dryRun != dryRunClient {
		if cm, err = o.apply(ctx, c, cm); err != nil {
			return err
		}
		changed = old == nil || old.ResourceVersion != cm.ResourceVersion
	}
	if !o.wait || !o.real() {
		return o.report(cm, changed, "")
	}
	return o.await(ctx, c, cm, changed)
}

// existing returns the ConfigMap of that name, nil when there is none. One that is no load balancer is never touched.
func (o *exposeOptions) existing(ctx context.Context, c *cluster) (*corev1.ConfigMap, error) {
	cm, err := c.CoreV1().ConfigMaps(c.namespace).Get(ctx, o.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !isLoadBalancer(cm):
		return nil, fmt.Errorf("%w; choose another name with --name", notOurs(cm))
	}
	return cm, nil
}

// judge refuses a wish with errors, and tells of warnings.
func (o *exposeOptions) judge(ctx context.Context, c *cluster, cm, old *corev1.ConfigMap) error {
	k, err := o.liveChecker(ctx, c)
	if err != nil {
		return err
	}
	asked := *cm.DeepCopy()
	if old != nil {
		asked.CreationTimestamp, asked.UID = old.CreationTimestamp, old.UID
	}
	found, err := k.check(ctx, []corev1.ConfigMap{asked})
	if err != nil {
		return err
	}
	for _, n := range k.certs.notes() {
		o.note("note: %s", n)
	}
	findings := found[lb.Key{Namespace: cm.Namespace, Name: cm.Name}]
	o.wish = k.wish(asked)
	for _, n := range k.hosts.notes() {
		o.note("note: %s", n)
	}
	for _, f := range findings {
		o.note("%s: %s", f.Severity(), describeFinding(f))
	}
	if lb.HasErrors(findings) {
		o.note("Nothing was written.")
		return errFindings
	}
	return nil
}

// apply writes the ConfigMap by server-side apply: only the keys that the flags set, beside whatever others own.
func (o *exposeOptions) apply(ctx context.Context, c *cluster, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": cm.APIVersion, "kind": cm.Kind, "data": cm.Data,
		"metadata": map[string]any{"name": cm.Name, "namespace": cm.Namespace, "labels": cm.Labels},
	})
	if err != nil {
		return nil, err
	}
	applied, err := c.CoreV1().ConfigMaps(cm.Namespace).Patch(ctx, cm.Name, types.ApplyPatchType, body,
		metav1.PatchOptions{FieldManager: o.fieldManager, Force: &o.forceConflicts, DryRun: o.server()})
	if apierrors.IsConflict(err) {
		return nil, &advised{err, "Another tool owns these fields; --force-conflicts takes them over"}
	}
	if err != nil {
		return nil, err
	}
	applied.TypeMeta = cm.TypeMeta
	return applied, nil
}

// report says what was done; where adds where the Service is reached, once that is known.
func (o *exposeOptions) report(cm *corev1.ConfigMap, changed bool, where string) error {
	switch {
	case o.output.Name():
		_, err := fmt.Fprintf(o.Out, "configmap/%s\n", cm.Name)
		return err
	case !o.output.Human():
		return o.output.Print(o.Out, cm)
	}
	verb := "exposed"
	if !changed {
		verb = "unchanged"
	}
	_, err := fmt.Fprintf(o.Out, "service/%s %s%s%s\n", o.service, verb, where, o.suffix())
	return err
}

// await waits until the load balancer is served as it was written, or is found to be wrong.
func (o *exposeOptions) await(ctx context.Context, c *cluster, written *corev1.ConfigMap, changed bool) error {
	var last v1alpha1.LoadBalancerStatus
	var current *corev1.ConfigMap
	err := o.until(ctx, func(ctx context.Context) (string, error) {
		var err error
		if current, err = c.CoreV1().ConfigMaps(written.Namespace).Get(ctx, written.Name, metav1.GetOptions{}); err != nil {
			return "", err
		}
		docs, err := o.quietDocuments(ctx, c)
		if err != nil {
			return "", err
		}
		list := view.Build(view.Snapshot{Objects: []corev1.ConfigMap{*current}, Documents: docs, Now: o.now()})
		last = list.Items[0]
		ours := docs != nil && docs.HasFleet && !view.IsCloud(*current)
		if ours && last.Status.State != v1alpha1.Error && !o.takenUp(*docs) {
			return printer.Or(last.Status.Reason, "the controller has not taken it up yet"), nil
		}
		return o.missing(last)
	})
	if err != nil {
		var e *exitError
		if errors.As(err, &e) && e.code == ExitTimeout {
			return &exitError{ExitTimeout, fmt.Errorf("service/%s is not served yet: %w", o.service, e.err)}
		}
		return err
	}
	current.TypeMeta = written.TypeMeta
	return o.report(current, changed, whereabouts(last.Status))
}

// quietDocuments reads the documents without a note; nil where that is forbidden.
func (o *exposeOptions) quietDocuments(ctx context.Context, c *cluster) (*view.Documents, error) {
	cms, err := c.documents(ctx)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	docs := c.clock.Documents(cms)
	return &docs, nil
}

// takenUp reports whether what is served is what was asked for: a status alone may still speak of what was before.
func (o *exposeOptions) takenUp(docs view.Documents) bool {
	key, asked := o.wish.LoadBalancer.Origin.Key, asWritten(o.wish.LoadBalancer)
	for _, e := range docs.Config.LoadBalancers() {
		if e.Origin.Key != key {
			continue
		}
		for _, a := range o.wish.Address.Requested {
			if !slices.Contains(e.VIPs, a) {
				return false
			}
		}
		return e.Share == asked.Share && reflect.DeepEqual(asWritten(e.LoadBalancer).Listeners, asked.Listeners)
	}
	return false
}

// asWritten returns a load balancer without what the controller finds out: the addresses of pods, and what certificates
// are.
func asWritten(l lb.LoadBalancer) lb.LoadBalancer {
	l = l.Clone()
	l.EachEndpointTarget(func(t *lb.Target, _ lb.Transport) { t.Endpoints = nil })
	for i := range l.Listeners {
		s := &l.Listeners[i]
		if s.Options.BackendTLS != nil {
			s.Options.BackendTLS.CA.Material = lb.Material{}
		}
		if s.TLS == nil {
			continue
		}
		for j, c := range s.TLS.Certificates {
			s.TLS.Certificates[j] = lb.Certificate{Secret: c.Secret}
		}
		if s.TLS.Clients != nil {
			s.TLS.Clients.CA.Material = lb.Material{}
		}
	}
	l.Normalize()
	return l
}

// missing says what is not there yet. A wish that the controller refuses never will be.
func (o *exposeOptions) missing(s v1alpha1.LoadBalancerStatus) (string, error) {
	st := s.Status
	switch {
	case st.State == v1alpha1.Error:
		return "", &exitError{code: ExitFindings, err: fmt.Errorf("the controller refuses it: %s", st.Reason)}
	case !strings.HasPrefix(st.Object, "SUCCESS"):
		return printer.Or(st.Reason, string(st.State)), nil
	case st.NodesKnown && (st.State == v1alpha1.Pending || st.State == v1alpha1.Down || st.State == v1alpha1.Unknown ||
		st.NodesCurrent == 0):
		return printer.Or(st.Reason, string(st.State)), nil
	}
	if i := slices.IndexFunc(st.Findings, view.Podless); i >= 0 {
		return st.Findings[i].String(), nil
	}
	return "", nil
}

// whereabouts returns " at 192.0.2.10:80 (active lb2)".
func whereabouts(st v1alpha1.Status) string {
	var places []string
	for _, v := range st.VIPs {
		if len(st.Listeners) == 0 {
			places = append(places, v.Address.String())
		}
		for _, l := range st.Listeners {
			places = append(places, netip.AddrPortFrom(v.Address, l.Port).String())
		}
	}
	where := " at " + strings.Join(places, ", ")
	if st.NodesKnown {
		where += " (active " + activeOf(st) + ")"
	}
	return where
}
