package daemon

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/agent"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
)

// prepareName is the argument that makes the program prepare the node and end.
const prepareName = "prepare-node"

// prepareNode sets what only a privileged container may, so that the daemon itself need not be one. Its flags are
// --interface (LB_INTERFACE) and --node-address (LB_NODE_ADDRESS), which names the interface by an address that it has.
func prepareNode(args []string, env func(string) (string, bool), output io.Writer) error {
	flags := pflag.NewFlagSet("lb-daemon "+prepareName, pflag.ContinueOnError)
	flags.SetOutput(output)
	name := flags.String("interface", "", "interface for virtual IPs; empty means the one with --node-address")
	address := flags.String("node-address", "", "an address of the node, on the interface for virtual IPs")
	flags.Usage = func() {
		fmt.Fprintf(output, "lb-daemon prepare-node sets the node's kernel settings that lb-daemon needs, and ends.\n\n"+
			"Usage:\n  lb-daemon prepare-node [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	for value, key := range map[*string]string{name: "LB_INTERFACE", address: "LB_NODE_ADDRESS"} {
		if text, ok := env(key); ok && *value == "" {
			*value = text
		}
	}
	if *name == "" {
		addr, err := netip.ParseAddr(*address)
		if err != nil {
			return fmt.Errorf("node-address: %w", err)
		}
		if *name, err = ifaddr.Find(addr); err != nil {
			return err
		}
	}
	return agent.PrepareNode(*name)
}
