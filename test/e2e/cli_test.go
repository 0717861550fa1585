package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
)

// TestExposeStatusDelete is a user's day with the plugin, by the real kubectl.
func TestExposeStatusDelete(t *testing.T) {
	t.Cleanup(func() { remove(t, loadBalancer("tea")) })
	out := kubectlLB(t, 0, "", "expose", "svc/tea", "--wait", "--timeout=30s").Stdout
	ip, err := shared.WaitServing(t.Context(), "default", "tea")
	must(t, err)
	if !strings.Contains(out, ip+":80") {
		t.Errorf("expose does not name %s:80: %s", ip, out)
	}
	if page, err := shared.Get(t.Context(), "client", "http://"+ip+"/"); err != nil {
		t.Errorf("%q, %v", page, err)
	}
	if again := kubectlLB(t, 0, "", "expose", "svc/tea").Stdout; !strings.Contains(again, "unchanged") {
		t.Errorf("exposed twice: %q", again)
	}
	active := holder(t, ip)
	table := kubectlLB(t, 0, "", "status").Stdout
	for _, want := range []string{"NAME", "tea", ip, active} {
		if !strings.Contains(table, want) {
			t.Errorf("status lacks %q:\n%s", want, table)
		}
	}
	var list map[string]any
	if err := json.Unmarshal([]byte(kubectlLB(t, 0, "", "status", "-o", "json").Stdout), &list); err != nil {
		t.Error(err)
	}
	if tree := kubectlLB(t, 0, "", "status", "tea").Stdout; !strings.Contains(tree, active) {
		t.Errorf("status tea lacks %s:\n%s", active, tree)
	}
	kubectlLB(t, 0, "", "delete", "tea", "--wait", "--timeout=30s")
	if nodes, err := shared.Holders(ip); err != nil || len(nodes) != 0 {
		t.Errorf("deleted with --wait, but held by %v, %v", nodes, err)
	}
	if res := kubectlLB(t, 1, "", "delete", "tea"); res.Stdout != "" {
		t.Errorf("deleting what is not there prints %q", res.Stdout)
	}
}

// TestExposeWaits: waiting ends where the controller finds out more than the object says: certificates, and pods.
func TestExposeWaits(t *testing.T) {
	apply(t, secretOf("awaited-cert", certtest.New(t, "tea.example.com")))
	for name, flags := range map[string][]string{
		"awaited-tls":  {"--port", "443", "--protocol", "HTTPS", "--tls-secret-name", "awaited-cert"},
		"awaited-pods": {"--upstream", "endpoints"},
	} {
		t.Cleanup(func() { remove(t, loadBalancer(name)) })
		args := append([]string{"expose", "svc/tea", "--name", name, "--wait", "--timeout=30s"}, flags...)
		kubectlLB(t, 0, "", args...)
		if out := kubectlLB(t, 0, "", "status", name, "--exit-code").Stdout; !strings.Contains(out, "Healthy") {
			t.Errorf("%s is not what was waited for:\n%s", name, out)
		}
	}
}

// TestValidate: files, standard input and what is live; findings are exit status 3.
func TestValidate(t *testing.T) {
	kubectlLB(t, 0, "", "validate", "-f", "examples/coffee-configmap.yaml")
	bad := loadBalancer("bad", "target-service-name: nobody", `bind-prot: "80"`)
	res := kubectlLB(t, 3, bad, "validate", "-f", "-")
	for _, want := range []string{"LB0101", "LB0201", "bind-port"} {
		if !strings.Contains(res.Stdout, want) {
			t.Errorf("validate lacks %q:\n%s", want, res.Stdout)
		}
	}
	kubectlLB(t, 0, "", "validate")
	apply(t, bad)
	kubectlLB(t, 3, "", "validate")
	kubectlLB(t, 2, "", "validate", "--no-such-flag")
}

// TestGenerate: the manifest that expose would write, and the files that a node runs, to the byte.
func TestGenerate(t *testing.T) {
	manifest := kubectlLB(t, 0, "", "generate", "svc/tea", "--port=8080").Stdout
	for _, want := range []string{"app: loadbalancer", "target-service-name: tea", `bind-port: "8080"`} {
		if !strings.Contains(manifest, want) {
			t.Errorf("generate lacks %q:\n%s", want, manifest)
		}
	}
	ip := serve(t, "generated", "target-service-name: coffee-svc")
	for program, want := range map[string]string{"nginx": "listen " + ip + ":80", "keepalived": ip + "/32"} {
		out := kubectlLB(t, 0, "", "generate", "--for", program, "--node", "lb1").Stdout
		if !strings.Contains(out, want) {
			t.Errorf("generate --for %s lacks %q:\n%s", program, want, out)
		}
	}
}

// TestVersionAndCompletion: the plugin knows its servers, and completes what is there.
func TestVersionAndCompletion(t *testing.T) {
	out := kubectlLB(t, 0, "", "version").Stdout
	for _, want := range []string{"lb1", "lb2", "lb3", "1.22", "2.2.7"} {
		if !strings.Contains(out, want) {
			t.Errorf("version lacks %q:\n%s", want, out)
		}
	}
	serve(t, "completed", "target-service-name: coffee-svc")
	if out := kubectlLB(t, 0, "", "__complete", "status", "").Stdout; !strings.Contains(out, "completed") {
		t.Errorf("completion does not offer the load balancer:\n%s", out)
	}
	if out := kubectlLB(t, 0, "", "completion", "bash").Stdout; !strings.Contains(out, "bash completion") {
		t.Errorf("no completion script:\n%.200s", out)
	}
}
