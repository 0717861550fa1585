package daemon

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Configuration is everything that can be set, by flag, environment, file or default, in that order of precedence.
type Configuration struct {
	// NodeName is this node's name in the cluster. Environment: LB_NODE_NAME, NODE_NAME; default: the host's name.
	NodeName string `mapstructure:"node-name"`
	// Namespace holds the controller's documents. Environment: LB_NAMESPACE, POD_NAMESPACE; default: the pod's own, else
	// "kubectl-lb-system".
	Namespace string `mapstructure:"namespace"`
	// TLSNamespace holds the copies of certificates that the controller has made. Environment: LB_TLS_NAMESPACE; default:
	// "kubectl-lb-tls".
	TLSNamespace string `mapstructure:"tls-namespace"`
	// Kubeconfig is a file; empty means the pod's service account.
	Kubeconfig string `mapstructure:"kubeconfig"`
	StateDir   string `mapstructure:"state-dir"`
	RunDir     string `mapstructure:"run-dir"`
	// Interface carries the virtual IPs, and the adverts, from its own addresses; empty means the one with the node's
	// address.
	Interface string `mapstructure:"interface"`
	// MetricsBindAddress serves /metrics, /healthz and /readyz; "0" serves nothing. The daemon is on the host's network,
	// so the default is only reachable from the node itself.
	MetricsBindAddress string `mapstructure:"metrics-bind-address"`
	// LogLevel is "debug", "info", "warn" or "error".
	LogLevel string `mapstructure:"log-level"`
	// LogFormat is "text" or "json".
	LogFormat string `mapstructure:"log-format"`
}

// serviceAccountNamespace is where a pod finds its namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// newFlags defines the flags, which define the keys and defaults of everything else.
func newFlags(output io.Writer) *pflag.FlagSet {
	flags := pflag.NewFlagSet("lb-daemon", pflag.ContinueOnError)
	flags.SetOutput(output)
	flags.SortFlags = false
	flags.String("config", "", "file with these settings, as YAML or JSON (LB_CONFIG)")
	flags.String("node-name", "", "this node's name in the cluster (LB_NODE_NAME, NODE_NAME; default: the host's name)")
	flags.String("namespace", "", "namespace of the controller's documents (LB_NAMESPACE, POD_NAMESPACE; "+
		"default: the pod's own, else kubectl-lb-system)")
	flags.String("tls-namespace", nodeconfig.TLSNamespace, "namespace of the certificates that the controller hands out")
	flags.String("kubeconfig", "", "kubeconfig file; empty means the pod's service account")
	flags.String("state-dir", "/var/lib/kubectl-lb", "directory for generations and the last good configuration")
	flags.String("run-dir", "/run/kubectl-lb", "directory for sockets, process records and logs")
	flags.String("interface", "", "interface for virtual IPs; empty means the one with the node's address")
	flags.String("metrics-bind-address", "127.0.0.1:9445", `address of /metrics, /healthz and /readyz; "0" for none`)
	flags.String("log-level", "info", "debug, info, warn or error")
	flags.String("log-format", "text", "text or json")
	flags.Usage = func() {
		fmt.Fprintf(output, "lb-daemon runs nginx and keepalived on a load-balancer node as lb-controller tells it.\n\n"+
			"Usage:\n  lb-daemon [flags]\n  lb-daemon prepare-node [flags]\n  lb-daemon version\n\n"+
			"Every flag is also an environment variable: --state-dir is LB_STATE_DIR.\n\nFlags:\n%s", flags.FlagUsages())
	}
	return flags
}

// loadConfiguration layers flags over environment over file over defaults.
func loadConfiguration(args []string, env func(string) (string, bool), output io.Writer) (Configuration, error) {
	flags := newFlags(output)
	if err := flags.Parse(args); err != nil {
		return Configuration{}, err
	}
	if flags.NArg() > 0 {
		return Configuration{}, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	v := viper.New()
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		v.SetDefault(f.Name, f.DefValue)
		if text, ok := env("LB_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))); ok && text != "" && !f.Changed {
			v.Set(f.Name, text)
		}
		if f.Changed {
			v.Set(f.Name, f.Value.String())
		}
	})
	if file := v.GetString("config"); file != "" {
		v.SetConfigFile(file)
		err = v.ReadInConfig()
	}
	if err != nil {
		return Configuration{}, fmt.Errorf("configuration file: %w", err)
	}
	return decode(v, env)
}

func decode(v *viper.Viper, env func(string) (string, bool)) (Configuration, error) {
	settings := v.AllSettings()
	delete(settings, "config")
	var c Configuration
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{Result: &c, ErrorUnused: true})
	if err != nil {
		return c, err
	}
	if err := decoder.Decode(settings); err != nil {
		return c, fmt.Errorf("configuration: %w (known: %s)", err, strings.Join(knownKeys(), ", "))
	}
	if c.NodeName == "" {
		c.NodeName, _ = env("NODE_NAME")
	}
	if c.NodeName == "" {
		if c.NodeName, err = os.Hostname(); err != nil {
			return c, fmt.Errorf("node name: %w", err)
		}
	}
	if c.Namespace == "" {
		c.Namespace, _ = env("POD_NAMESPACE")
	}
	if c.Namespace == "" {
		c.Namespace = podNamespace(serviceAccountNamespace)
	}
	return c, c.check()
}

func knownKeys() []string {
	keys := make(map[string]bool)
	newFlags(io.Discard).VisitAll(func(f *pflag.Flag) { keys[f.Name] = f.Name != "config" })
	maps.DeleteFunc(keys, func(_ string, setting bool) bool { return !setting })
	return slices.Sorted(maps.Keys(keys))
}

func podNamespace(path string) string {
	if data, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(data)) != "" {
		return strings.TrimSpace(string(data))
	}
	return "kubectl-lb-system"
}

func (c Configuration) check() error {
	var errs []error
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		errs = append(errs, fmt.Errorf("log-level: %q is none of debug, info, warn, error", c.LogLevel))
	}
	if !slices.Contains([]string{"text", "json"}, c.LogFormat) {
		errs = append(errs, fmt.Errorf("log-format: %q is neither text nor json", c.LogFormat))
	}
	if c.MetricsBindAddress != "0" {
		if _, err := netip.ParseAddrPort(bindable(c.MetricsBindAddress)); err != nil {
			errs = append(errs, fmt.Errorf("metrics-bind-address: %w", err))
		}
	}
	for name, dir := range map[string]string{"state-dir": c.StateDir, "run-dir": c.RunDir} {
		if !strings.HasPrefix(dir, "/") {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path", name, dir))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// bindable reads ":9445" as all addresses.
func bindable(s string) string {
	if strings.HasPrefix(s, ":") {
		return "[::]" + s
	}
	return s
}
