package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

func newStatus(name *string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: "Show machines, the addresses they hold, their processes and faults", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(*name)
			if err != nil {
				return err
			}
			s, err := l.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func printStatus(out io.Writer, s lab.Status) error {
	api := "answers"
	if !s.API {
		api = "is down"
	}
	fmt.Fprintf(out, "lab %q, the API server %s\n", s.Name, api)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tADDRESS\tLINK\tHOLDS\tPROCESSES")
	for _, n := range s.Nodes {
		link := "up"
		if !n.Up {
			link = "DOWN"
		}
		var holds []string
		for _, h := range n.Holds {
			holds = append(holds, h.String())
		}
		processes := []string{}
		for _, program := range slices.Sorted(maps.Keys(n.Processes)) {
			processes = append(processes, fmt.Sprintf("%s×%d", program, n.Processes[program]))
		}
		if n.Frozen > 0 {
			processes = append(processes, fmt.Sprintf("(%d FROZEN)", n.Frozen))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Role, n.Address, link,
			dash(strings.Join(holds, ",")), dash(strings.Join(processes, " ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Cuts) > 0 {
		fmt.Fprintf(out, "cut: %s\n", strings.Join(s.Cuts, " "))
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
