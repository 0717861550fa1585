package cli

import (
	"os"
	"path/filepath"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// files are manifests that validate is given.
func files() map[string]string {
	return map[string]string{
		"good.yaml": `apiVersion: v1
kind: Service
metadata: {name: coffee-svc}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: coffee, labels: {app: loadbalancer}}
data: {namespace: default, target-service-name: coffee-svc, bind-port: "80", target-port: "80"}
`,
		"bad.yaml": `# a comment alone is no document
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unrelated}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {app: loadbalancer}}
data: {target-service-name: coffee-svc, bind-port: "99999", target-prot: "80"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, namespace: shop, labels: {app: loadbalancer}}
data: {target-service-name: "\e[31mevil", path: "no/slash"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: three, labels: {app: loadbalancer}}
data: {target-service-name: coffee-svc, bind-port: 80}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: forgotten}
data: {target-service-name: coffee-svc}
`,
		"same.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: first, labels: {app: loadbalancer}}
data: {target-service-name: a, target-port: "80", requested-ip: 10.88.100.9}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, labels: {app: loadbalancer}}
data: {target-service-name: b, target-port: "80", requested-ip: 10.88.100.9}
`,
		"broken.yaml":        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x\n",
		"sub/nested.yaml":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nested, labels: {app: loadbalancer}}\ndata: {}\n",
		"kustomization.yaml": "resources: [good.yaml]\nnamePrefix: prod-\n",
	}
}

// writeFiles writes the manifests into a directory of their own, goes there, and returns where the golden files are.
func writeFiles(t *testing.T) string {
	t.Helper()
	goldens, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files() {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return goldens
}

func TestValidateLocalGolden(t *testing.T) {
	goldens := writeFiles(t)
	for _, c := range []struct {
		name, stdin string
		args        []string
	}{
		{name: "validate-good", args: []string{"-f", "good.yaml"}},
		{name: "validate-bad", args: []string{"-f", "good.yaml", "-f", "bad.yaml"}},
		{name: "validate-bad-json", args: []string{"-f", "bad.yaml", "-o", "json"}},
		{name: "validate-same", args: []string{"-f", "same.yaml"}},
		{name: "validate-broken", args: []string{"-f", "broken.yaml"}},
		{name: "validate-absent", args: []string{"-f", "absent.yaml"}},
		{name: "validate-stdin", args: []string{"-f", "-"}, stdin: files()["same.yaml"]},
		{name: "validate-directory", args: []string{"-f", "sub"}},
		{name: "validate-recursive", args: []string{"-R", "-f", "sub"}},
		{name: "validate-kustomize", args: []string{"-k", "."}},
		{name: "validate-none", args: []string{"-f", "kustomization.yaml"}},
		{name: "validate-no-files"},
		{name: "validate-argument", args: []string{"good.yaml"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"validate", "--local"}, c.args...)
			r := call{args: append(args, "--kubeconfig", os.DevNull), stdin: c.stdin}.run(t.Context())
			r.expectIn(t, goldens, c.name, args)
		})
	}
}

func TestValidateLiveGolden(t *testing.T) {
	w := newWorld(t, "validate")
	w.service("tea", port(80, ""))
	w.serve("tea", "10.88.100.9", "lb1", 80)
	w.object("wrong", map[string]string{"target-service-name": "ghost", "bind-prot": "8080"})
	w.publish()
	w.allow("jane", w.user, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"},
	})
	goldens := writeFiles(t)
	for name, args := range map[string][]string{
		"validate-live":         {"validate"},
		"validate-live-json":    {"validate", "-o", "json"},
		"validate-live-warning": {"validate", "--fail-on", "warning", "-l", "app=loadbalancer"},
		// The files are judged beside what is served: the address is taken.
		"validate-merged": {"validate", "-f", "same.yaml"},
		"validate-tenant": {"validate", "--as", "jane"},
	} {
		t.Run(name, func(t *testing.T) { w.lb(t, args...).expectIn(t, goldens, name, args) })
	}
}
