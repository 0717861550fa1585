package nginx_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/rendertest"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// TestSwitch replaces a running generation through a symbolic link and HUP, as the daemon does, and asks the probe
// until the new one is served. For about 100 ms both generations accept: nginx starts new workers first and only then
// tells the old ones to stop, so the test waits for that too.
func TestSwitch(t *testing.T) {
	port := freePort(t)
	lbs := balancer("cafe", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "old"))))
	first, run := serve(t, lbs)
	in := input(balancer("cafe", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "new")))))
	in.RunDir, in.Workers, in.WorkerConnections = run, 1, 256
	second, err := nginx.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	if first.Generation == second.Generation {
		t.Fatal("another upstream, the same generation")
	}
	rendertest.Write(t, filepath.Join(run, "second"), second.Files)
	// serve starts nginx from "conf"; a directory becomes a link to the next generation.
	if err := os.Rename(filepath.Join(run, "conf"), filepath.Join(run, "first")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("second", filepath.Join(run, "conf")); err != nil {
		t.Fatal(err)
	}
	old := reload(t, run)
	poll(t, "the new generation", func() bool { return generation(run) == second.Generation })
	poll(t, "the end of the old workers' accepting", func() bool {
		return !slices.ContainsFunc(old, accepting)
	})
	if a := ask(t, port, "GET / HTTP/1.1\nHost: x"); !strings.HasPrefix(a.body, "new ") {
		t.Errorf("after the new generation answered, the old one served: %q", a.body)
	}
}

// poll waits until ok.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !rendertest.Poll(deadline, ok) {
		t.Fatalf("%s does not come", what)
	}
}

// children returns the process IDs of the workers.
func children(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil || len(text) == 0 {
		t.Fatalf("no workers: %v", err)
	}
	return strings.Fields(string(text))
}

// accepting reports whether a worker still accepts connections, by the title that nginx gives it.
func accepting(pid string) bool {
	title, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err == nil && len(title) > 0 && !strings.Contains(string(title), "shutting down")
}

// reload sends nginx the signal for it, and returns the workers of before.
func reload(t *testing.T, run string) (old []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run, nginx.PIDName))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	old = children(t, pid)
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	return old
}
