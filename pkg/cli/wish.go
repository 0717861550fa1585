package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// wishFlags are the flags of the commands that make a load balancer for a Service. Their values are not judged here:
// the ConfigMap made of them is, like any other.
type wishFlags struct {
	service         string
	name            string
	targetNamespace string
	port            string
	targetPort      string
	protocol        string
	host            string
	path            string
	requestedIP     string
	addressPool     string
	families        string
	ssl             bool
	routes          []string
	options         map[string]*string
}

func (w *wishFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&w.name, "name", "", "Name of the load balancer (default: the Service's name).")
	flags.StringVar(&w.port, "port", "", "Port to listen on (default: the target port).")
	flags.StringVar(&w.targetPort, "target-port", "",
		"Port of the Service, by number or name (default: its only port, or all).")
	flags.StringVar(&w.targetNamespace, "target-namespace", "",
		"Namespace of the Service, whose owner must have allowed it (default: the load balancer's own).")
	flags.StringVar(&w.protocol, "protocol", "",
		"HTTP, HTTPS, TCP, TLS, UDP, SCTP or TLS-PASSTHROUGH (default: that of the Service's port; HTTP with --host, --path "+
			"or --ssl).")
	flags.StringVar(&w.host, "host", "", "Serve only HTTP requests for this host; \"*.example.com\" for all below.")
	flags.StringVar(&w.path, "path", "", "Serve only HTTP requests below this path.")
	flags.StringVar(&w.requestedIP, "requested-ip", "", "Address to ask for (two, of both families, joined by a comma).")
	flags.StringVar(&w.addressPool, "address-pool", "", "Address pool to take the address from.")
	flags.StringVar(&w.families, "ip-families", "", `Families of the addresses: "IPv4", "IPv6" or "IPv4,IPv6".`)
	flags.BoolVar(&w.ssl, "ssl", false, "Also listen for HTTPS at --ssl-port, beside HTTP; it needs --tls-secret-name.")
	flags.StringArrayVar(&w.routes, "route", nil,
		`One more route, such as "host=a.example.com path=/menu service=tea:80"; may be given several times.`)
	w.options = map[string]*string{}
	for _, o := range optionFlags() {
		w.options[o.key] = flags.String(o.key, "", o.usage)
	}
	arrange(flags, sections())
	for _, k := range configmap.Keys() {
		if flags.Lookup(k.Name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(k.Name,
				cobra.FixedCompletions(choices(k.Takes), cobra.ShellCompDirectiveNoFileComp))
		}
	}
}

// choice is a value that a key's documentation gives to choose from, with what joins it to the next one.
var choice = regexp.MustCompile("`([^`]+)`(, | or |$)")

// choices returns the values of a key that takes nothing but one of a few: "`a`, `b` or `c`". Other keys have none, nor
// have values with a name in them.
func choices(takes string) []string {
	if choice.ReplaceAllString(takes, "") != "" {
		return nil
	}
	var out []string
	for _, m := range choice.FindAllStringSubmatch(takes, -1) {
		if !strings.HasSuffix(m[1], "NAME") {
			out = append(out, m[1])
		}
	}
	return out
}

// complete reads the Service from the arguments: svc/NAME or svc NAME.
func (w *wishFlags) complete(args []string) error {
	if len(args) == 0 {
		return usagef("the Service is missing: give svc/NAME")
	}
	kind, name, ok := strings.Cut(args[0], "/")
	rest := args[1:]
	if !ok && len(rest) > 0 {
		name, rest, ok = rest[0], rest[1:], true
	}
	switch {
	case !ok:
		return usagef("%q names no kind: give svc/%s", args[0], args[0])
	case len(rest) > 0:
		return usagef("unexpected argument %q", rest[0])
	case kind != "svc" && kind != "service" && kind != "services":
		return usagef("only Services can be exposed, not %q: give svc/NAME", kind)
	case name == "":
		return usagef("the Service's name is missing: give svc/NAME")
	}
	w.service = name
	if w.name == "" {
		w.name = name
	}
	return nil
}

// configMap returns the load balancer that the flags ask for.
func (w *wishFlags) configMap(namespace string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: w.name, Namespace: namespace,
			Labels: map[string]string{configmap.LabelKey: configmap.LabelValue},
		},
		Data: map[string]string{configmap.KeyService: w.service},
	}
	if w.targetNamespace != namespace {
		w.set(cm, configmap.KeyNamespace, w.targetNamespace)
	}
	w.set(cm, configmap.KeyBindPort, w.port)
	w.set(cm, configmap.KeyTargetPort, w.targetPort)
	w.set(cm, configmap.KeyProtocol, w.protocol)
	w.set(cm, configmap.KeyHost, w.host)
	w.set(cm, configmap.KeyPath, w.path)
	w.set(cm, configmap.KeyRequestedIP, w.requestedIP)
	w.set(cm, configmap.KeyPool, w.addressPool)
	w.set(cm, configmap.KeyFamilies, w.families)
	if w.ssl {
		cm.Data[configmap.KeySSL] = "true"
	}
	w.set(cm, configmap.KeyRoutes, strings.Join(w.routes, "\n"))
	for key, value := range w.options {
		w.set(cm, key, *value)
	}
	return cm
}

func (w *wishFlags) set(cm *corev1.ConfigMap, key, value string) {
	if value != "" {
		cm.Data[key] = value
	}
}

// flagOf returns the flag that sets a key, so that a finding about a command line names what was typed.
func flagOf(field string) string {
	flags := map[string]string{
		configmap.KeyService: "svc", configmap.KeyNamespace: "--target-namespace", configmap.KeyBindPort: "--port",
		configmap.KeyTargetPort: "--target-port", configmap.KeyProtocol: "--protocol", configmap.KeyHost: "--host",
		configmap.KeyPath: "--path", configmap.KeyRequestedIP: "--requested-ip", configmap.KeyPool: "--address-pool",
		configmap.KeyFamilies: "--ip-families", configmap.KeyRoutes: "--route", configmap.KeySSL: "--ssl",
	}
	key := strings.TrimSuffix(strings.TrimPrefix(field, "data["), "]")
	if slices.ContainsFunc(optionFlags(), func(o optionFlag) bool { return o.key == key }) {
		return "--" + key
	}
	return flags[key]
}

// describeFinding words a finding about a command line.
func describeFinding(f lb.Finding) string {
	if flag := flagOf(f.Field); flag != "" {
		return fmt.Sprintf("%s %s: %s", f.Code, flag, f.Message)
	}
	return f.String()
}
