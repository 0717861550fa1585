package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

func (p *program) completionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "completion (bash|zsh|fish|powershell)",
		GroupID: groupOther,
		Short:   "Set up completion for the shell",
		Long: `Print a shell's completion script for this program when it is called by its file name.

When it is called through kubectl, kubectl's own completion asks a program named ` + completer + `:
"completion install" puts a link of that name beside this program.`,
		Example: p.example(
			"kubectl lb completion install",
			"source <(kubectl lb completion bash)"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      exactly(1, "the shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.Out, true)
			case "zsh":
				return root.GenZshCompletion(p.Out)
			case "fish":
				return root.GenFishCompletion(p.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.Out)
			}
			return usagef("%q is not one of bash, zsh, fish and powershell", args[0])
		},
	}
	var dir string
	install := &cobra.Command{
		Use:     "install",
		Short:   "Make completion work behind kubectl",
		Long:    "Put a link named " + completer + " beside this program, or into --dir, which must be in PATH.",
		Example: p.example("kubectl lb completion install --dir ~/.local/bin"),
		Args:    exactly(0, ""),
		RunE:    func(*cobra.Command, []string) error { return p.installCompletion(dir) },
	}
	install.Flags().StringVar(&dir, "dir", "", "Directory for the link (default: where this program is).")
	cmd.AddCommand(install)
	return cmd
}

// installCompletion makes the link. An equal one is left alone; anything else of that name is not overwritten. It leads
// to where the program was called, not to where that leads: what krew puts into PATH is a link itself, which outlives
// an upgrade.
func (p *program) installCompletion(dir string) error {
	self, err := exec.LookPath(p.self)
	if err != nil {
		return err
	}
	if self, err = filepath.Abs(self); err != nil {
		return err
	}
	if dir == "" {
		dir = filepath.Dir(self)
	}
	link := filepath.Join(dir, completer)
	if runtime.GOOS == "windows" {
		link += ".exe"
	}
	if old, err := os.Readlink(link); err == nil && old == self {
		_, err := fmt.Fprintf(p.Out, "%s unchanged\n", link)
		return err
	}
	if err := os.Symlink(self, link); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%s created\n", link)
	return err
}

// completion connects for completion. A shell that waits for a far-away cluster would be worse than none.
func (p *program) completion(cmd *cobra.Command) (*cluster, bool) {
	if err := p.prepare(cmd); err != nil {
		return nil, false
	}
	timeout := "3s"
	p.connection.Timeout = &timeout
	c, err := p.connect()
	return c, err == nil
}

func (p *program) completeLoadBalancers(
	cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := p.completion(cmd)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cms, err := c.objects(cmd.Context(), c.namespace, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, cm := range cms {
		names = append(names, cm.Name)
	}
	return without(names, args), cobra.ShellCompDirectiveNoFileComp
}

// completeLoadBalancer offers the load balancers as the one argument.
func (p *program) completeLoadBalancer(
	cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeLoadBalancers(cmd, args, text)
}

// completeServices offers the namespace's Services as svc/NAME.
func (p *program) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := p.completion(cmd)
	if !ok || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.CoreV1().Services(c.namespace).List(cmd.Context(), metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range list.Items {
		names = append(names, "svc/"+s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *program) completeNamespaces(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := p.completion(cmd)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.CoreV1().Namespaces().List(cmd.Context(), metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range list.Items {
		names = append(names, n.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNodes offers the nodes of the fleet.
func (p *program) completeNodes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, ok := p.completion(cmd)
	if !ok {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cms, err := c.documents(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range view.DecodeDocuments(cms).Config.Fleet.Nodes {
		names = append(names, n.Name)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return nodeOf(a) == n })
	}), cobra.ShellCompDirectiveNoFileComp
}

// completeNode offers the nodes of the fleet as the one argument.
func (p *program) completeNode(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeNodes(cmd, args, text)
}

// without drops what the command line already has.
func without(names, given []string) []string {
	return slices.DeleteFunc(names, func(n string) bool {
		return slices.ContainsFunc(given, func(g string) bool { return nameOf(g) == n })
	})
}
