package cli

import (
	"flag"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/klog/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
)

// defaultSystemNamespace is where deploy/ installs the controller and the daemons.
const defaultSystemNamespace = "kubectl-lb-system"

// The groups of commands in the help.
const (
	groupBasic   = "basic"
	groupAuthor  = "author"
	groupOperate = "operate"
	groupOther   = "other"
)

// rootCommand builds the whole command tree for one run.
func (p *program) rootCommand() *cobra.Command {
	p.connection = genericclioptions.NewConfigFlags(true)
	root := &cobra.Command{
		Use:   strings.ReplaceAll(p.display, " ", "-"),
		Short: "Highly available load balancers for Services, where no cloud gives one",
		Long: `Make highly available load balancers for Services, look at them, and find out what is wrong with them.

A load balancer is a ConfigMap with the label app=loadbalancer. It names a Service and gets an address
that survives the loss of any load-balancer node.`,
		Example:           p.example("kubectl lb expose svc/tea --wait", "kubectl lb status"),
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: p.display},
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              p.noSuchCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.ErrOut)
	root.SetUsageFunc(p.usage)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%w", err) })
	root.AddGroup(
		&cobra.Group{ID: groupBasic, Title: "Basic Commands:"},
		&cobra.Group{ID: groupAuthor, Title: "Authoring Commands:"},
		&cobra.Group{ID: groupOperate, Title: "Operating Commands:"},
		&cobra.Group{ID: groupOther, Title: "Other Commands:"},
	)
	p.addGlobalFlags(root)
	root.AddCommand(
		p.exposeCommand(), p.statusCommand(), p.deleteCommand(),
		p.generateCommand(), p.validateCommand(),
		p.drainCommand(), p.undrainCommand(), p.rebalanceCommand(), p.failoverCommand(),
		p.nodesCommand(),
		p.versionCommand(), p.completionCommand(), p.optionsCommand(), p.explainCommand(),
		p.exitCodesTopic(),
	)
	p.configure(root)
	p.addHelp(root)
	layOut(root)
	return root
}

// configure has a command, and those below it, look at their arguments and flags only after the configuration has been
// layered below these: what comes from there is judged like what was typed.
func (p *program) configure(cmd *cobra.Command) {
	if judge := cmd.Args; judge != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := p.prepare(cmd); err != nil {
				return err
			}
			return judge(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		p.configure(c)
	}
}

// layOut wraps the descriptions of a command and those below it, and keeps the shell from completing files where no
// argument is one.
func layOut(cmd *cobra.Command) {
	cmd.Long = wrapParagraphs(cmd.Long)
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.Flags().BoolP("help", "h", false, "Show this help.")
	for _, c := range cmd.Commands() {
		layOut(c)
	}
}

func (p *program) addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	p.connection.AddFlags(flags)
	flags.StringVar(&p.systemNamespace, "system-namespace", defaultSystemNamespace,
		"Namespace of the controller and the node daemons.")
	flags.StringVar(&p.color, "color", "auto", "Colour the output: auto (only to a terminal), always or never.")
	flags.StringVar(&p.configFile, "config", "",
		"File with defaults for flags (default $XDG_CONFIG_HOME/kubectl-lb/config.yaml).")
	logging := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logging)
	flags.AddGoFlag(logging.Lookup("v"))
	flags.Lookup("v").Shorthand = "v"
	flags.Lookup("v").Usage = "Log level; 6 shows the requests to the API server."
	_ = root.RegisterFlagCompletionFunc("color",
		cobra.FixedCompletions(printer.ColorModes(), cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("namespace", p.completeNamespaces)
	_ = root.RegisterFlagCompletionFunc("system-namespace", p.completeNamespaces)
}

// noSuchCommand turns a first argument that is no command into a mistake of usage.
func (p *program) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q for %q; did you mean %q?", args[0], cmd.CommandPath(), near[0])
	}
	return usagef("unknown command %q for %q", args[0], cmd.CommandPath())
}

// prepare layers the configuration below the flags of a command that is about to run.
func (p *program) prepare(cmd *cobra.Command) error {
	s, err := p.loadSettings(cmd.Root())
	if err != nil {
		return err
	}
	p.settings = s
	if cmd.Name() == optionsName {
		return nil
	}
	if err := s.apply(cmd); err != nil {
		return err
	}
	if _, err := printer.UseColor(p.color, p.Out); err != nil {
		return usagef("%w", err)
	}
	if p.hush != nil {
		p.hush()
	}
	return nil
}

// tableOptions says how the command's tables are printed.
func (p *program) tableOptions(f *printer.Flags) printer.Options {
	color, _ := printer.UseColor(p.color, p.Out)
	return printer.Options{Wide: f.Wide(), NoHeaders: f.NoHeaders(), Color: color}
}

// example indents command lines, and names the program as the user calls it.
func (p *program) example(lines ...string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\n")
		}
		if line != "" {
			b.WriteString("  " + strings.Replace(line, "kubectl lb", p.display, 1))
		}
	}
	return b.String()
}

// exactly takes n arguments; what names them in the message.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usagef("%s is missing", what)
		case len(args) > n:
			return usagef("unexpected argument %q", args[n])
		}
		return nil
	}
}
