package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// option is a setting that a flag or an environment variable can override.
type option struct {
	flag, usage string
	// env are the variables, the first that is set counts. BACKEND is the name of 2016.
	env []string
}

const (
	flagConfig     = "config"
	flagKubeconfig = "kubeconfig"
	flagElect      = "leader-elect"
)

func options() []option {
	return []option{
		{flagConfig, "file with a " + Kind, []string{"LB_CONFIG"}},
		{flagKubeconfig, "kubeconfig file (default: the pod's service account)", []string{"LB_KUBECONFIG", "KUBECONFIG"}},
		{"backend", "what makes load balancers exist: " + strings.Join(Backends(), ", "),
			[]string{"LB_BACKEND", "BACKEND"}},
		{"octavia-clouds-file", "clouds.yaml with the credentials of OpenStack (default: the variables of an openrc)",
			[]string{"LB_OCTAVIA_CLOUDS_FILE", "OS_CLIENT_CONFIG_FILE"}},
		{"octavia-subnet", "ID of the subnet of Octavia's virtual IPs", []string{"LB_OCTAVIA_SUBNET"}},
		{"system-namespace", "namespace of the daemons' configuration and reports",
			[]string{"LB_SYSTEM_NAMESPACE"}},
		{"tls-namespace", "namespace of the copies of certificates that the daemons read, and of nothing else",
			[]string{"LB_TLS_NAMESPACE"}},
		{"metrics-bind-address", `where /metrics is served; "0" turns it off`,
			[]string{"LB_METRICS_BIND_ADDRESS"}},
		{"health-probe-bind-address", `where /healthz and /readyz are served; "0" turns them off`,
			[]string{"LB_HEALTH_PROBE_BIND_ADDRESS"}},
		{"leader-identity", "name of this replica alone (default: host name and something random)",
			[]string{"LB_LEADER_IDENTITY", "POD_NAME"}},
		{flagElect, "work only while holding the leader's Lease", []string{"LB_LEADER_ELECT"}},
		{"log-level", "debug, info, warn or error", []string{"LB_LOG_LEVEL"}},
		{"log-format", "text or json", []string{"LB_LOG_FORMAT"}},
	}
}

// AddFlags adds the flags of the configuration.
func AddFlags(fs *pflag.FlagSet) {
	for _, o := range options() {
		usage := fmt.Sprintf("%s [$%s]", o.usage, strings.Join(o.env, ", $"))
		if o.flag == flagElect {
			fs.Bool(o.flag, Default().LeaderElection.Enabled, usage)
		} else {
			fs.String(o.flag, "", usage)
		}
	}
}

// Load returns the configuration: a flag that was given counts before an environment variable that is set and not
// empty, that before the file, that before the default. The result is valid.
func Load(fs *pflag.FlagSet, env []string) (Configuration, error) {
	overrides, err := layers(fs, env)
	if err != nil {
		return Configuration{}, err
	}
	c := Default()
	if path := overrides.GetString(flagConfig); path != "" {
		if c, err = readFile(path); err != nil {
			return Configuration{}, err
		}
	}
	c.Kubeconfig = overrides.GetString(flagKubeconfig)
	c.Octavia.Variables = openStackVariables(env)
	if err := c.override(overrides); err != nil {
		return Configuration{}, err
	}
	return c, c.Validate()
}

// layers returns the flags over the environment.
func layers(fs *pflag.FlagSet, env []string) (*viper.Viper, error) {
	vars := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		vars[name] = value
	}
	v := viper.New()
	fromEnv := map[string]any{}
	for _, o := range options() {
		for _, name := range o.env {
			if vars[name] != "" && fromEnv[o.flag] == nil {
				fromEnv[o.flag] = vars[name]
			}
		}
		if f := fs.Lookup(o.flag); f != nil && f.Changed {
			if err := v.BindPFlag(o.flag, f); err != nil {
				return nil, fmt.Errorf("--%s: %w", o.flag, err)
			}
		}
	}
	if err := v.MergeConfigMap(fromEnv); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	return v, nil
}

// override sets what flags and environment say.
func (c *Configuration) override(v *viper.Viper) error {
	text := map[string]*string{
		"backend": &c.Backend, "system-namespace": &c.SystemNamespace, "tls-namespace": &c.TLSNamespace,
		"metrics-bind-address": &c.MetricsBindAddress, "health-probe-bind-address": &c.HealthProbeBindAddress,
		"leader-identity":     &c.LeaderElection.Identity,
		"octavia-clouds-file": &c.Octavia.CloudsFile, "octavia-subnet": &c.Octavia.Subnet,
		"log-level": &c.Log.Level, "log-format": &c.Log.Format,
	}
	for flag, field := range text {
		if v.IsSet(flag) {
			*field = v.GetString(flag)
		}
	}
	if v.IsSet(flagElect) {
		on, err := strconv.ParseBool(v.GetString(flagElect))
		if err != nil {
			return fmt.Errorf("leader-elect %q: neither true nor false", v.GetString(flagElect))
		}
		c.LeaderElection.Enabled = on
	}
	return nil
}

func readFile(path string) (Configuration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Configuration{}, fmt.Errorf("configuration: %w", err)
	}
	c, err := Decode(text)
	if err != nil {
		return Configuration{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Decode reads a document over the defaults. A field that does not exist is an error that names it.
func Decode(text []byte) (Configuration, error) {
	c := Default()
	c.APIVersion, c.Kind = "", ""
	// Unlike yaml.UnmarshalStrict this tells upper from lower case, so that a field has one spelling.
	json, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return Configuration{}, err
	}
	strict, err := kjson.UnmarshalStrict(json, &c)
	if err := errors.Join(append(strict, err)...); err != nil {
		return Configuration{}, err
	}
	if c.APIVersion == "" || c.Kind == "" {
		return Configuration{}, errors.New("apiVersion and kind are missing; they are " + APIVersion + " and " + Kind)
	}
	return c, nil
}

// Encode returns the configuration as a document.
func (c Configuration) Encode() (string, error) {
	text, err := yaml.Marshal(c)
	return string(text), err
}
