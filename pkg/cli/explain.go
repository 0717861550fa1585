package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain [CODE]",
		GroupID: groupAuthor,
		Short:   "Explain the code of a finding",
		Long:    "Explain what a finding such as LB0103 means and what mends it. Without a code, list them all.",
		Example: p.example("kubectl lb explain LB0103", "kubectl lb explain"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("unexpected argument %q", args[1])
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var codes []string
			for _, d := range lb.Descriptions() {
				codes = append(codes, string(d.Code)+"\t"+d.Title)
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.listCodes()
			}
			d, ok := lb.Describe(lb.Code(strings.ToUpper(args[0])))
			if !ok {
				return usagef("there is no code %q; '%s explain' lists them", args[0], p.display)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "CODE:      %s\nSEVERITY:  %s\nTITLE:     %s\n\nCAUSE:\n  ", d.Code, d.Severity, d.Title)
			hang(&b, 2, d.Cause)
			b.WriteString("\nFIX:\n  ")
			hang(&b, 2, d.Fix)
			_, err := io.WriteString(p.Out, b.String())
			return err
		},
	}
}

func (p *program) listCodes() error {
	var rows [][]printer.Cell
	for _, d := range lb.Descriptions() {
		rows = append(rows, printer.Text(string(d.Code), string(d.Severity), d.Title))
	}
	return printer.Table(p.Out, []printer.Column{{Name: "CODE"}, {Name: "SEVERITY"}, {Name: "TITLE"}}, rows,
		printer.Options{})
}

// exitCodesTopic is `help exit-codes`: a topic, no command.
func (p *program) exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("The exit status of every command, whatever its output format:\n\n")
	for _, c := range exitCodes() {
		head := fmt.Sprintf("  %3d  %-12s ", c.Code, c.Name)
		b.WriteString(head)
		hang(&b, len(head), c.Meaning)
	}
	topic := &cobra.Command{Use: "exit-codes", Short: "What the exit status says", Long: strings.TrimSpace(b.String())}
	topic.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprintln(p.Out, cmd.Long) })
	return topic
}
