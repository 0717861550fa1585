package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// labProgram runs bin/lab and returns what it prints, and what it says on stderr; it fails the test unless it ends with
// the code.
func labProgram(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(shared.Bin, "lab"), args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("lab %s: exit status %d, want %d\n%s\n%s", strings.Join(args, " "), got, code, &out, &errOut)
	}
	return out.String(), errOut.String()
}

func labJSON[T any](t *testing.T, args ...string) (value T) {
	t.Helper()
	out, _ := labProgram(t, 0, args...)
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return value
}

// TestLabProgramFaults: each fault of bin/lab, by the words that the issue names, shows in its status, and is over when
// it says so.
func TestLabProgramFaults(t *testing.T) {
	ip := serve(t, "handled", "target-service-name: coffee-svc", "protocol: HTTP")
	name := shared.Lab.Info().Name
	t.Cleanup(func() {
		labProgram(t, 0, "--name", name, "fault", "heal")
		mended(t)
	})
	const victim = "lb2"
	pids := func() string {
		var words []string
		for _, program := range []string{lab.Daemon, lab.Keepalived, lab.Nginx} {
			all, err := shared.Lab.Processes(victim, program)
			must(t, err)
			for _, p := range all {
				words = append(words, fmt.Sprint(program, p.PID))
			}
		}
		return strings.Join(words, " ")
	}
	status := func() (lab.Status, lab.NodeStatus) {
		s := labJSON[lab.Status](t, "--name", name, "status", "--json")
		i := slices.IndexFunc(s.Nodes, func(n lab.NodeStatus) bool { return n.Name == victim })
		return s, s.Nodes[i]
	}
	before := ""
	for _, c := range []struct {
		fault string
		// lasts says that the fault is there until the next line mends it.
		lasts bool
		shows func(s lab.Status, n lab.NodeStatus) bool
	}{
		{victim + " link-down", true, func(_ lab.Status, n lab.NodeStatus) bool { return !n.Up }},
		{victim + " link-up", false, func(_ lab.Status, n lab.NodeStatus) bool { return n.Up }},
		{victim + " kill-daemon", false, func(lab.Status, lab.NodeStatus) bool { return pids() != before }},
		{victim + " kill-keepalived", false, func(lab.Status, lab.NodeStatus) bool { return pids() != before }},
		{victim + " kill-nginx", false, func(lab.Status, lab.NodeStatus) bool { return pids() != before }},
		{victim + " freeze", true, func(_ lab.Status, n lab.NodeStatus) bool { return n.Frozen > 3 }},
		{victim + " thaw", false, func(_ lab.Status, n lab.NodeStatus) bool { return n.Frozen == 0 }},
		{victim + " partition lb1,lb3", true, func(s lab.Status, _ lab.NodeStatus) bool { return len(s.Cuts) == 2 }},
		{victim + " heal", false, func(s lab.Status, _ lab.NodeStatus) bool { return len(s.Cuts) == 0 }},
		{"partition lb1,client", true, func(s lab.Status, _ lab.NodeStatus) bool { return len(s.Cuts) > 5 }},
		{"heal", false, func(s lab.Status, _ lab.NodeStatus) bool { return len(s.Cuts) == 0 }},
	} {
		before = pids()
		labProgram(t, 0, append([]string{"--name", name, "fault"}, strings.Fields(c.fault)...)...)
		must(t, rig.Wait(t.Context(), 20*time.Second, "status to show "+c.fault, func() (bool, string) {
			s, n := status()
			return c.shows(s, n), fmt.Sprintf("%+v", n)
		}))
		if !c.lasts {
			mended(t)
		}
	}
	report := labJSON[struct{ Sent, Failed int }](t, "--name", name, "probe", ip, "--interval", "5ms", "--for", "2s", "--json")
	if report.Sent < 100 || report.Failed > 5 {
		t.Errorf("probe: %+v", report)
	}
	labProgram(t, 1, "--name", name, "probe", "10.88.111.9", "--for", "1s")
	out, _ := labProgram(t, 0, "--name", name, "exec", victim, "--", "ip", "-o", "address")
	if !strings.Contains(out, "eth0") {
		t.Errorf("exec: %s", out)
	}
	path, _ := labProgram(t, 0, "--name", name, "kubeconfig")
	if _, err := os.Stat(strings.TrimSpace(path)); err != nil {
		t.Error(err)
	}
	if _, said := labProgram(t, 1, "--name", name, "up"); !strings.Contains(said, "runs already") {
		t.Errorf("a second up: %s", said)
	}
}

// TestLabProgramUp: what up --json prints is there, and nothing of it is left after down.
func TestLabProgramUp(t *testing.T) {
	const name = "e2esmall"
	t.Cleanup(func() { labProgram(t, 0, "--name", name, "down") })
	info := labJSON[lab.Info](t, "--name", name, "up", "--lb-nodes", "1", "--workers", "1", "--bin-dir",
		shared.Bin, "--json")
	if _, err := os.Stat(info.Kubeconfig); err != nil || len(info.Nodes) != 2 || len(info.Clients) != 1 {
		t.Errorf("%v, %+v", err, info)
	}
	spaces := []string{info.ClientNamespace, info.FabricNamespace}
	for _, n := range info.Nodes {
		if n.Role == "" || !n.Address.IsValid() {
			t.Errorf("%+v", n)
		}
		spaces = append(spaces, n.Namespace)
	}
	for _, s := range spaces {
		if _, err := os.Stat(netspace.Path(s)); err != nil {
			t.Error(err)
		}
	}
	labProgram(t, 0, "--name", name, "down")
	for _, path := range append([]string{info.Dir}, spaces...) {
		if !filepath.IsAbs(path) {
			path = netspace.Path(path)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left after down: %v", path, err)
		}
	}
	left, err := netspace.ProcessesWithEnv("KUBECTL_LB_LAB_MARK=" + info.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left after down: %v, %v", left, err)
	}
}
