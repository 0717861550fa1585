package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// commands are all commands; a test fails when the tree has others.
func commands() []string {
	return []string{
		"completion", "completion install", "delete", "drain", "explain", "expose", "failover",
		"failover run", "failover test", "generate", "help", "nodes", "options", "rebalance",
		"status", "undrain", "validate", "version",
	}
}

func TestHelpGolden(t *testing.T) {
	args := []string{"help"}
	call{args: args}.run(t.Context()).expect(t, "help/kubectl-lb", args)
	for _, name := range commands() {
		args := append(strings.Fields(name), "-h")
		r := call{args: args}.run(t.Context())
		r.expect(t, "help/"+strings.ReplaceAll(name, " ", "-"), args)
		for line := range strings.SplitSeq(r.out, "\n") {
			if len(line) > helpWidth && !strings.HasPrefix(line, "  kubectl lb") {
				t.Errorf("%s: the help is wider than %d: %q", name, helpWidth, line)
			}
		}
	}
}

func TestHelpCoversAllCommands(t *testing.T) {
	p := &program{display: "kubectl lb"}
	var names []string
	for _, c := range p.rootCommand().Commands() {
		if c.Name() == "exit-codes" {
			continue
		}
		names = append(names, c.Name())
		for _, sub := range c.Commands() {
			names = append(names, c.Name()+" "+sub.Name())
		}
		if strings.HasSuffix(c.Short, ".") || c.Example == "" || c.Long == "" {
			t.Errorf("%s: a Short with a full stop, or no Example or Long", c.Name())
		}
	}
	if got, want := fmt.Sprint(names), fmt.Sprint(commands()); got != want {
		t.Errorf("commands are %s, the test knows %s", got, want)
	}
}

func TestTopicsGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"help/exit-codes":    {"help", "exit-codes"},
		"help/explain-code":  {"explain", "lb0103"},
		"help/explain-all":   {"explain"},
		"help/explain-wrong": {"explain", "LB9999"},
		"help/unknown":       {"stat"},
		"help/misspelt":      {"stauts"},
		"help/unknown-sub":   {"failover", "tets"},
		"help/unknown-topic": {"help", "expsoe"},
		"help/topic":         {"help", "completion", "install"},
		"help/unknown-flag":  {"status", "--colour"},
		"help/options-all":   {"options"},
		"validate-alone":     {"validate", "-f", "coffee.yaml", "--server", "https://127.0.0.1:1", "--kubeconfig", os.DevNull},
	} {
		t.Run(name, func(t *testing.T) { call{args: args}.run(t.Context()).expect(t, name, args) })
	}
}

// The program names itself as the user calls it.
func TestDisplayName(t *testing.T) {
	for name, want := range map[string]string{
		"/usr/bin/kubectl-lb":  "kubectl lb status",
		"kubectl-lb.exe":       "kubectl lb status",
		"/opt/load-balancer":   "load-balancer status",
		"kubectl-load_balance": "kubectl load-balance status",
	} {
		r := call{name: name, args: []string{"status", "-h"}}.run(t.Context())
		if !strings.Contains(r.out, "\n  "+want+" [NAME...]") || !strings.Contains(r.out, "\n  "+want+" tea\n") {
			t.Errorf("called as %s, the help does not say %q:\n%s", name, want, r.out)
		}
	}
}

// The exit statuses, by what brings them about.
func TestExitCodes(t *testing.T) {
	refused := call{args: []string{"status", "--server", "https://127.0.0.1:1", "--kubeconfig", os.DevNull}}
	for _, c := range []struct {
		what string
		call call
		want int
	}{
		{"help", call{args: []string{"--help"}}, ExitOK},
		{"no command", call{}, ExitOK},
		{"client version", call{args: []string{"version", "--client"}}, ExitOK},
		{"no connection", refused, ExitError},
		{"unreadable file", call{args: []string{"validate", "--local", "-f", "/nonexistent"}}, ExitError},
		{"malformed configuration", call{args: []string{"version", "--client", "--config", "/nonexistent"}}, ExitError},
		{"unknown command", call{args: []string{"frobnicate"}}, ExitUsage},
		{"unknown flag", call{args: []string{"status", "--frobnicate"}}, ExitUsage},
		{"bad flag value", call{args: []string{"status", "-w=perhaps"}}, ExitUsage},
		{"bad colour", call{args: []string{"status", "--color", "mauve"}}, ExitUsage},
		{"missing argument", call{args: []string{"expose"}}, ExitUsage},
		{"bad variable", call{args: []string{"version"}, env: map[string]string{"KUBECTL_LB_NO_HEADERS": "x"}}, ExitUsage},
		{"findings", call{args: []string{"generate", "svc/tea", "--port", "0", "--kubeconfig", os.DevNull}}, ExitFindings},
		{"findings in JSON", call{args: []string{"generate", "svc/tea", "--port", "0", "-o", "json",
			"--kubeconfig", os.DevNull}}, ExitFindings},
	} {
		if r := c.call.run(t.Context()); r.code != c.want || c.want != ExitOK && r.out != "" {
			t.Errorf("%s: exit status %d with %q on stdout, want %d; stderr %q", c.what, r.code, r.out, c.want, r.errOut)
		}
	}
	seen := map[int]bool{}
	for _, c := range exitCodes() {
		if seen[c.Code] {
			t.Errorf("exit status %d is documented twice", c.Code)
		}
		seen[c.Code] = true
	}
}
