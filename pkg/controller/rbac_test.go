package controller

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
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
	r.secret("web", certtest.New(t, "a.b"))
	secure := r.waitStatus(r.configMap("default", "secure", map[string]string{
		"target-service-name": "coffee", "protocol": "HTTPS", "tls-secret-name": "web", "tls-client-ca": "configmap/none",
	}), "ERROR : LB0501 data[tls-client-ca]: ConfigMap default/none does not exist")
	delete(secure.Data, "tls-client-ca")
	r.must(r.client.Update(t.Context(), secure))
	r.waitStatus(secure, "SUCCESS")
	r.must(r.client.Delete(t.Context(), secure))
	bad := r.waitStatus(r.configMap("default", "bad", nil), "ERROR : LB0102")
	r.waitEvent(bad, "Warning", "Invalid", "LB0102")
	r.node(4)
	r.waitPhases("lb1 lb2 lb3 lb4")
	r.rebalance("r1")
	r.frozen.Store(true)
	r.must(r.writeReport(t.Context(), nodeconfig.Status{
		Version: nodeconfig.Version, Node: "lb1", Conflicts: []nodeconfig.Conflict{{Kind: nodeconfig.ConflictSkew}},
	}))
	node := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "lb1", UID: "lb1"}}
	r.waitEvent(node, "Warning", "SkewedConfiguration", "skewed configuration")
	r.frozen.Store(false)
	r.must(r.client.Delete(t.Context(), cm))
	r.eventually(func() string {
		if n := len(r.desired(t.Context()).LoadBalancers()); n != 0 {
			return "it is still served"
		}
		return ""
	})
	r.stop()
}

// TestOperator: whoever has the Role lb-operator may change the orders, and nothing else of ours.
func TestOperator(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	deploy := filepath.Join("..", "..", "deploy")
	r.applyManifest(filepath.Join(deploy, "51-rbac-operator.yaml"))
	r.applyManifest(filepath.Join(deploy, "21-orders.yaml"), "ConfigMap")
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.config.SystemNamespace, Name: "lb-operators"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "lb-operator"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "op"}},
	}
	r.must(client.IgnoreAlreadyExists(r.client.Create(t.Context(), binding)))
	for _, tc := range []struct {
		group, resource, name, namespace string
		may, never                       []string
	}{
		{"", "configmaps", "lb-orders", r.config.SystemNamespace, []string{"get", "watch", "patch", "update"}, []string{"delete"}},
		{"", "configmaps", "", r.config.SystemNamespace, []string{"list", "watch"}, []string{"create", "patch", "update"}},
		{"", "configmaps", "lb-fleet", r.config.SystemNamespace, []string{"get"}, []string{"patch", "update", "delete"}},
		{"", "configmaps", "lb-node-lb1", r.config.SystemNamespace, []string{"get"}, []string{"patch", "update"}},
		{"", "configmaps", "", "default", nil, []string{"list", "patch"}},
		{"", "pods", "", r.config.SystemNamespace, []string{"list"}, []string{"create", "delete"}},
		{"", "secrets", "", r.config.SystemNamespace, nil, []string{"get", "list"}},
		{"events.k8s.io", "events", "", r.config.SystemNamespace, []string{"create"}, []string{"delete"}},
	} {
		for _, verb := range tc.may {
			r.allowed("op", verb, tc.group, tc.resource, tc.namespace, tc.name, true)
		}
		for _, verb := range tc.never {
			r.allowed("op", verb, tc.group, tc.resource, tc.namespace, tc.name, false)
		}
	}
	// A controller finds an order in the manifest's own object.
	r.rebalance("r1")
}

// allowed asks the API server whether a user may do something, until it has heard of the binding.
func (r *rig) allowed(user, verb, group, resource, namespace, name string, want bool) {
	r.t.Helper()
	r.eventually(func() string {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name,
			},
		}}
		r.must(r.client.Create(r.t.Context(), review))
		if review.Status.Allowed != want {
			return fmt.Sprintf("%s may %s %s %s/%s: %v", user, verb, resource, namespace, name, review.Status.Allowed)
		}
		return ""
	})
}

// applyManifest applies the documents of a file that are roles, bindings, or of other kinds asked for.
func (r *rig) applyManifest(path string, kinds ...string) {
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
		if strings.HasPrefix(u.GetKind(), "Role") || strings.HasPrefix(u.GetKind(), "ClusterRole") ||
			slices.Contains(kinds, u.GetKind()) {
			ac := client.ApplyConfigurationFromUnstructured(&u)
			r.must(r.client.Apply(r.t.Context(), ac, client.FieldOwner("test"), client.ForceOwnership))
		}
	}
}
