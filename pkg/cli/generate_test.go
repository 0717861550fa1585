package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
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

// What is printed is what the daemon's renderers make of the same documents, byte for byte, from the cluster and from a
// dump of its documents.
func TestGenerateForNode(t *testing.T) {
	w := newWorld(t, "render")
	w.serve("milk", "10.88.100.2", "lb2", 8080)
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	dump := w.dump(t)
	docs, err := w.client.CoreV1().ConfigMaps(w.system).List(t.Context(), v1.ListOptions{})
	w.must(err)
	config := view.DecodeDocuments(docs.Items).Config
	for _, c := range []struct {
		args  []string
		files func(nodeconfig.View) render.Files
	}{
		{[]string{"generate", "--for", "nginx", "--node", "lb1"}, func(v nodeconfig.View) render.Files {
			result, err := nginx.Render(nginx.Input{
				LoadBalancers: v.LoadBalancers, RunDir: "/run/kubectl-lb",
				Modules: []string{"/usr/lib/nginx/modules/ngx_stream_module.so"},
			})
			w.must(err)
			return result.Files
		}},
		{[]string{"generate", "--for", "keepalived", "--node", "lb1", "--interface", "ens3"},
			func(v nodeconfig.View) render.Files {
				in := keepalived.Input{
					Version: keepalived.Oldest(), Interface: "ens3", Gate: "/run/kubectl-lb/gate",
					WeightDir: "/run/kubectl-lb/weight", AdvertInterval: time.Duration(v.Timing.AdvertInterval),
				}
				for _, i := range v.Instances {
					in.Instances = append(in.Instances, keepalived.Instance(i))
				}
				result, err := keepalived.Render(in)
				w.must(err)
				return result.Files
			}},
	} {
		live := w.lb(t, c.args...)
		offline := call{args: append(slices.Clone(c.args), "-f", dump, "--kubeconfig", os.DevNull)}.run(t.Context())
		if live != offline {
			t.Errorf("live: %+v\noffline: %+v", live, offline)
		}
		v, err := config.For("lb1")
		w.must(err)
		files := c.files(v)
		if len(files) == 0 || live.code != ExitOK {
			t.Fatalf("%d files, %+v", len(files), live)
		}
		for _, f := range files {
			text := string(f.Data)
			if len(files) > 1 {
				text = headline(f.Path) + "\n" + text
			}
			if !strings.Contains(live.out, text) {
				t.Errorf("%s is not printed as it is:\n%s", f.Path, live.out)
			}
		}
	}
	args := []string{"generate", "--for", "nginx", "--node", "lb9"}
	w.lb(t, args...).expect(t, "generate-unknown-node", args)
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
