package nstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Keepalived is a real keepalived in a host.
type Keepalived struct {
	host *Host
	dir  string
	cmd  *exec.Cmd
}

// Keepalived starts a keepalived with a configuration. It is killed when the test ends.
func (h *Host) Keepalived(config string) *Keepalived {
	h.net.t.Helper()
	k := &Keepalived{host: h, dir: h.net.t.TempDir()}
	if err := os.WriteFile(filepath.Join(k.dir, "conf"), []byte(config), 0o600); err != nil {
		h.net.t.Fatal(err)
	}
	k.cmd = h.Command("keepalived", "--vrrp", "--dont-fork", "--no-syslog", "--log-console", "-f",
		filepath.Join(k.dir, "conf"), "-p", filepath.Join(k.dir, "pid"), "-r", filepath.Join(k.dir, "vrrp"))
	k.cmd.Env = append(os.Environ(), "TMPDIR="+k.dir)
	var log strings.Builder
	k.cmd.Stdout, k.cmd.Stderr = &log, &log
	if err := k.cmd.Start(); err != nil {
		h.net.t.Fatal(err)
	}
	h.net.t.Cleanup(func() {
		k.Kill()
		if h.net.t.Failed() {
			h.net.t.Logf("keepalived on %s said:\n%s", h.name, log.String())
		}
	})
	return k
}

// PIDs returns keepalived's process and that of its VRRP child, which exist while it runs.
func (k *Keepalived) PIDs() []int {
	var pids []int
	for _, name := range []string{"pid", "vrrp"} {
		data, err := os.ReadFile(filepath.Join(k.dir, name))
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Kill kills both processes as a crash would: no advert says goodbye, and the addresses stay. It may be called again.
func (k *Keepalived) Kill() {
	k.host.net.t.Helper()
	if k.cmd.ProcessState != nil {
		return
	}
	pids := k.PIDs()
	if len(pids) == 2 {
		_ = syscall.Kill(pids[0], syscall.SIGSTOP) // or it would see its child's death, and act
		_ = syscall.Kill(pids[1], syscall.SIGKILL)
	}
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}
