package cli

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestWrongClocks: a node that reports is not silent because its clock is wrong, or that of the machine that looks.
func TestWrongClocks(t *testing.T) {
	w := newWorld(t, "clocks")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	for node, wrong := range map[string]time.Duration{"lb1": -time.Hour, "lb2": 0, "lb3": time.Hour} {
		w.statuses[node].Reported = time.Now().Add(wrong)
		w.daemonReports(t, node)
	}
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} {
		r := w.call(t, call{args: w.in([]string{"nodes", "-o", "json"}), now: time.Now().Add(wrong), listens: true})
		var list v1alpha1.NodeStatusList
		if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list.Items) != 3 {
			t.Fatalf("%v\n%s\n%s", err, r.out, r.errOut)
		}
		for _, n := range list.Items {
			if n.Stale || n.Problem != "" {
				t.Errorf("this clock is %s off: %s is stale: %t, %q", wrong, n.Name, n.Stale, n.Problem)
			}
		}
	}
}

// daemonReports writes a node's status as its daemon does.
func (w *world) daemonReports(t *testing.T, node string) {
	t.Helper()
	text, err := nodeconfig.Encode(*w.statuses[node])
	w.must(err)
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"labels": map[string]string{nodeconfig.LabelApp: nodeconfig.AppNode}},
		"data":     map[string]string{nodeconfig.KeyStatus: text},
	})
	w.must(err)
	_, err = w.client.CoreV1().ConfigMaps(w.system).Patch(t.Context(), nodeconfig.StatusName(node), types.ApplyPatchType,
		body, metav1.PatchOptions{FieldManager: nodeconfig.DaemonManager, Force: new(true)})
	w.must(err)
}
