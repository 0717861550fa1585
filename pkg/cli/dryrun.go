package cli

import (
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The values of --dry-run, as in kubectl.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// dryRun is how far a command that writes goes.
type dryRun string

func (d *dryRun) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(d), "dry-run", dryRunNone,
		`"none", "client" (only print what would be written) or "server" (have the server check it, but not keep it).`)
	cmd.Flags().Lookup("dry-run").NoOptDefVal = dryRunClient
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions(
		[]string{dryRunNone, dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp))
}

func (d *dryRun) validate() error {
	switch *d {
	case dryRunNone, dryRunClient, dryRunServer:
		return nil
	}
	return usagef("--dry-run must be none, client or server, not %q", string(*d))
}

// suffix marks what was not really done.
func (d *dryRun) suffix() string {
	switch *d {
	case dryRunClient:
		return " (dry run)"
	case dryRunServer:
		return " (server dry run)"
	}
	return ""
}

// server is the dryRun field of a request.
func (d *dryRun) server() []string {
	if *d == dryRunServer {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func (d *dryRun) real() bool { return *d == dryRunNone }
