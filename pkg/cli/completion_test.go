package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl asks a program named kubectl_complete-lb, with the words after "kubectl lb".
func TestCompletionAsKubectlAsks(t *testing.T) {
	w := newWorld(t, "complete")
	w.service("tea", port(80, ""))
	w.object("tea", map[string]string{"target-service-name": "tea"})
	w.object("milk", map[string]string{"target-service-name": "milk"})
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"sta"}, "status"},
		{[]string{"status", ""}, "milk tea"},
		{[]string{"status", "tea", ""}, "milk"},
		{[]string{"delete", "configmap/tea", ""}, "milk"},
		{[]string{"expose", ""}, "svc/tea"},
		{[]string{"generate", "--for", ""}, "keepalived nginx"},
		{[]string{"generate", "--node", ""}, "lb1 lb2 lb3"},
		{[]string{"status", "--color", ""}, "always auto never"},
		{[]string{"explain", "LB0103"}, "LB0103"},
		{[]string{"failover", "test", "tea", ""}, ""},
		{[]string{"nodes", "lb1", "node/lb2", ""}, "lb3"},
		{[]string{"expose", "--protocol", ""}, "HTTP HTTPS TCP TLS UDP SCTP TLS-PASSTHROUGH"},
		{[]string{"expose", "--upstream", ""}, "service endpoints"},
		{[]string{"expose", "--session-affinity", ""}, "none client-ip cookie"},
		{[]string{"expose", "--gzip", ""}, "true false"},
		{[]string{"expose", "--max-body-size", ""}, ""},
		{[]string{"delete", "-o", ""}, "name"},
	} {
		r := call{name: "/x/" + completer, args: w.completing(c.words)}.run(t.Context())
		var got []string
		for line := range strings.SplitSeq(r.out, "\n") {
			if word, _, _ := strings.Cut(line, "\t"); word != "" && !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		have := map[string]bool{}
		for _, g := range got {
			have[g] = true
		}
		for want := range strings.FieldsSeq(c.want) {
			if !have[want] {
				t.Errorf("%q completes to %q, which lacks %q", c.words, got, want)
			}
		}
		if len(c.words) > 1 && c.words[len(c.words)-1] == "" && len(got) != len(strings.Fields(c.want)) {
			t.Errorf("%q completes to %q, want %s", c.words, got, c.want)
		}
	}
}

// completing puts the flags of the world before the last word, which is being completed.
func (w *world) completing(words []string) []string {
	if len(words) == 1 {
		return words
	}
	flags := []string{"--kubeconfig", w.kubeconfig, "-n", w.user, "--system-namespace", w.system}
	return append([]string{words[0]}, append(flags, words[1:]...)...)
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := (call{args: []string{"completion", shell}}).run(t.Context()); r.code != ExitOK || len(r.out) < 100 {
			t.Errorf("%s: exit status %d, %d bytes", shell, r.code, len(r.out))
		}
	}
	if r := (call{args: []string{"completion", "csh"}}).run(t.Context()); r.code != ExitUsage {
		t.Errorf("csh: exit status %d", r.code)
	}
}

// The link lies beside what was called, which for krew is a link into its store.
func TestCompletionInstall(t *testing.T) {
	store, bin := t.TempDir(), t.TempDir()
	binary, called := filepath.Join(store, "kubectl-lb"), filepath.Join(bin, "kubectl-lb")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, called); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(bin, completer)
	for _, want := range []string{"created", "unchanged"} {
		r := call{name: called, args: []string{"completion", "install"}}.run(t.Context())
		if r.code != ExitOK || r.out != link+" "+want+"\n" {
			t.Errorf("got %+v, want %s", r, want)
		}
	}
	if to, err := os.Readlink(link); err != nil || to != called {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, completer), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call{name: called, args: []string{"completion", "install", "--dir", other}}.run(t.Context())
	if r.code != ExitError {
		t.Errorf("overwrote another's file: %+v", r)
	}
}

// The real program behind the real kubectl: as a plugin, in its completion, and interrupted while it waits.
func TestBehindKubectl(t *testing.T) {
	w := newWorld(t, "plugin")
	w.service("tea", port(80, ""))
	dir := t.TempDir()
	binary := filepath.Join(dir, "kubectl-lb")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/kubectl-lb")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(binary, filepath.Join(dir, completer)); err != nil {
		t.Fatal(err)
	}
	kubectl := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), args...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "KUBECONFIG="+w.kubeconfig,
			"KUBECTL_LB_SYSTEM_NAMESPACE="+w.system)
		return cmd
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"lb", "expose", "svc/tea", "-n", w.user}, "service/tea exposed\n"},
		{[]string{"lb", "status", "-n", w.user, "-o", "name"}, "configmap/tea\n"},
		{[]string{"lb", "status", "-h"}, "kubectl lb status [NAME...]"},
		{[]string{"__complete", "lb", "status", "-n", w.user, ""}, "tea\n"},
		{[]string{"lb", "delete", "tea", "-n", w.user}, "configmap/tea deleted\n"},
	} {
		out, err := kubectl(t.Context(), c.args...).Output()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("kubectl %s: %v, %q, want %q", strings.Join(c.args, " "), err, out, c.want)
		}
	}
	cmd := kubectl(t.Context(), "lb", "status", "ghost", "-n", w.user)
	if _ = cmd.Run(); cmd.ProcessState.ExitCode() != ExitError {
		t.Errorf("exit status through kubectl: %d", cmd.ProcessState.ExitCode())
	}
	w.interruptWaiting(t, binary)
}

// interruptWaiting sends SIGINT to a program that waits for a load balancer that no controller will serve.
func (w *world) interruptWaiting(t *testing.T, binary string) {
	t.Helper()
	cmd := exec.Command(binary, "expose", "svc/tea", "--wait", "-n", w.user, "--system-namespace", w.system,
		"--kubeconfig", w.kubeconfig)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	w.must(cmd.Start())
	w.eventually("the ConfigMap is written", func() bool {
		list := w.lb(t, "status", "-o", "name")
		return strings.Contains(list.out, "configmap/tea")
	})
	w.must(cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != ExitInterrupted || out.Len() != 0 {
		t.Errorf("SIGINT: exit status %d, output %q", code, out.String())
	}
}
