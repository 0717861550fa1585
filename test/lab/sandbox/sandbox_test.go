package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test program be a container's first half, as bin/lab is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Subcommand {
		fmt.Fprintln(os.Stderr, Main())
		os.Exit(126)
	}
	os.Exit(m.Run())
}

// run runs a container to its end and returns what it printed and its exit code.
func run(t *testing.T, spec Spec) (string, int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no namespaces")
	}
	dir := t.TempDir()
	spec.Root = filepath.Join(dir, "root")
	if err := os.Mkdir(spec.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := Start(spec, Options{Self: self, Network: network, Output: out})
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // the code says it
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts left behind (%v)", err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func shell(script string) Spec {
	return Spec{Argv: []string{"sh", "-ec", script}, Env: []string{"PATH=" + Path}, Hostname: "box"}
}

func TestRoot(t *testing.T) {
	tests := map[string]struct{ script, want string }{
		"own process ids":      {"echo $$; ls -d /proc/[0-9]* | wc -l", "1\n"},
		"own host name":        {"uname -n", "box\n"},
		"host's files":         {"test -x /usr/bin/env && test -r /etc/passwd && echo yes", "yes\n"},
		"read-only":            {"touch /usr/x 2>/dev/null || echo no; touch /etc/x 2>/dev/null || echo no", "no\nno\n"},
		"writable":             {"touch /x /tmp/x /run/x /var/x /var/lib/nginx/x /root/x && echo yes", "yes\n"},
		"fresh":                {"ls /tmp /run /var/tmp | grep -v : | tr -d '\\n'; echo", "\n"},
		"no home of the host":  {"ls -A /root /home /work 2>/dev/null | grep -v : || true", ""},
		"no host's mounts":     {"grep -c /cgroup /proc/self/mounts || true", "0\n"},
		"devices":              {"echo x > /dev/null && head -c 2 /dev/zero | wc -c && test -c /dev/urandom", "2\n"},
		"sysctls of its net":   {"cat /proc/sys/net/ipv4/ip_forward >/dev/null && test -d /sys/class/net/lo && echo yes", "yes\n"},
		"no descriptor leaks":  {"exec ls /proc/self/fd", "0\n1\n2\n3\n"}, // 3 is ls reading the folder
		"working directory /":  {"pwd", "/\n"},
		"environment is whole": {"env | grep -v '^_=\\|^PWD=\\|^SHLVL=\\|^OLDPWD='", "PATH=" + Path + "\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, shell(tt.script))
			if name == "own process ids" {
				tt.want = strings.TrimSpace(tt.want)
				out = strings.SplitN(out, "\n", 2)[0]
			}
			if out != tt.want || code != 0 {
				t.Errorf("%q, exit %d, want %q", out, code, tt.want)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := shell(`cat /etc/deep/er/f /etc/one.conf
		test -r /etc/passwd; test -d /etc/ssl
		echo new > /data/g
		echo x 2>/dev/null > /etc/deep/er/h || echo refused
		touch /etc/new && echo open
		cat /usr/share/klb/f; test -d /usr/share/doc`)
	spec.Mounts = []Mount{
		{Source: dir, Target: "/etc/deep/er", ReadOnly: true},
		{Source: filepath.Join(dir, "f"), Target: "/etc/one.conf", ReadOnly: true},
		{Source: dir, Target: "/data"},
		{Source: dir, Target: "/usr/share/klb", ReadOnly: true},
	}
	out, code := run(t, spec)
	if want := "content\ncontent\nrefused\nopen\ncontent\n"; out != want || code != 0 {
		t.Errorf("%q, exit %d, want %q", out, code, want)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "g")); err != nil || string(data) != "new\n" {
		t.Errorf("what the container wrote: %q, %v", data, err)
	}
	if _, err := os.Stat("/etc/deep"); err == nil {
		t.Error("the mount point came to be on the host")
	}
}

func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "greeter")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"I am $0 $*\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, argv0 := range []string{"/greeter", "greeter", "/usr/local/bin/greeter"} {
		out, code := run(t, Spec{Program: program, Argv: []string{argv0, "a"}, Hostname: "box"})
		if out != "I am /greeter a\n" || code != 0 {
			t.Errorf("%s: %q, exit %d", argv0, out, code)
		}
	}
	if out, code := run(t, Spec{Argv: []string{"no-such-thing"}, Hostname: "box"}); code != 126 ||
		!strings.Contains(out, "not found") {
		t.Errorf("no such command: %q, exit %d", out, code)
	}
}

// TestKillTakesAll kills a container's init from outside; what it had started goes, too.
func TestKillTakesAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no namespaces")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := shell("sleep 1000 & sleep 1000 & echo up; wait")
	spec.Root = root
	cmd, err := Start(spec, Options{Self: self, Network: network, Output: write})
	if err != nil {
		t.Fatal(err)
	}
	write.Close()
	if _, err := read.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// The pipe ends when its last writer, a child in the container, has gone.
	if err := read.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := read.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("read %d, %v: a child outlived its container", n, err)
	}
}
