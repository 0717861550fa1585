package cli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// overcast are objects of the cloud's, and one that is none.
func overcast(t *testing.T, name string) *world {
	t.Helper()
	w := newWorld(t, name)
	w.object("tea", map[string]string{configmap.KeyService: "tea"})
	cm := cloudy(t, time.Now(), "coffee", "SUCCESS", "ERROR", "ONLINE")
	young := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "young"}, Data: map[string]string{"provider": "octavia"}}
	for _, cm := range []corev1.ConfigMap{cm, young} {
		cm.Namespace, cm.Labels = w.user, map[string]string{configmap.LabelKey: configmap.LabelValue}
		w.put(&cm)
	}
	w.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.user, Name: "other"}})
	return w
}

// A load balancer is failed over by the one command, which asks, waits and tells.
func TestFailoverRun(t *testing.T) {
	w := overcast(t, "failoverrun")
	system, err := w.client.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	w.must(err)
	w.allow("jane", w.user, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}})
	cluster, object, sharer := "kubectl-lb-cluster="+string(system.UID), "kubectl-lb-configmap="+w.user+"/coffee",
		"kubectl-lb-sharer="+w.user+"/coffee"
	const notOwn = "was not made for configmap failoverrun/coffee of this cluster, or has lost its tags; nothing was done"
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		cloud *openStack
		// orders is how many failovers are ordered.
		orders int32
		code   int
		// out and errOut are parts of the streams.
		out, errOut string
	}{
		{name: "done", args: []string{"coffee", "--yes"}, orders: 1, out: "configmap/coffee failed over: load balancer " + cloudID +
			" is ACTIVE/ONLINE after ", errOut: "fail over load balancer its-own-name (" + cloudID + "), which is " +
			"ACTIVE/ONLINE: it replaces what carries it. Its addresses (203.0.113.9) stay"},
		{name: "in error before", args: []string{"cm/coffee", "--yes"}, cloud: &openStack{before: "ERROR"}, orders: 1,
			out: "is ACTIVE/ONLINE after", errOut: "which is ERROR/ONLINE"},
		{name: "asked", args: []string{"coffee"}, stdin: "y\n", orders: 1, out: "failed over", errOut: "Go on? [y/N]"},
		{name: "declined", args: []string{"coffee"}, stdin: "\n", code: ExitError, errOut: "nothing was done"},
		{name: "nobody to ask", args: []string{"coffee"}, code: ExitUsage, errOut: "--yes confirms"},
		{name: "at work", args: []string{"coffee", "--yes"}, cloud: &openStack{before: "PENDING_UPDATE"}, code: ExitError,
			errOut: "is in PENDING_UPDATE: Octavia is at work on it, and takes no other order meanwhile"},
		{name: "ends in error", args: []string{"coffee", "--yes"}, cloud: &openStack{after: "ERROR"}, orders: 1, code: ExitError,
			errOut: "and it is ERROR/ONLINE\nThe log of octavia-worker has the cause"},
		{name: "no role", args: []string{"coffee", "--yes"}, cloud: &openStack{refuse: http.StatusForbidden}, code: ExitError,
			errOut: "Policy does not allow this request to be performed.\nA failover needs the role load-balancer_admin. Who runs the " +
				"cloud can give it to you (openstack role add --user USER --project PROJECT load-balancer_admin), or fail it over " +
				"(openstack loadbalancer failover " + cloudID + ")."},
		{name: "not known to the provider", args: []string{"coffee", "--yes"}, cloud: &openStack{refuse: http.StatusNotImplemented},
			code: ExitError, errOut: "Policy does not"},
		{name: "no password", args: []string{"coffee", "--yes"}, cloud: &openStack{locked: true}, code: ExitError,
			errOut: "The credentials are those that the openstack command would use"},
		{name: "away for a moment", args: []string{"coffee", "--yes"}, cloud: &openStack{away: 2}, orders: 1, out: "is ACTIVE/ONLINE"},
		{name: "too slow", args: []string{"coffee", "--yes", "--timeout", "10ms"}, cloud: &openStack{work: 1 << 30}, orders: 1,
			code: ExitTimeout, errOut: "the failover is not over, and Octavia goes on with it: timed out after 10ms"},
		{name: "not waited for", args: []string{"coffee", "--yes", "--wait=false"}, orders: 1, out: "configmap/coffee failover ordered\n"},
		{name: "software", args: []string{"tea", "--yes"}, code: ExitError, errOut: "tea is on this cluster's load-balancer nodes, not " +
			"in Octavia; there is nothing to replace\n'kubectl lb drain NODE' moves addresses away from a node on purpose; " +
			"'kubectl lb failover test tea' is a drill."},
		{name: "not there yet", args: []string{"young", "--yes"}, code: ExitError, errOut: "young is not in Octavia yet; 'kubectl lb status young'"},
		{name: "not ours", args: []string{"other", "--yes"}, code: ExitError, errOut: "is not a load balancer"},
		{name: "nothing", args: []string{"nothing", "--yes"}, code: ExitError, errOut: "not found"},
		{name: "another's", args: []string{"coffee", "--yes"}, cloud: &openStack{tags: []string{cluster, object + "-shop"}}, code: ExitError,
			errOut: "load balancer its-own-name (" + cloudID + ") " + notOwn},
		{name: "another cluster's", args: []string{"coffee", "--yes"}, cloud: &openStack{tags: []string{cluster + "0", object}},
			code: ExitError, errOut: notOwn},
		{name: "nobody's", args: []string{"coffee", "--yes"}, cloud: &openStack{tags: []string{""}}, code: ExitError, errOut: notOwn},
		{name: "shared", args: []string{"coffee", "--yes"}, orders: 1, out: "failed over",
			cloud: &openStack{tags: []string{cluster, "kubectl-lb-share=" + w.user + "/edge", sharer}}},
		{name: "shared by others", args: []string{"coffee", "--yes"}, code: ExitError, errOut: notOwn,
			cloud: &openStack{tags: []string{cluster, "kubectl-lb-share=" + w.user + "/edge", sharer + "-shop"}}},
		{name: "not to be read", args: []string{"coffee"}, cloud: &openStack{blind: true}, stdin: "n\n", code: ExitError,
			errOut: "Octavia does not let you read load balancer " + cloudID + ", so that nobody can say whether it is that of " +
				"failoverrun/coffee, whose annotation calls it default-coffee-loadbalancer."},
		{name: "cluster unknown", args: []string{"coffee", "--as", "jane"}, cloud: &openStack{tags: []string{"kubectl-lb-cluster=x", object}},
			stdin: "y\n", orders: 1, out: "failed over", errOut: "You may not get the namespace kube-system, so that nobody can say " +
				"whether the load balancer is of this cluster."},
		{name: "cluster unknown, another's", args: []string{"coffee", "--yes", "--as", "jane"},
			cloud: &openStack{tags: []string{cluster, object + "-shop"}}, code: ExitError, errOut: notOwn},
		{name: "nobody", code: ExitUsage, errOut: "the load balancer is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.cloud == nil {
				c.cloud = &openStack{}
			}
			c.cloud.id, c.cloud.name = cloudID, "its-own-name"
			if c.cloud.tags == nil {
				c.cloud.tags = []string{cluster, object}
			}
			c.cloud.start(t)
			r := call{args: append(w.in([]string{"failover", "run"}), append(c.args, "--kubeconfig", w.kubeconfig)...),
				env: c.cloud.env(), stdin: c.stdin, terminal: c.stdin != ""}.run(t.Context())
			if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.errOut, c.errOut) {
				t.Errorf("exit status %d, want %d, %q and %q:\n%s\n%s", r.code, c.code, c.out, c.errOut, r.out, r.errOut)
			}
			if got := c.cloud.orders.Load(); got != c.orders {
				t.Errorf("%d failovers were ordered, want %d", got, c.orders)
			}
		})
	}
}
