package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
)

// optionsName is the command that must see the flags as they were before the configuration was applied.
const optionsName = "options"

func (p *program) optionsCommand() *cobra.Command {
	var showOrigin bool
	cmd := &cobra.Command{
		Use:     optionsName,
		GroupID: groupOther,
		Short:   "List the flags that every command has",
		Long: `List the flags that every command has. With --show-origin, list instead every flag that the environment or the
configuration file can set, with its value and where that comes from: the environment variable of
--output is ` + envPrefix + `OUTPUT, and the file holds "output: wide". The command line beats the environment,
which beats the file. The flags of the connection, such as --token, are taken from the command line only.`,
		Example: p.example("kubectl lb options", "KUBECTL_LB_OUTPUT=wide kubectl lb options --show-origin"),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showOrigin {
				return p.showOrigins(cmd)
			}
			var b strings.Builder
			b.WriteString("Every command has these flags:\n\n")
			listFlags(&b, cmd.InheritedFlags())
			_, err := p.Out.Write([]byte(b.String()))
			return err
		},
	}
	cmd.Flags().BoolVar(&showOrigin, "show-origin", false, "Show each setting's value and where it comes from.")
	return cmd
}

// showOrigins lists the settings. Flags of the same name in several commands are one setting.
func (p *program) showOrigins(cmd *cobra.Command) error {
	root := cmd.Root()
	var rows [][]printer.Cell
	for _, name := range configurableFlags(root, p.notConfigurable()) {
		f := findFlag(root, name)
		value, origin := f.Value.String(), p.settings.origin(f)
		if !f.Changed && origin != originDefault {
			value = p.settings.v.GetString(name)
		}
		rows = append(rows, printer.Text("--"+name, envName(name), printer.Or(value, printer.Unset), origin))
	}
	slices.SortFunc(rows, func(a, b []printer.Cell) int {
		if a[0].Text < b[0].Text {
			return -1
		}
		return 1
	})
	columns := []printer.Column{{Name: "FLAG"}, {Name: "VARIABLE"}, {Name: "VALUE"}, {Name: "ORIGIN"}}
	return printer.Table(p.Out, columns, rows, printer.Options{})
}

func findFlag(root *cobra.Command, name string) *pflag.Flag {
	for _, c := range allCommands(root) {
		for _, set := range []*pflag.FlagSet{c.PersistentFlags(), c.Flags()} {
			if f := set.Lookup(name); f != nil {
				return f
			}
		}
	}
	return nil
}
