package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubectl-lb/kubectl-lb/pkg/controller/config"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/version"
)

// The exit statuses of [Main].
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// usageError is a fault of the command line or of the configuration.
type usageError struct{ error }

// Main runs lb-controller with arguments (without the program's name) and environment variables ("NAME=value"), until
// SIGTERM or SIGINT. It returns the exit status: 0, 1 after an error, 2 when arguments or configuration are wrong.
func Main(args, env []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := newCommand(env)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "lb-controller: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitError
}

func newCommand(env []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "lb-controller",
		Short: "Give addresses to load balancers and tell the nodes what to serve",
		Long: "lb-controller turns ConfigMaps labelled app=loadbalancer into highly available addresses.\n\n" +
			"A flag counts before an environment variable, that before the file of --config, that before the default.",
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd, env)
			if err != nil {
				return err
			}
			return start(cmd.Context(), c, cmd.ErrOrStderr())
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	config.AddFlags(root.PersistentFlags())
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newConfigCommand(env), &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return err
		},
	})
	return root
}

func newConfigCommand(env []string) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or print the configuration", Args: noArgs, RunE: help}
	cmd.AddCommand(&cobra.Command{
		Use: "check", Short: "Check the configuration that the same flags would run with, and print it", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd, env)
			if err != nil {
				return err
			}
			return printConfig(cmd, c)
		},
	}, &cobra.Command{
		Use: "default", Short: "Print the default configuration", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return printConfig(cmd, config.Default()) },
	})
	return cmd
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown argument %q for %q", args[0], cmd.CommandPath())}
	}
	return nil
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func load(cmd *cobra.Command, env []string) (config.Configuration, error) {
	c, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}

func printConfig(cmd *cobra.Command, c config.Configuration) error {
	text, err := c.Encode()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), text)
	return err
}

// start runs the controller with a checked configuration.
func start(ctx context.Context, c config.Configuration, stderr io.Writer) error {
	log, err := newLogger(c.Log, stderr)
	if err != nil {
		return err
	}
	// The libraries below log by themselves in places; they get the same handler.
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetSlogLogger(log)
	rc, err := restConfig(c.Kubeconfig)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version.String(), "backend", c.Backend, "namespace", c.SystemNamespace)
	return run(ctx, rc, c, log)
}

func newLogger(l config.Log, w io.Writer) (*slog.Logger, error) {
	level, err := l.SlogLevel()
	if err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// restConfig returns how to reach the API server: by a kubeconfig, else by the pod's service account, else by the
// kubeconfig of the user's home.
func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if kubeconfig != "" {
		// Of a list, as $KUBECONFIG may be, files may be missing; a single one must be there.
		if rules.Precedence = filepath.SplitList(kubeconfig); len(rules.Precedence) == 1 {
			rules.ExplicitPath = kubeconfig
		}
	} else if rc, err := rest.InClusterConfig(); err == nil {
		return rc, nil
	}
	rc, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	return rc, nil
}
