package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

func TestVersionGolden(t *testing.T) {
	w := newWorld(t, "version")
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "lb-controller-0", Namespace: w.system, Labels: map[string]string{
			"app.kubernetes.io/name": "kubectl-lb", "app.kubernetes.io/component": "controller",
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "lb-controller", Image: "ghcr.io/kubectl-lb/lb-controller:v0.1.0",
		}}},
	}
	_, err := w.client.CoreV1().Pods(w.system).Create(t.Context(), pod, metav1.CreateOptions{})
	w.must(err)
	for name, args := range map[string][]string{
		"version":           {"version"},
		"version-wide":      {"version", "-o", "wide"},
		"version-json":      {"version", "-o", "json"},
		"version-client":    {"version", "--client"},
		"version-forbidden": {"version", "--as", "jane"},
	} {
		t.Run(name, func(t *testing.T) { w.lb(t, args...).expect(t, name, args) })
	}
}

func TestSkew(t *testing.T) {
	r := &v1alpha1.VersionReport{
		Client:      v1alpha1.ClientVersion{Version: "v0.2.0"},
		Controllers: []v1alpha1.ControllerVersion{{Pod: "a", Version: "v0.2.0"}, {Pod: "b"}},
		Nodes:       []v1alpha1.NodeVersion{{Node: "lb1", Daemon: "v0.1.0"}, {Node: "lb2", Daemon: unknownVersion}},
	}
	want := []string{"lb-daemon on lb1 runs v0.1.0, this program is v0.2.0"}
	if diff := cmp.Diff(want, skew(r)); diff != "" {
		t.Error(diff)
	}
	r.Client.Version = unknownVersion
	if got := skew(r); got != nil {
		t.Errorf("a build without a version differs: %q", got)
	}
}

func TestTagOf(t *testing.T) {
	for image, want := range map[string]string{
		"ghcr.io/kubectl-lb/lb-controller:v0.1.0":              "v0.1.0",
		"registry:5000/lb-controller":                          "",
		"registry:5000/lb-controller:v1@sha256:0123456789abcd": "v1",
		"lb-controller@sha256:0123456789abcd":                  "",
	} {
		if got := tagOf(image); got != want {
			t.Errorf("tagOf(%q) = %q, want %q", image, got, want)
		}
	}
}
