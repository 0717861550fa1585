package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
)

// envPrefix starts the name of every environment variable that sets a flag: KUBECTL_LB_OUTPUT sets --output.
const envPrefix = "KUBECTL_LB_"

// The origins of a flag's value, from strongest to weakest.
const (
	originFlag    = "flag"
	originEnv     = "env"
	originFile    = "file"
	originDefault = "default"
)

// settings are the values that the environment and the configuration file give to flags. This file alone knows viper;
// commands read nothing but their own options.
type settings struct {
	v *viper.Viper
	// origins holds where a value comes from, keyed by flag.
	origins map[string]string
}

// notConfigurable are flags that only the command line sets. The connection flags are among them: a file or variable
// that is not kubectl's own must never redirect a command to another cluster or make it another user. So are the flags
// that choose what is acted on: they mean one call. (Besides, a Service named kubectl-lb gives every pod beside it a
// variable KUBECTL_LB_PORT.)
func (p *program) notConfigurable() []string {
	names := []string{
		"help", "config", "v", "all", "all-namespaces", "selector", "filename", "kustomize", "recursive",
		"name", "port", "target-port", "target-namespace", "host", "path", "requested-ip", "for", "node", "template",
		"force-conflicts", "show-origin", "client", "local", "dir", "reason", "force",
		"kind", "count", "yes", "report", "duration", "hold", "no-probe", "ports", "route", "adopt", "vip-port",
	}
	connection := pflag.NewFlagSet("", pflag.ContinueOnError)
	p.connection.AddFlags(connection)
	connection.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// configPath returns the configuration file, and whether the user named it.
func (p *program) configPath() (path string, named bool) {
	if p.configFile != "" {
		return p.configFile, true
	}
	if f, ok := p.env(envPrefix + "CONFIG"); ok && f != "" {
		return f, true
	}
	dir, ok := p.env("XDG_CONFIG_HOME")
	if !ok || dir == "" {
		home, ok := p.env("HOME")
		if !ok || home == "" {
			return "", false
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "kubectl-lb", "config.yaml"), false
}

// loadSettings reads the configuration file and the environment. An absent file is fine unless the user named it; a
// file that is malformed, or sets what no file may set, is an error.
func (p *program) loadSettings(root *cobra.Command) (*settings, error) {
	s := &settings{v: viper.New(), origins: map[string]string{}}
	known := configurableFlags(root, p.notConfigurable())
	if path, named := p.configPath(); path != "" {
		s.v.SetConfigFile(path)
		s.v.SetConfigType("yaml")
		err := s.v.ReadInConfig()
		if errors.Is(err, fs.ErrNotExist) && !named {
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("configuration file %s: %w", path, err)
		}
		for _, key := range s.v.AllKeys() {
			if !slices.Contains(known, key) {
				return nil, fmt.Errorf("configuration file %s: %q is not a setting (see '%s options')", path, key, p.display)
			}
			s.origins[key] = originFile + " " + path
		}
	}
	fromEnv := map[string]any{}
	for _, name := range known {
		variable := envName(name)
		if value, ok := p.env(variable); ok {
			fromEnv[name] = value
			s.origins[name] = originEnv + " " + variable
		}
	}
	return s, s.v.MergeConfigMap(fromEnv)
}

// apply sets the flags that the command line has not set, so that flag > env > file > default. A value that only other
// commands take, such as an --output of "wide", is theirs.
func (s *settings) apply(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if err != nil || f.Changed || s.origins[f.Name] == "" {
			return
		}
		value := s.v.GetString(f.Name)
		if !printer.Takes(f, value) && takenElsewhere(cmd.Root(), f.Name, value) {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = usagef("--%s from %s: %w", f.Name, s.origins[f.Name], e)
		}
	})
	return err
}

// takenElsewhere reports whether a command takes a value for its flag of that name.
func takenElsewhere(root *cobra.Command, name, value string) bool {
	return slices.ContainsFunc(allCommands(root), func(c *cobra.Command) bool {
		f := c.Flags().Lookup(name)
		return f != nil && printer.Takes(f, value)
	})
}

// origin returns where the value of a flag comes from. Settings mark the flags they set as changed too, so the
// question is put before they are applied.
func (s *settings) origin(f *pflag.Flag) string {
	switch {
	case f.Changed:
		return originFlag
	case s.origins[f.Name] != "":
		return s.origins[f.Name]
	}
	return originDefault
}

// envName returns the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// allCommands returns a command and all below it.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, allCommands(c)...)
	}
	return all
}

// configurableFlags returns the names of the flags of all commands that may be configured, sorted.
func configurableFlags(root *cobra.Command, except []string) []string {
	var names []string
	add := func(f *pflag.Flag) {
		if !slices.Contains(except, f.Name) && !f.Hidden {
			names = append(names, f.Name)
		}
	}
	for _, c := range allCommands(root) {
		c.Flags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
