package cli

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

func TestExposeGolden(t *testing.T) {
	w := newWorld(t, "expose")
	w.service("tea", port(80, ""))
	w.service("multi", port(80, "http"), port(443, "https"))
	w.serve("taken", "10.88.100.7", "lb1", 80)
	w.publish()
	w.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: "expose"}})
	// The order matters: each case stands on what the ones before have written.
	for _, c := range []struct {
		name string
		args []string
	}{
		{"expose-client", []string{"expose", "svc/tea", "--dry-run=client"}},
		{"expose-client-yaml", []string{"expose", "svc", "tea", "--port", "8080", "--dry-run", "-o", "yaml"}},
		{"expose-server", []string{"expose", "service/tea", "--dry-run=server"}},
		{"expose-server-kept-nothing", []string{"status", "tea"}},
		{"expose-new", []string{"expose", "svc/tea"}},
		{"expose-again", []string{"expose", "svc/tea"}},
		{"expose-again-json", []string{"expose", "svc/tea", "-o", "jsonpath={.data}"}},
		{"expose-again-name", []string{"expose", "svc/tea", "-o", "name"}},
		{"expose-change", []string{"expose", "svc/tea", "--host", "Tea.Example.com", "--path", "/cup"}},
		{"expose-ambiguous", []string{"expose", "svc/multi", "--port", "80"}},
		{"expose-every-port", []string{"expose", "svc/multi", "--name", "multi-all", "--dry-run=client", "-o", "yaml"}},
		{"expose-ports", []string{"expose", "svc/multi", "--ports", "8080:http/HTTP,8443:https", "--dry-run=client",
			"--idle-timeout", "5m", "-o", "jsonpath={.data}"}},
		{"expose-bad-option", []string{"expose", "svc/multi", "--ports", "8080:http", "--udp-responses", "1"}},
		{"expose-multi", []string{"expose", "svc/multi", "--target-port", "http", "--name", "multi-http"}},
		{"expose-no-service", []string{"expose", "svc/ghost"}},
		{"expose-bad-port", []string{"expose", "svc/tea", "--port", "99999", "--protocol", "carrier-pigeon"}},
		{"expose-taken", []string{"expose", "svc/tea", "--name", "tea2", "--requested-ip", "10.88.100.7"}},
		{"expose-not-ours", []string{"expose", "svc/tea", "--name", "settings"}},
		{"expose-usage", []string{"expose", "tea"}},
		{"expose-kind", []string{"expose", "deploy/tea"}},
		{"expose-flag", []string{"expose", "svc/tea", "--dry-run=maybe"}},
	} {
		t.Run(c.name, func(t *testing.T) { w.lb(t, c.args...).expect(t, c.name, c.args) })
	}
	list, err := w.client.CoreV1().ConfigMaps("expose").List(t.Context(),
		metav1.ListOptions{LabelSelector: configmap.LabelKey + "=" + configmap.LabelValue})
	w.must(err)
	var names []string
	for _, cm := range list.Items {
		names = append(names, cm.Name)
	}
	if got := strings.Join(names, " "); got != "multi-http taken tea" {
		t.Errorf("load balancers after all: %s", got)
	}
}

func TestExposeInPools(t *testing.T) {
	w := newWorld(t, "pools")
	w.service("tea", port(80, ""))
	w.put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: controllerConfigName, Namespace: w.system},
		Data: map[string]string{controllerConfigKey: "backend: software\naddressPools:\n" +
			"- {name: default, addresses: [10.88.100.0/30]}\n- {name: vip, addresses: [10.88.200.1], autoAssign: false}\n"},
	})
	for name, args := range map[string][]string{
		"expose-outside":   {"expose", "svc/tea", "--requested-ip", "10.99.0.1", "--dry-run=client"},
		"expose-no-pool":   {"expose", "svc/tea", "--address-pool", "vips", "--dry-run=client"},
		"expose-from-pool": {"expose", "svc/tea", "--address-pool", "vip", "--dry-run=client"},
	} {
		t.Run(name, func(t *testing.T) { w.lb(t, args...).expect(t, name, args) })
	}
}

// Whoever owns a field keeps it unless --force-conflicts is given.
func TestExposeConflict(t *testing.T) {
	w := newWorld(t, "conflict")
	w.service("tea", port(80, ""))
	w.object("tea", map[string]string{"target-service-name": "tea", "bind-port": "8080"})
	args := []string{"expose", "svc/tea", "--port", "9090"}
	w.lb(t, args...).expect(t, "expose-conflict", args)
	args = append(args, "--force-conflicts")
	w.lb(t, args...).expect(t, "expose-force", args)
	cm, err := w.client.CoreV1().ConfigMaps(w.user).Get(t.Context(), "tea", metav1.GetOptions{})
	w.must(err)
	if got := cm.Data["bind-port"]; got != "9090" {
		t.Errorf("bind-port is %q after --force-conflicts", got)
	}
}

// The user may be one who can write ConfigMaps and read Services, and nothing in the system namespace.
func TestExposeAsTenant(t *testing.T) {
	w := newWorld(t, "tenant")
	w.service("tea", port(80, ""))
	w.allow("jane", w.user,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
			Verbs: []string{"get", "list", "create", "patch"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}})
	args := []string{"expose", "svc/tea", "--as", "jane"}
	w.lb(t, args...).expect(t, "expose-tenant", args)
}

func TestExposeWait(t *testing.T) {
	w := newWorld(t, "waiting")
	w.now = time.Now()
	for _, s := range w.statuses {
		s.Reported = w.now.Add(time.Minute)
	}
	w.service("tea", port(80, ""))
	svc, err := w.client.CoreV1().Services(w.user).Get(t.Context(), "tea", metav1.GetOptions{})
	w.must(err)

	t.Run("timeout", func(t *testing.T) {
		args := []string{"expose", "svc/tea", "--wait", "--timeout", "300ms"}
		w.lb(t, args...).expect(t, "expose-timeout", args)
	})
	t.Run("interrupt", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		c := call{args: append(w.in([]string{"expose", "svc/tea", "--wait"}), "--kubeconfig", w.kubeconfig)}
		if r := c.run(ctx); r.code != ExitInterrupted || r.out != "" {
			t.Errorf("exit status %d, stdout %q", r.code, r.out)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w.object("tea", map[string]string{"target-service-name": "tea", "status": "ERROR : LB0304 the pool is exhausted"})
		args := []string{"expose", "svc/tea", "--wait"}
		w.lb(t, args...).expect(t, "expose-refused", args)
	})
	t.Run("served", func(t *testing.T) {
		done := make(chan result, 1)
		args := []string{"expose", "svc/tea", "--wait", "--timeout", "30s"}
		c := call{args: append(w.in(args), "--kubeconfig", w.kubeconfig)}
		w.object("tea", map[string]string{"target-service-name": "tea"})
		go func() { done <- c.run(t.Context()) }()
		w.entry("tea", "10.88.100.2", "lb2", 80)
		w.shard.LoadBalancers[0].Listeners[0].Routes[0].Target = lb.Target{
			Service:   lb.Service{Key: lb.Key{Namespace: w.user, Name: "tea"}, Port: 80},
			Endpoints: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(svc.Spec.ClusterIP), 80)},
		}
		w.publish()
		w.object("tea", map[string]string{
			"target-service-name": "tea", "bind-ip": "10.88.100.2", "status": "SUCCESS",
		})
		r := <-done
		if want := "service/tea exposed at 10.88.100.2:80 (active lb2)\n"; !strings.HasSuffix(r.out, "(active lb2)\n") {
			t.Errorf("got %+v, want %q", r, want)
		}
	})
	t.Run("stale success", func(t *testing.T) {
		// The object says SUCCESS, but of what was before: the port is another one now.
		args := []string{"expose", "svc/tea", "--port", "81", "--wait", "--timeout", "300ms"}
		w.lb(t, args...).expect(t, "expose-stale", args)
	})
	t.Run("stale share", func(t *testing.T) {
		args := []string{"expose", "svc/tea", "--port", "80", "--share-key", "edge", "--wait", "--timeout", "300ms"}
		if r := w.lb(t, args...); r.code != ExitTimeout || !strings.Contains(r.errOut, "not taken it up yet") {
			t.Errorf("it has an address of its own, and shall share one: %+v", r)
		}
		w.shard.LoadBalancers[0].Share = w.user + "/edge"
		w.publish()
		if r := w.lb(t, args...); r.code != ExitOK {
			t.Errorf("it shares: %+v", r)
		}
		w.annotate("tea", configmap.AnnotationWarnings, `[{"code":"LB0206","message":"no pod is ready"}]`)
		if r := w.lb(t, args...); r.code != ExitTimeout || !strings.Contains(r.errOut, "LB0206 no pod is ready") {
			t.Errorf("nobody is behind the address: %+v", r)
		}
	})
}

func TestDeleteGolden(t *testing.T) {
	w := newWorld(t, "delete")
	w.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: "delete"}})
	for _, name := range []string{"a", "b", "c", "d"} {
		w.object(name, map[string]string{"target-service-name": name})
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"delete-none", []string{"delete"}},
		{"delete-both", []string{"delete", "a", "--all"}},
		{"delete-client", []string{"delete", "a", "--dry-run=client"}},
		{"delete-server", []string{"delete", "a", "--dry-run=server"}},
		{"delete-one", []string{"delete", "configmap/a"}},
		{"delete-gone", []string{"delete", "a"}},
		{"delete-ignore", []string{"delete", "a", "--ignore-not-found"}},
		{"delete-not-ours", []string{"delete", "b", "settings"}},
		{"delete-name", []string{"delete", "b", "-o", "name"}},
		{"delete-all", []string{"delete", "--all"}},
		{"delete-nothing", []string{"delete", "--all"}},
	} {
		t.Run(c.name, func(t *testing.T) { w.lb(t, c.args...).expect(t, c.name, c.args) })
	}
	if _, err := w.client.CoreV1().ConfigMaps("delete").Get(t.Context(), "settings", metav1.GetOptions{}); err != nil {
		t.Errorf("what is not ours was touched: %v", err)
	}
}

func TestDeleteWait(t *testing.T) {
	w := newWorld(t, "deletewait")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	args := []string{"delete", "tea", "--wait", "--timeout", "200ms"}
	w.lb(t, args...).expect(t, "delete-wait-shard", args)

	w.object("tea", map[string]string{"target-service-name": "tea", "bind-ip": "10.88.100.1"})
	w.shard.LoadBalancers = nil
	w.publish()
	w.lb(t, args...).expect(t, "delete-wait-held", args)

	w.object("tea", map[string]string{"target-service-name": "tea", "bind-ip": "10.88.100.1"})
	w.statuses["lb2"].Holding = nil
	w.shard.Withdrawn = []nodeconfig.Withdrawal{{Key: lb.Key{Namespace: w.user, Name: "tea"}, Revision: 7}}
	w.publish()
	w.lb(t, args...).expect(t, "delete-wait", args)

	// Where there is no fleet, there is nothing to wait for.
	w.object("tea", map[string]string{"target-service-name": "tea", "bind-ip": "10.88.100.1"})
	c := call{args: []string{"delete", "tea", "--wait", "-n", w.user, "--system-namespace", "default", "--kubeconfig", w.kubeconfig}}
	c.run(t.Context()).expect(t, "delete-wait-astray", c.args[:3])

	// Octavia's is there until OpenStack has deleted what it made.
	w.put(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: "cloudy", Namespace: w.user, Labels: map[string]string{configmap.LabelKey: configmap.LabelValue},
			Finalizers: []string{configmap.Finalizer},
		},
		Data: map[string]string{"status": "PENDING : it is being deleted in OpenStack"},
	})
	args[1] = "cloudy"
	w.lb(t, args...).expect(t, "delete-wait-cloud", args)
	_, err := w.client.CoreV1().ConfigMaps(w.user).Patch(t.Context(), "cloudy", types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	w.must(err)

	// Who may not read what the nodes say waits for the object alone.
	w.object("tea", map[string]string{"target-service-name": "tea", "bind-ip": "10.88.100.1"})
	w.allow("jane", w.user, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "delete"}})
	args = []string{"delete", "tea", "--wait", "--as", "jane"}
	w.lb(t, args...).expect(t, "delete-wait-tenant", args)
}

// TestAsWritten: what the controller finds out is no difference from what was asked for, what was asked for is one.
func TestAsWritten(t *testing.T) {
	const text = "10.244.0.1:80"
	wish := func(change func(*lb.Listener)) lb.LoadBalancer {
		s := lb.Listener{Port: 443, Protocol: lb.HTTP, Routes: []lb.Route{{Target: lb.Target{
			Service: lb.Service{Key: lb.Key{Namespace: "a", Name: "tea"}, Port: 80},
		}}}, TLS: &lb.TLS{Certificates: []lb.Certificate{{Secret: "one"}}, Clients: &lb.ClientAuth{CA: lb.CABundle{Name: "ca"}}}}
		s.Options.Upstream.Endpoints = true
		s.Options.BackendTLS = &lb.BackendTLS{CA: lb.CABundle{Name: "theirs"}}
		change(&s)
		return lb.LoadBalancer{Listeners: []lb.Listener{s}}
	}
	asked := asWritten(wish(func(*lb.Listener) {}))
	for name, c := range map[string]struct {
		same   bool
		change func(*lb.Listener)
	}{
		"nothing": {true, func(*lb.Listener) {}},
		"found out": {true, func(s *lb.Listener) {
			s.TLS.Certificates[0].Material, s.TLS.Certificates[0].Names = lb.Material{Name: "m", Digest: "d"}, []string{"a.b"}
			s.TLS.Certificates[0].Expires = time.Unix(1, 0)
			s.TLS.Clients.CA.Material.Name, s.Options.BackendTLS.CA.Material.Name = "m", "m"
			s.Routes[0].Target.Endpoints = []netip.AddrPort{netip.MustParseAddrPort(text)}
		}},
		"another certificate": {false, func(s *lb.Listener) { s.TLS.Certificates[0].Secret = "two" }},
		"another authority":   {false, func(s *lb.Listener) { s.TLS.Clients.CA.Name = "two" }},
		"another way": {false, func(s *lb.Listener) {
			s.Options.Upstream.Endpoints = false
			s.Routes[0].Target.Endpoints = []netip.AddrPort{netip.MustParseAddrPort(text)}
		}},
	} {
		served := wish(c.change)
		if got := cmp.Equal(asWritten(served).Listeners, asked.Listeners, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); got != c.same {
			t.Errorf("%s: the same %v", name, got)
		}
	}
}
