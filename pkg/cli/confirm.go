package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"
)

// confirming is --yes, of commands that ask before they do something.
type confirming struct{ yes bool }

func (c *confirming) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "Do not ask for confirmation.")
}

// confirm asks the user, who must be there to be asked unless --yes was given. Ctrl-C is an answer, too.
func (c *confirming) confirm(ctx context.Context, p *program) error {
	if c.yes {
		return nil
	}
	if p.asks == nil || !p.asks(p.In) {
		return usagef("there is no terminal to ask for confirmation at; --yes confirms")
	}
	fmt.Fprint(p.ErrOut, "Go on? [y/N] ")
	said := make(chan string, 1)
	go func() { // Nothing ends the read but an answer, or the program's end.
		var answer string
		_, _ = fmt.Fscanln(p.In, &answer)
		said <- strings.ToLower(answer)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.ErrOut)
		return ctx.Err()
	case answer := <-said:
		if answer != "y" && answer != "yes" {
			return errors.New("not confirmed; nothing was done")
		}
		return nil
	}
}

// isTerminal reports whether a reader is a terminal.
func isTerminal(r io.Reader) bool {
	w, ok := r.(io.Writer)
	return ok && printers.IsTerminal(w)
}
