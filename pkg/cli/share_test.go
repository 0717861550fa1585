package cli

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// sharer is the manifest of a load balancer of a namespace that shares.
func sharer(namespace, name, key, with string) string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + namespace +
		", labels: {app: loadbalancer}}\ndata:\n  target-service-name: tea\n  target-port: \"80\"\n  bind-port: \"" +
		map[string]string{"host": "80"}[name] + "\"\n  share-key: " + key + "\n"
	if with != "" {
		text += "  share-with-namespaces: \"" + with + "\"\n"
	}
	return strings.Replace(text, "  bind-port: \"\"\n", "  bind-port: \"81\"\n", 1) + "---\n"
}

// inOctavia gives manifests the provider octavia, and the Services that it asks for their node ports.
func inOctavia(manifests string) string {
	for _, namespace := range []string{"shop", "far"} {
		manifests += "apiVersion: v1\nkind: Service\nmetadata: {name: tea, namespace: " + namespace +
			"}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}\n---\n"
	}
	return strings.ReplaceAll(manifests, "data:\n", "data:\n  provider: octavia\n")
}

// A share-key of another namespace is refused where it is known that nobody there allows it, and else it is said that
// nobody knows.
func TestForeignShareLocally(t *testing.T) {
	const unknown = `note: not checked: whether namespace "far" lets "shop" have its share-key "edge"`
	for name, c := range map[string]struct {
		args   []string
		stdin  string
		code   int
		errOut string
	}{
		"generate": {args: []string{"generate", "svc/tea", "-n", "shop", "--port", "80", "--target-port", "80", "--share-key",
			"far/edge"}, errOut: unknown},
		"validate": {stdin: sharer("shop", "guest", "far/edge", ""), errOut: unknown},
		"validate, a pair": {stdin: sharer("shop", "guest", "far/edge", "") +
			sharer("shop", "host", "far/edge", ""),
			errOut: unknown},
		"validate, and invited": {stdin: sharer("shop", "guest", "far/edge", "") +
			sharer("far", "host", "edge", "a, shop")},
		"validate, all invited": {stdin: sharer("shop", "guest", "far/edge", "") + sharer("far", "host", "edge", "*")},
		"validate, invited to a cloud's": {stdin: inOctavia(sharer("shop", "guest", "far/edge", "") +
			sharer("far", "host", "edge", "a, shop"))},
		"validate, not invited to a cloud's": {stdin: inOctavia(sharer("shop", "guest", "far/edge", "") +
			sharer("far", "host", "edge", "b")), code: ExitFindings},
		"validate, a cloud's far away": {stdin: inOctavia(sharer("shop", "guest", "far/edge", "")), errOut: unknown},
		"validate, not invited": {stdin: sharer("shop", "guest", "far/edge", "") +
			sharer("far", "host", "edge", "b"),
			code: ExitFindings},
		"validate, another key": {stdin: sharer("shop", "guest", "far/edge", "") +
			sharer("far", "host", "core", "*"),
			errOut: unknown},
		"validate, its own": {stdin: sharer("shop", "guest", "edge", "") + sharer("shop", "host", "shop/edge", "")},
		"validate, same request": {stdin: sharer("shop", "guest", "far/edge", "") +
			sharer("shop", "other", "far/edge", ""),
			code: ExitFindings, errOut: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if args == nil {
				args = []string{"validate", "--local", "-f", "-"}
			}
			r := call{args: append(args, "--kubeconfig", os.DevNull), stdin: c.stdin}.run(t.Context())
			if r.code != c.code || !strings.Contains(r.errOut, c.errOut) ||
				c.errOut == "" && strings.Contains(r.errOut, "not checked: whether") {
				t.Errorf("exit status %d, want %d and %q\n%s%s", r.code, c.code, c.errOut, r.out, r.errOut)
			}
			if strings.Contains(name, "not invited") != strings.Contains(r.out, "LB0307") {
				t.Errorf("findings:\n%s", r.out)
			}
		})
	}
}

// In a cluster, the objects of the other namespace tell, those that are not served yet, too.
func TestForeignShareLive(t *testing.T) {
	w := newWorld(t, "sharing")
	w.service("tea", port(80, ""))
	far := w.user + "-far"
	_, err := w.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: far}}, metav1.CreateOptions{})
	w.must(err)
	host := func(with string) {
		data := map[string]string{"target-service-name": "milk", "bind-port": "8080", "share-key": "edge"}
		if with != "" {
			data["share-with-namespaces"] = with
		}
		w.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Name: "host", Namespace: far, Labels: map[string]string{configmap.LabelKey: configmap.LabelValue},
		}, Data: data})
	}
	allow := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps", "services"},
		Verbs: []string{"get", "list", "create", "patch"}}
	w.allow("jane", w.user, allow)
	args := []string{"expose", "svc/tea", "--share-key", far + "/edge", "--dry-run=client"}
	expect := func(code int, want string, more ...string) {
		t.Helper()
		r := w.lb(t, append(args, more...)...)
		if r.code != code || !strings.Contains(r.errOut, want) || want == "" && r.errOut != "" {
			t.Errorf("exit status %d, want %d and %q\n%s%s", r.code, code, want, r.out, r.errOut)
		}
	}
	const refused = "error: LB0307 --share-key: "
	expect(ExitFindings, refused)
	host("")
	expect(ExitFindings, refused)
	host("other, " + w.user)
	expect(ExitOK, "")
	host("other")
	// Served, it is no more inviting than before.
	w.entry("host", "10.88.102.1", "lb1", 8080)
	w.shard.LoadBalancers[0].Origin.Namespace, w.shard.LoadBalancers[0].Share = far, far+"/edge"
	w.publish()
	expect(ExitFindings, refused)
	expect(ExitOK, `note: not checked: whether namespace "sharing-far" lets "sharing" have its share-key "edge"`, "--as", "jane")
	host("*")
	expect(ExitOK, "")
	// What the share has already is seen beside it.
	expect(ExitFindings, "error: LB0303 --port: port 8080", "--port", "8080")
	expect(ExitFindings, "error: LB0303 --port: port 8080", "--port", "8080", "--name", "second")
}
