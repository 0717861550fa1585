package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// liveSource is the source of an object that is in the cluster.
const liveSource = "cluster"

// validateOptions are what `validate` is told.
type validateOptions struct {
	*program
	fileFlags
	local         bool
	allNamespaces bool
	selector      string
	failOn        string
	output        *printer.Flags
}

func (p *program) validateCommand() *cobra.Command {
	o := &validateOptions{program: p, output: printer.NewTableFlags()}
	cmd := &cobra.Command{
		Use:     "validate [-f FILE | -k DIRECTORY]",
		GroupID: groupAuthor,
		Short:   "Find what is wrong with load balancers, in files or in the cluster",
		Long: `Find what is wrong with load balancers, by the same code as in the controller. The load balancers of the files
are judged as if they were applied: beside the cluster's Services, addresses and other load balancers. With
--local nothing is asked of a cluster; then only the Services among the files are known.

Without files, the load balancers of the namespace are judged. The exit status is 3 when an error is found; with
--fail-on warning also when there is a warning.`,
		Example: p.example(
			"kubectl lb validate -f coffee.yaml",
			"kubectl lb validate -R -f manifests/ --local",
			"kubectl lb validate -k overlays/production --fail-on warning",
			"helm template shop | kubectl lb validate -f -",
			"kubectl lb validate -A -o json"),
		Args: func(cmd *cobra.Command, args []string) error { return o.complete(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	o.fileFlags.addTo(cmd, "Files, directories or URLs with load balancers and their Services; - is standard input.")
	flags.BoolVar(&o.local, "local", false, "Ask nothing of a cluster.")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Judge the load balancers of all namespaces.")
	flags.StringVarP(&o.selector, "selector", "l", "", "Judge the load balancers that a label selector chooses.")
	flags.StringVar(&o.failOn, "fail-on", string(lb.SeverityError),
		`Least severity that makes the exit status 3: "error" or "warning".`)
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(
		[]string{string(lb.SeverityError), string(lb.SeverityWarning)}, cobra.ShellCompDirectiveNoFileComp))
	o.output.AddTo(cmd)
	return cmd
}

func (o *validateOptions) complete(cmd *cobra.Command, args []string) error {
	if err := exactly(0, "")(cmd, args); err != nil {
		return fmt.Errorf("%w (files are given with -f)", err)
	}
	if err := o.fileFlags.validate(); err != nil {
		return err
	}
	switch {
	case o.local && !o.given():
		return usagef("--local needs files: give -f or -k")
	case o.given() && (o.allNamespaces || o.selector != ""):
		return usagef("files, and --all-namespaces or --selector, exclude each other")
	case o.output.Name():
		return usagef("-o name makes no sense for findings")
	case o.failOn != string(lb.SeverityError) && o.failOn != string(lb.SeverityWarning):
		return usagef("--fail-on must be error or warning, not %q", o.failOn)
	}
	if err := o.output.Validate(); err != nil {
		return usagef("%w", err)
	}
	return nil
}

// subject is a load balancer to judge and where it stands.
type subject struct {
	corev1.ConfigMap
	source string
	// slips are what is wrong with the file rather than with the object.
	slips []lb.Finding
}

func (o *validateOptions) run(ctx context.Context) error {
	var c *cluster
	checker := o.offlineChecker(ctx)
	namespace := metav1.NamespaceDefault
	if !o.local {
		var err error
		if c, err = o.connect(); err != nil {
			return err
		}
		namespace = c.namespace
		if checker, err = o.liveChecker(ctx, c); err != nil {
			if _, unreached := errors.AsType[*url.Error](err); unreached && o.given() {
				return &advised{err, "With --local, the files are judged without a cluster"}
			}
			return err
		}
	} else if n, err := o.namespace(); err == nil {
		namespace = n
	}
	report := &v1alpha1.FindingReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindFindingReport},
		Items:    []v1alpha1.ObjectFinding{},
	}
	subjects, unreadable, err := o.subjects(ctx, c, namespace, checker)
	if err != nil {
		return err
	}
	if err := judgeSubjects(ctx, checker, subjects, report); err != nil {
		return err
	}
	o.tellUnknown(checker)
	if err := o.show(report); err != nil {
		return err
	}
	if unreadable != nil {
		return unreadable
	}
	return o.verdict(report)
}

// subjects collects the load balancers to judge. Of files, what could be read is judged even when something could not.
func (o *validateOptions) subjects(
	ctx context.Context, c *cluster, namespace string, k *checker) (found []subject, unreadable, err error) {
	if !o.given() {
		if o.allNamespaces {
			namespace = metav1.NamespaceAll
		}
		cms, err := c.objects(ctx, namespace, o.selector)
		for _, cm := range cms {
			found = append(found, subject{ConfigMap: cm, source: liveSource})
		}
		if len(found) == 0 && err == nil {
			o.note("No load balancers found.")
		}
		return found, nil, err
	}
	found, unreadable = o.fromFiles(namespace, k)
	if len(found) == 0 && unreadable == nil {
		o.note("note: there is no load balancer in the files (a ConfigMap with the label %s: %s)",
			configmap.LabelKey, configmap.LabelValue)
	}
	return found, unreadable, nil
}

// fromFiles collects the load balancers of the files, and gives their Services to the checker.
func (o *validateOptions) fromFiles(namespace string, k *checker) (found []subject, unreadable error) {
	manifests, unreadable := o.read(o.In, namespace)
	for _, m := range manifests {
		switch {
		case m.is("Service"):
			svc, err := m.service()
			if err != nil {
				unreadable = errors.Join(unreadable, err)
				continue
			}
			k.services.add(imagine(svc))
		case m.is("Secret"):
			s, err := m.secret()
			if err != nil {
				unreadable = errors.Join(unreadable, err)
				continue
			}
			k.certs.add(s)
		case m.is("ConfigMap") && m.GetLabels()[configmap.LabelKey] == configmap.LabelValue:
			quoted := m.quoteValues()
			cm, err := m.configMap()
			if err != nil {
				unreadable = errors.Join(unreadable, fmt.Errorf("%s: %w", m.source, err))
				continue
			}
			found = append(found, subject{ConfigMap: *cm, source: m.source, slips: unquoted(cm, quoted)})
		case m.is("ConfigMap") && looksLikeOurs(m.Unstructured):
			o.note("note: %s: configmap %s names a Service but lacks the label %s: %s, so the controller passes it over",
				m.source, m.GetName(), configmap.LabelKey, configmap.LabelValue)
		case m.is("ConfigMap"): // it may hold a bundle of authorities
			if cm, err := m.configMap(); err == nil {
				k.certs.configMaps[lb.Key{Namespace: cm.Namespace, Name: cm.Name}] = cm
			}
		}
	}
	return found, unreadable
}

// imagine gives a Service of a file the cluster IP and the node ports that it will get.
func imagine(svc *corev1.Service) *corev1.Service {
	if svc.Spec.Type == corev1.ServiceTypeNodePort || svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		for i := range svc.Spec.Ports {
			svc.Spec.Ports[i].NodePort = cmp.Or(svc.Spec.Ports[i].NodePort, 30000)
		}
	}
	if svc.Spec.ClusterIP == "" && svc.Spec.Type != corev1.ServiceTypeExternalName {
		svc.Spec.ClusterIP = "192.0.2.1"
	}
	return svc
}

func looksLikeOurs(u *unstructured.Unstructured) bool {
	_, found, err := unstructured.NestedFieldNoCopy(u.Object, "data", configmap.KeyService)
	return found && err == nil
}

// quoteValues turns numbers and booleans of the data into strings and returns their keys: YAML that lacks quotes is
// the commonest slip of all, and the API server's answer to it names neither key nor value.
func (m manifest) quoteValues() []string {
	data, ok := m.Object["data"].(map[string]any)
	if !ok {
		return nil
	}
	var quoted []string
	for key, value := range data {
		switch value.(type) {
		case int64, float64, bool:
			data[key] = fmt.Sprint(value)
			quoted = append(quoted, key)
		}
	}
	slices.Sort(quoted)
	return quoted
}

// plainKey keeps a hostile key out of messages.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func unquoted(cm *corev1.ConfigMap, keys []string) []lb.Finding {
	var out []lb.Finding
	for _, key := range keys {
		if plainKey.MatchString(key) {
			out = append(out, lb.Finding{Code: lb.CodeBadValue, Field: "data[" + key + "]",
				Message: fmt.Sprintf("must be a string: write %s: %q", key, cm.Data[key])})
		}
	}
	return out
}

// judgeSubjects judges all load balancers beside each other. Of two of the same name, which only files can hold, the
// last one counts, as kubectl apply would have it.
func judgeSubjects(ctx context.Context, k *checker, subjects []subject, report *v1alpha1.FindingReport) error {
	last := map[lb.Key]subject{}
	var order []lb.Key
	for _, s := range subjects {
		key := lb.Key{Namespace: s.Namespace, Name: s.Name}
		if _, seen := last[key]; !seen {
			order = append(order, key)
		}
		last[key] = s
	}
	var cms []corev1.ConfigMap
	for _, key := range order {
		cms = append(cms, last[key].ConfigMap)
	}
	found, err := k.check(ctx, cms)
	if err != nil {
		return err
	}
	report.Checked = len(cms)
	for _, key := range order {
		if !lb.HasErrors(found[key]) {
			warnings, err := k.podless(ctx, last[key].ConfigMap)
			if err != nil {
				return err
			}
			found[key] = append(found[key], warnings...)
		}
		for _, f := range slices.Concat(last[key].slips, found[key]) {
			report.Items = append(report.Items, objectFinding(last[key], f))
		}
	}
	return nil
}

func objectFinding(s subject, f lb.Finding) v1alpha1.ObjectFinding {
	return v1alpha1.ObjectFinding{
		Source: s.source, Namespace: s.Namespace, Name: s.Name,
		Finding: v1alpha1.Finding{Finding: f, Severity: f.Severity()},
	}
}

// tellUnknown names the Services, and the share-keys of other namespaces, that nothing could be said about.
func (o *validateOptions) tellUnknown(k *checker) {
	var keys []lb.Key
	for key := range k.services.unknown {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, lb.Key.Compare)
	for _, key := range keys {
		o.note("note: service %s was not checked: %s", key, k.services.unknown[key])
	}
	for _, n := range slices.Concat(k.hosts.notes(), k.certs.notes()) {
		o.note("note: %s", n)
	}
}

func (o *validateOptions) show(r *v1alpha1.FindingReport) error {
	if !o.output.Human() {
		return o.output.Print(o.Out, r)
	}
	var rows [][]printer.Cell
	for _, f := range r.Items {
		where := f.Namespace + "/" + f.Name
		text := strings.TrimPrefix(f.String(), string(f.Code)+" ")
		code := printer.Cell{Text: string(f.Code), Color: printer.Bad}
		if f.Severity == lb.SeverityWarning {
			code.Color, text = printer.Doubtful, "warning: "+text
		}
		rows = append(rows, append([]printer.Cell{code}, printer.Text(f.Source, where, text)...))
	}
	if len(rows) > 0 {
		columns := []printer.Column{{Name: "CODE"}, {Name: "SOURCE"}, {Name: "OBJECT"}, {Name: "FINDING"}}
		if err := printer.Table(o.Out, columns, rows, o.tableOptions(o.output)); err != nil {
			return err
		}
	}
	if r.Checked == 0 {
		return nil
	}
	o.note("%s checked, %s", count(r.Checked, "load balancer"), count(len(r.Items), "finding"))
	return nil
}

// verdict turns the findings into the exit status.
func (o *validateOptions) verdict(r *v1alpha1.FindingReport) error {
	for _, f := range r.Items {
		if f.Severity == lb.SeverityError || o.failOn == string(lb.SeverityWarning) {
			return errFindings
		}
	}
	return nil
}

// count words a number: "no findings", "1 finding", "2 findings".
func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
