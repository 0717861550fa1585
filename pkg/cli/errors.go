package cli

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
)

// printError tells the user why a command failed, in kubectl's words where the API server refused.
func (p *program) printError(cmd *cobra.Command, err error, code int) {
	switch {
	case errors.Is(err, errFindings):
		// What is wrong has been shown.
	case code == ExitInterrupted:
		// The user knows.
	case code == ExitUsage:
		p.note("error: %s", err)
		p.note("See '%s -h' for help and examples", p.pathOf(cmd))
	default:
		p.note("%s", explain(err))
	}
}

// pathOf returns how the user calls a command.
func (p *program) pathOf(cmd *cobra.Command) string {
	if cmd == nil {
		return p.display
	}
	return cmd.CommandPath()
}

// explain words an error as kubectl does.
func explain(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		if s.Reason != "" {
			return fmt.Sprintf("Error from server (%s): %s", s.Reason, err)
		}
		return fmt.Sprintf("Error from server: %s", err)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if utilnet.IsConnectionRefused(err) {
			host := u.URL
			if parsed, perr := url.Parse(u.URL); perr == nil {
				host = parsed.Host
			}
			return fmt.Sprintf("The connection to the server %s was refused - did you specify the right host or port?", host)
		}
		return fmt.Sprintf("Unable to connect to the server: %s", u.Err)
	}
	return "error: " + err.Error()
}

// escapeNote makes a message safe for the terminal: it may quote what the cluster or a file holds.
func escapeNote(s string) string { return printer.EscapeLines(s) }
