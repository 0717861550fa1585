package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/controlplane"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// testBin holds the programs that TestMain built: lab, hello, and hello again as lb-daemon.
var testBin string

// TestMain builds the lab's programs, since a lab is held by a process of its own, and keeps its state apart from
// a lab that the user may have running.
func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	// A unix socket's path is short: not t.TempDir.
	base, err := os.MkdirTemp("/run", "klb-labtest-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(base)
	if err := os.Setenv("KUBECTL_LB_LAB_DIR", filepath.Join(base, "labs")); err != nil {
		return 1, err
	}
	testBin = filepath.Join(base, "bin")
	root, err := controlplane.RepoRoot()
	if err != nil {
		return 1, err
	}
	for name, pkg := range map[string]string{"lab": "./lab/cmd/lab", "hello": "./hello"} {
		build := exec.Command("go", "build", "-o", filepath.Join(testBin, name), pkg)
		build.Dir = filepath.Join(root, "test")
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	if err := os.Link(filepath.Join(testBin, "hello"), filepath.Join(testBin, "lb-daemon")); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// name is a lab's name that nobody else has.
func name(letter string) string { return fmt.Sprintf("%s%d", letter, os.Getpid()) }

// within polls until ok returns nil; what it said last is the failure.
func within(t *testing.T, d time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(d)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, d, err)
		}
		time.Sleep(20 * time.Millisecond) // polling
	}
}

// expectNothingLeft looks for everything that a lab can leave behind.
func expectNothingLeft(t *testing.T, lab string) {
	t.Helper()
	dir := filepath.Join(BaseDir(), lab)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("folder %s is left (%v)", dir, err)
	}
	if spaces, err := netspace.List("klb-" + lab + "-"); err != nil || len(spaces) > 0 {
		t.Errorf("namespaces %v are left (%v)", spaces, err)
	}
	if processes, err := netspace.ProcessesWithEnv(mark(dir)); err != nil || len(processes) > 0 {
		t.Errorf("processes %v are left (%v)", processes, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || containsPath(string(mounts), dir) {
		t.Errorf("mounts below %s are left (%v)", dir, err)
	}
}

// kubectl runs the cluster's own kubectl on the host.
func kubectl(t *testing.T, l *Lab, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.Info().Kubectl, append([]string{"--kubeconfig", l.Info().Kubeconfig}, args...)...)
	if stdin != "" {
		file := filepath.Join(t.TempDir(), "in.yaml")
		if err := os.WriteFile(file, []byte(stdin), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
