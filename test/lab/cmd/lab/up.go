package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

func newUp(name *string) *cobra.Command {
	var o lab.Options
	asJSON := false
	cmd := &cobra.Command{
		Use: "up", Short: "Start a lab and wait until it is ready", Args: cobra.NoArgs,
		Long: `Start a lab and wait until it is ready; it goes on running in the background until lab down. The first start
builds the control plane (see KUBECTL_LB_CACHE, KUBEBUILDER_ASSETS), which takes 8 to 15 minutes on two cores.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Name = *name
			o.Out = cmd.ErrOrStderr()
			o.LBNodes, o.Workers = orNone(o.LBNodes), orNone(o.Workers)
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			l, err := lab.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), l.Info())
			}
			return printUsage(cmd.OutOrStdout(), l.Info())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.LBNodes, "lb-nodes", 3, "load-balancer nodes (label type=loadbalancer)")
	flags.IntVar(&o.Workers, "workers", 2, "nodes for everything else")
	flags.IntVar(&o.Clients, "clients", 1, "machines outside the cluster")
	flags.StringVar(&o.BinDir, "bin-dir", "", "folder of lb-controller, lb-daemon and hello (default bin in the checkout)")
	flags.BoolVar(&asJSON, "json", false, "print what was made as JSON on standard output")
	return cmd
}

// orNone keeps a 0 from reading as "the default".
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func printUsage(out io.Writer, info lab.Info) error {
	self := "lab"
	if info.Name != lab.DefaultName {
		self += " --name " + info.Name
	}
	var nodes []string
	for _, n := range info.Nodes {
		nodes = append(nodes, n.Name)
	}
	for _, n := range info.Clients {
		nodes = append(nodes, n.Name)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "lab %q is ready\t(%.1f s)\n", info.Name, info.StartSeconds)
	fmt.Fprintf(w, "  cluster\texport KUBECONFIG=%s\n", info.Kubeconfig)
	fmt.Fprintf(w, "  kubectl\t%s\n", info.Kubectl)
	fmt.Fprintf(w, "  machines\t%s\n", strings.Join(nodes, " "))
	fmt.Fprintf(w, "  address pools\t%s\n", strings.Join(info.AddressPools, " "))
	fmt.Fprintf(w, "  enter one\t%s exec %s -- bash\n", self, nodes[0])
	fmt.Fprintf(w, "  break one\t%s fault %s link-down\n", self, nodes[0])
	fmt.Fprintf(w, "  look\t%s status\n", self)
	fmt.Fprintf(w, "  end\t%s down\n", self)
	return w.Flush()
}
