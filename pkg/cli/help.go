package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// addHelp gives cobra's command "help", which completes the names of commands, words and manners of ours. It comes
// after configure: a malformed configuration must not be in its way.
func (p *program) addHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "help" })
	help := root.Commands()[i]
	help.Use = "help [COMMAND]"
	help.Short = "Show the help of a command"
	help.Long = "Show the help of a command, or a topic: kubectl lb help lists both."
	help.Example = p.example("kubectl lb help expose", "kubectl lb help failover test", "kubectl lb help exit-codes")
	help.Run = nil
	help.RunE = func(cmd *cobra.Command, args []string) error {
		found, rest, err := cmd.Root().Find(args)
		if err != nil || len(rest) > 0 {
			return p.noSuchCommand(found, rest)
		}
		return found.Help()
	}
}
