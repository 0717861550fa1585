package cli

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/apiclock"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
)

// LookupEnv reads an environment variable, as os.LookupEnv does.
type LookupEnv func(name string) (string, bool)

// completer is the name under which kubectl calls a plugin for shell completion (kubectl 1.26 and later).
const completer = "kubectl_complete-lb"

// Main runs kubectl lb and returns its exit status. The first argument is the program's own path: kubectl finds the
// program as kubectl-lb, and asks it for completions as kubectl_complete-lb, so a symlink is all that this takes.
//
// The variables of the connection (KUBECONFIG and its like) are read by client-go from the process's own environment.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, env LookupEnv) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The first Ctrl-C ends what goes on in an orderly way, and the second one at once.
	context.AfterFunc(ctx, stop)
	p := &program{
		IOStreams: genericiooptions.IOStreams{In: stdin, Out: stdout, ErrOut: stderr},
		env:       env,
		now:       time.Now,
		asks:      isTerminal,
		hush:      hush,
		clock:     apiclock.New(time.Now),
	}
	code := p.run(ctx, args)
	klog.Flush()
	return code
}

// hush keeps what client-go says by itself from users who have not asked for it by -v: their errors are told by us, and
// a watch that ends on Ctrl-C is none.
func hush() {
	if !klog.V(1).Enabled() {
		klog.SetLogger(logr.Discard())
	}
}

// program is one run of kubectl lb: what all commands share.
type program struct {
	genericiooptions.IOStreams
	env LookupEnv
	now func() time.Time
	// clock compares the API server's clock with now; nil takes them for the same.
	clock *apiclock.Clock
	// asks reports whether questions can be put to the user through a reader; nil: never.
	asks func(io.Reader) bool
	// hush is called when the flags are known; nil: nothing. It is for the whole process, so tests go without it.
	hush func()

	// self is the path by which the program was called.
	self string
	// display is how the user calls the program: "kubectl lb", or "kubectl-lb" when the file has another name.
	display         string
	connection      *genericclioptions.ConfigFlags
	systemNamespace string
	color           string
	configFile      string
	settings        *settings
}

func (p *program) run(ctx context.Context, args []string) int {
	p.self = args[0]
	name := strings.TrimSuffix(filepath.Base(p.self), ".exe")
	args = args[1:]
	if name == completer {
		name, args = "kubectl-lb", append([]string{"__complete"}, args...)
	}
	p.display = name
	if rest, ok := strings.CutPrefix(name, "kubectl-"); ok {
		p.display = "kubectl " + strings.ReplaceAll(rest, "_", "-")
	}
	root := p.rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(ctx, err)
	if err != nil {
		p.printError(cmd, err, code)
	}
	return code
}

// note tells the user something beside the data, on one line: what it quotes of the cluster or a file can't make
// another.
func (p *program) note(format string, args ...any) {
	fmt.Fprintln(p.ErrOut, printer.Escape(fmt.Sprintf(format, args...)))
}
