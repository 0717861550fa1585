package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

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
		for _, e := range separate(err) {
			fmt.Fprintln(p.ErrOut, explain(e))
		}
	}
	if a, ok := errors.AsType[*advised](err); ok {
		p.note("%s", a.advice)
	}
}

// advised is an error with advice, which stands on a line of its own.
type advised struct {
	error
	advice string
}

func (a *advised) Unwrap() error { return a.error }

// separate returns errors that were joined one by one.
func separate(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, separate(e)...)
		}
		return out
	}
	return []error{err}
}

// pathOf returns how the user calls a command.
func (p *program) pathOf(cmd *cobra.Command) string {
	if cmd == nil {
		return p.display
	}
	return cmd.CommandPath()
}

// explain words an error as kubectl does, and safe for the terminal. It has one line, unless the API server's words
// have more.
func explain(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		text := escapeAround(err.Error(), s.Message)
		if s.Reason != "" {
			return fmt.Sprintf("Error from server (%s): %s", printer.Escape(string(s.Reason)), text)
		}
		return "Error from server: " + text
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if utilnet.IsConnectionRefused(err) {
			host := u.URL
			if parsed, perr := url.Parse(u.URL); perr == nil {
				host = parsed.Host
			}
			return fmt.Sprintf("The connection to the server %s was refused - did you specify the right host or port?",
				printer.Escape(host))
		}
		return printer.Escape(fmt.Sprintf("Unable to connect to the server: %s", u.Err))
	}
	return printer.Escape("error: " + err.Error())
}

// escapeAround makes a text safe for the terminal that holds what the API server said, whose line ends stay.
func escapeAround(text, said string) string {
	before, after, ok := strings.Cut(text, said)
	if !ok || said == "" {
		return printer.Escape(text)
	}
	return printer.Escape(before) + printer.EscapeLines(said) + printer.Escape(after)
}
