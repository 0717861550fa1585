package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "lab",
		Short: "A real Kubernetes cluster with load-balancer nodes, on one machine",
		Long: `lab runs a real Kubernetes control plane and nodes that are network namespaces, for tests, benches and demos.

The load-balancer nodes lb1, lb2, … and the workers w1, w2, … run Pods as processes; client stands outside the
cluster. Everything lives in namespaces of the lab's own: the host's network is left alone. Root is needed.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	name := root.PersistentFlags().String("name", envOr("KUBECTL_LB_LAB_NAME", lab.DefaultName),
		"the lab's name; several may run side by side (KUBECTL_LB_LAB_NAME)")
	root.AddCommand(newUp(name), newDown(name), newStatus(name), newExec(name), newKubeconfig(name), newFault(name),
		newProbe(name), newOctavia(name))
	return root
}

func envOr(key, otherwise string) string {
	if value := os.Getenv(key); value != "" {
		return value
	}
	return otherwise
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func newDown(name *string) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Remove the lab and everything that a crash of it may have left", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return lab.Down(*name) },
	}
}

func newKubeconfig(name *string) *cobra.Command {
	inside := false
	cmd := &cobra.Command{
		Use: "kubeconfig", Short: "Print the path of the administrator's kubeconfig", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(*name)
			if err != nil {
				return err
			}
			path := l.Info().Kubeconfig
			if inside {
				path = l.Info().InsideKubeconfig
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			return err
		},
	}
	cmd.Flags().BoolVar(&inside, "inside", false, "the one for programs in the lab's namespaces (see lab exec)")
	return cmd
}

func newExec(name *string) *cobra.Command {
	return &cobra.Command{
		Use: "exec NODE -- CMD…", Short: "Run a command in a machine's network", Args: cobra.MinimumNArgs(2),
		Long: `Run a command in the network of lb1…, w1… or client. Files and processes are the host's; KUBECONFIG leads to
the cluster. The exit status is the command's.`,
		Example: "  lab exec client -- curl -s http://10.88.100.1/\n  lab exec lb1 -- ip address",
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(*name)
			if err != nil {
				return err
			}
			c, err := l.Command(args[0], args[1:]...)
			if err != nil {
				return err
			}
			c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
			return c.Run()
		},
	}
}
