package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

func TestGenerateGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"generate": {"generate", "svc/tea"},
		"generate-all": {"generate", "svc/tea", "--name", "tea-lb", "--port", "8080", "--target-port", "http",
			"--host", "tea.example.com", "--path", "/cup", "--requested-ip", "192.0.2.1", "--address-pool", "vip",
			"--ip-families", "IPv4", "--protocol", "HTTP", "--target-namespace", "kitchen", "-n", "shop"},
		"generate-json":     {"generate", "svc/tea", "-o", "json"},
		"generate-name":     {"generate", "svc/tea", "-o", "name"},
		"generate-bad":      {"generate", "svc/tea", "--path", "cup", "--port", "http"},
		"generate-usage":    {"generate", "svc/tea", "--node", "lb1"},
		"generate-for":      {"generate", "--for", "haproxy", "--node", "lb1"},
		"generate-no-node":  {"generate", "--for", "nginx"},
		"generate-for-arg":  {"generate", "svc/tea", "--for", "nginx", "--node", "lb1"},
		"generate-for-o":    {"generate", "--for", "nginx", "--node", "lb1", "-o", "json"},
		"generate-no-fleet": {"generate", "--for", "nginx", "--node", "lb1", "-f", "testdata/documents/none.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			call{args: append(append([]string(nil), args...), "--kubeconfig", os.DevNull)}.run(t.Context()).
				expect(t, name, args)
		})
	}
}

// What is printed for a node is the same from the cluster and from a dump of its documents.
func TestGenerateForNode(t *testing.T) {
	w := newWorld(t, "render")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.serve("milk", "10.88.100.2", "lb2", 8080)
	w.publish()
	for name, args := range map[string][]string{
		"generate-nginx":        {"generate", "--for", "nginx", "--node", "lb1"},
		"generate-keepalived":   {"generate", "--for", "keepalived", "--node", "lb2", "--interface", "ens3"},
		"generate-unknown-node": {"generate", "--for", "nginx", "--node", "lb9"},
	} {
		t.Run(name, func(t *testing.T) {
			live := w.lb(t, args...)
			live.expect(t, name, args)
			dump := w.dump(t)
			offline := call{args: append(append([]string(nil), args...), "-f", dump, "--kubeconfig", os.DevNull)}.
				run(t.Context())
			if live != offline {
				t.Errorf("live: %+v\noffline: %+v", live, offline)
			}
		})
	}
}

// dump writes the documents to a file, as kubectl get -o yaml does.
func (w *world) dump(t *testing.T) string {
	t.Helper()
	list, err := w.client.CoreV1().ConfigMaps(w.system).List(t.Context(),
		v1.ListOptions{LabelSelector: nodeconfig.LabelApp})
	w.must(err)
	list.APIVersion, list.Kind = "v1", "ConfigMapList"
	for i := range list.Items {
		list.Items[i].APIVersion, list.Items[i].Kind = "v1", "ConfigMap"
	}
	text, err := yaml.Marshal(list)
	w.must(err)
	path := filepath.Join(t.TempDir(), "documents.yaml")
	w.must(os.WriteFile(path, []byte(strings.Replace(string(text), "kind: ConfigMapList", "kind: List", 1)), 0o600))
	return path
}
