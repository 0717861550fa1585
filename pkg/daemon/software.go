package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/agent"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// findSoftware finds nginx and keepalived and asks them what they are.
func findSoftware(ctx context.Context, log *slog.Logger) (agent.Software, error) {
	var s agent.Software
	var err error
	if s.Nginx, err = lookPath("nginx"); err != nil {
		return s, err
	}
	if s.Keepalived, err = lookPath("keepalived"); err != nil {
		return s, err
	}
	built, err := ask(ctx, s.Nginx, "-V")
	if err != nil {
		return s, err
	}
	s.NginxVersion = nginxVersion(built)
	s.StubStatus = strings.Contains(built, "--with-http_stub_status_module")
	if s.Modules, err = modules(built); err != nil {
		return s, err
	}
	words, err := ask(ctx, s.Keepalived, "--version")
	if err != nil {
		return s, err
	}
	if s.KeepalivedVersion, err = keepalived.ParseVersion(words); err != nil {
		return s, err
	}
	if s.DumpSignal, err = driver.DumpSignal(ctx, s.Keepalived); err != nil {
		log.Warn("keepalived cannot say what it runs; only the kernel's addresses are looked at", "error", err)
	}
	s.User = workerUser()
	return s, nil
}

// lookPath also looks where Debian keeps daemons, which a bare environment may not name.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/nginx/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed (looked in PATH and in the sbin directories)", name)
}

func ask(ctx context.Context, path, flag string) (string, error) {
	out, err := exec.CommandContext(ctx, path, flag).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", path, flag, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

func nginxVersion(built string) string {
	m := regexp.MustCompile(`nginx version: \S*?/(\S+)`).FindStringSubmatch(built)
	if m == nil {
		return ""
	}
	return m[1]
}

// modules returns the stream module where nginx has it as a file of its own.
func modules(built string) ([]string, error) {
	if !strings.Contains(built, "--with-stream=dynamic") {
		if strings.Contains(built, "--with-stream") {
			return nil, nil
		}
		return nil, errors.New("nginx was built without its stream module, which TCP needs")
	}
	dirs := []string{"/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules"}
	if m := regexp.MustCompile(`--modules-path=(\S+)`).FindStringSubmatch(built); m != nil {
		dirs = append([]string{m[1]}, dirs...)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, "ngx_stream_module.so")
		if _, err := os.Stat(path); err == nil {
			return []string{path}, nil
		}
	}
	return nil, fmt.Errorf("nginx's stream module is not installed (Debian: libnginx-mod-stream; looked in %s)",
		strings.Join(dirs, ", "))
}

// workerUser is whom nginx's package made for its workers.
func workerUser() string {
	for _, name := range []string{"www-data", "nginx"} {
		if _, err := user.Lookup(name); err == nil {
			return name
		}
	}
	return "nobody"
}
