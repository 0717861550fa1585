package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestManifestsAreStrict: the API server accepts every manifest as it stands, unknown fields being errors.
func TestManifestsAreStrict(t *testing.T) {
	for _, pattern := range []string{"deploy/*.yaml", "examples/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(shared.Repo, pattern))
		must(t, err)
		if len(files) == 0 {
			t.Errorf("no files match %s", pattern)
		}
		for _, file := range files {
			if _, err := shared.MustKubectl(t.Context(), "", "apply", "--dry-run=server", "--validate=strict", "-f", file); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestLeastPrivilege: the service accounts can do their work (everything else here shows it) and nothing beyond.
func TestLeastPrivilege(t *testing.T) {
	account := func(name string) string { return "system:serviceaccount:kubectl-lb-system:" + name }
	for _, c := range []struct{ account, verb, resource, namespace, want string }{
		{"lb-controller", "patch", "configmaps", "default", "yes"},
		{"lb-controller", "create", "configmaps", "default", "no"},
		{"lb-controller", "delete", "configmaps", "default", "no"},
		{"lb-controller", "delete", "configmaps", "kubectl-lb-system", "no"},
		// Certificates: it must read those that load balancers name, wherever they are, and writes its copies only.
		{"lb-controller", "get", "secrets", "default", "yes"},
		{"lb-controller", "patch", "secrets", "default", "no"},
		{"lb-controller", "create", "secrets", "default", "no"},
		{"lb-controller", "create", "secrets", "kubectl-lb-system", "no"},
		{"lb-controller", "patch", "secrets", "kubectl-lb-system", "no"},
		{"lb-controller", "delete", "secrets", "kubectl-lb-system", "no"},
		{"lb-controller", "create", "secrets", "kubectl-lb-tls", "yes"},
		{"lb-controller", "patch", "secrets", "kubectl-lb-tls", "yes"},
		{"lb-controller", "delete", "secrets", "kubectl-lb-tls", "yes"},
		{"lb-controller", "patch", "configmaps", "kubectl-lb-tls", "yes"}, // as everywhere
		{"lb-controller", "create", "configmaps", "kubectl-lb-tls", "no"},
		{"lb-controller", "patch", "nodes", "", "no"},
		{"lb-daemon", "list", "configmaps", "kubectl-lb-system", "yes"},
		{"lb-daemon", "list", "configmaps", "default", "no"},
		{"lb-daemon", "delete", "configmaps", "kubectl-lb-system", "no"},
		{"lb-daemon", "list", "services", "default", "no"},
		{"lb-daemon", "list", "secrets", "default", "no"},
		// The system's namespace has Secrets that are none of the daemon's business, such as a backend's password.
		{"lb-daemon", "get", "secrets", "kubectl-lb-system", "no"},
		{"lb-daemon", "list", "secrets", "kubectl-lb-system", "no"},
		{"lb-daemon", "watch", "secrets", "kubectl-lb-system", "no"},
		{"lb-daemon", "create", "secrets", "kubectl-lb-system", "no"},
		{"lb-daemon", "list", "secrets", "kubectl-lb-tls", "yes"},
		{"lb-daemon", "watch", "secrets", "kubectl-lb-tls", "yes"},
		{"lb-daemon", "create", "secrets", "kubectl-lb-tls", "no"},
		{"lb-daemon", "patch", "secrets", "kubectl-lb-tls", "no"},
		{"lb-daemon", "list", "configmaps", "kubectl-lb-tls", "no"},
		{"lb-daemon", "list", "nodes", "", "no"},
	} {
		args := []string{"auth", "can-i", c.verb, c.resource, "--as", account(c.account)}
		if c.namespace != "" {
			args = append(args, "-n", c.namespace)
		}
		res, err := shared.Kubectl(t.Context(), "", args...)
		must(t, err)
		if got := strings.TrimSpace(res.Stdout); got != c.want {
			t.Errorf("%s may %s %s in %q: %s, want %s", c.account, c.verb, c.resource, c.namespace, got, c.want)
		}
	}
}
