package controller

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestServiceAccount runs the controller with no more than the rights that deploy/ gives it.
func TestServiceAccount(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.stop()
	r.applyManifest(filepath.Join("..", "..", "deploy", "10-rbac-controller.yaml"))
	admin := apiServer
	t.Cleanup(func() { apiServer = admin })
	apiServer = rest.CopyConfig(admin)
	apiServer.Impersonate.UserName = "system:serviceaccount:" + r.config.SystemNamespace + ":lb-controller"
	r.config.LeaderElection.Enabled = true
	r.stop = r.start()
	cm := r.waitStatus(r.coffee("coffee"), "SUCCESS")
	r.waitEvent(cm, "Normal", "Ready", "10.88.0.1")
	bad := r.waitStatus(r.configMap("default", "bad", nil), "ERROR : LB0102")
	r.waitEvent(bad, "Warning", "Invalid", "LB0102")
	r.must(r.client.Delete(t.Context(), cm))
	r.eventually(func() string {
		if n := len(r.desired(t.Context()).LoadBalancers()); n != 0 {
			return "it is still served"
		}
		return ""
	})
	r.stop()
}

// applyManifest applies the documents of a file.
func (r *rig) applyManifest(path string) {
	r.t.Helper()
	text, err := os.ReadFile(path)
	r.must(err)
	docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var u unstructured.Unstructured
		err := docs.Decode(&u)
		if errors.Is(err, io.EOF) {
			return
		}
		r.must(err)
		if u.Object == nil {
			continue
		}
		if strings.HasPrefix(u.GetKind(), "Role") || strings.HasPrefix(u.GetKind(), "ClusterRole") {
			ac := client.ApplyConfigurationFromUnstructured(&u)
			r.must(r.client.Apply(r.t.Context(), ac, client.FieldOwner("test"), client.ForceOwnership))
		}
	}
}
