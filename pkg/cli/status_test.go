package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// gallery has a load balancer in every state that there is.
func gallery(t testing.TB, name string) *world {
	t.Helper()
	w := newWorld(t, name)
	w.service("tea", port(80, ""))
	w.endpoints("tea", 2, 1)
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.serve("split", "10.88.100.2", "lb1", 80)
	w.statuses["lb2"].Holding = append(w.statuses["lb2"].Holding, netip.MustParseAddr("10.88.100.2"))
	w.serve("unheld", "10.88.100.3", "", 443)
	w.serve("refused", "10.88.100.4", "lb1", 80)
	w.statuses["lb3"].Findings = []nodeconfig.NodeFinding{{
		Key:     lb.Key{Namespace: name, Name: "refused"},
		Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "nginx -t: unexpected end of file"},
	}}
	w.object("fresh", map[string]string{"target-service-name": "tea"})
	w.object("pending", map[string]string{
		"target-service-name": "tea", "bind-ip": "10.88.100.5", "status": "PENDING : 0 of 3 nodes run it",
	})
	w.entry("pending", "10.88.100.5", "", 80)
	w.object("wrong", map[string]string{"target-service-name": "nope", "bind-port": "8080",
		"status": "ERROR : LB0201 data[target-service-name]: there is no Service " + name + "/nope"})
	w.object("evil", map[string]string{"target-service-name": "tea",
		"status": "ERROR : \x1b[31mred\r\nSECOND LINE\u202e\u009b"})
	w.publish()
	return w
}

func TestStatusGolden(t *testing.T) {
	w := gallery(t, "gallery")
	for name, args := range map[string][]string{
		"status":            {"status"},
		"status-wide":       {"status", "-o", "wide"},
		"status-all":        {"status", "-A", "-l", "world=gallery"},
		"status-json":       {"status", "-o", "json"},
		"status-yaml":       {"status", "tea", "-o", "yaml"},
		"status-name":       {"status", "-o", "name"},
		"status-jsonpath":   {"status", "tea", "-o", "jsonpath={.status.vips[0].holders[0]}"},
		"status-tree":       {"status", "tea"},
		"status-tree-split": {"status", "configmap/split"},
		"status-tree-wrong": {"status", "wrong"},
		"status-two":        {"status", "tea", "wrong", "--no-headers"},
		"status-missing":    {"status", "tea", "ghost"},
		"status-misspelt":   {"status", "splt"},
		"status-exit-code":  {"status", "tea", "--exit-code"},
		"status-exit-bad":   {"status", "split", "--exit-code", "-o", "name"},
		"status-selector":   {"status", "-l", "team=none"},
		"status-format":     {"status", "-o", "xml"},
	} {
		t.Run(name, func(t *testing.T) { w.lb(t, args...).expect(t, name, args) })
	}
}

// A table must not say anything that a program can't read too.
func TestStatusTextIsInJSON(t *testing.T) {
	w := gallery(t, "textjson")
	text := w.lb(t, "status", "-o", "json").out
	var list v1alpha1.LoadBalancerStatusList
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	known := strings.Join(stringsIn(all), "\n")
	for _, s := range list.Items {
		for _, value := range []string{
			s.Name, vipsOf(s.Status), activeOf(s.Status), string(s.Status.State), s.Status.Reason,
		} {
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("+,!", r) }) {
				if !strings.HasPrefix(word, "<") && !strings.Contains(known, word) {
					t.Errorf("%s: %q of the table is not in the JSON", s.Name, word)
				}
			}
		}
		if want := fmt.Sprintf("%d/%d", s.Status.NodesCurrent, s.Status.NodesTotal); nodesOf(s.Status) != want {
			t.Errorf("%s: nodes %q, want %q", s.Name, nodesOf(s.Status), want)
		}
	}
}

// stringsIn returns all strings of a decoded JSON value.
func stringsIn(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, stringsIn(e)...)
		}
		return out
	case map[string]any:
		var out []string
		for _, e := range v {
			out = append(out, stringsIn(e)...)
		}
		return out
	}
	return nil
}

func TestStatusOfSilentNodes(t *testing.T) {
	w := newWorld(t, "silent")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.statuses["lb2"].Reported = w.now.Add(-5 * time.Minute)
	w.statuses["lb3"].Running.Shards = map[string]int64{"lb-shard-000": 6}
	w.publish()
	args := []string{"status"}
	w.lb(t, args...).expect(t, "status-silent", args)
	args = []string{"status", "tea"}
	w.lb(t, args...).expect(t, "status-silent-tree", args)
}

func TestStatusWithoutLeave(t *testing.T) {
	w := newWorld(t, "leave")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	w.allow("jane", w.user, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"},
	})
	args := []string{"status", "--as", "jane"}
	w.lb(t, args...).expect(t, "status-degraded", args)
	args = []string{"status", "tea", "--as", "jane"}
	w.lb(t, args...).expect(t, "status-degraded-tree", args)
	args = []string{"status", "--as", "nobody"}
	w.lb(t, args...).expect(t, "status-forbidden", args)
}

// The tree says who would take over, which nodes do not carry their share, and what the nodes quarrel about.
func TestStatusOwners(t *testing.T) {
	w := newWorld(t, "owners")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	since := w.now.Add(-3 * time.Minute)
	w.statuses["lb3"].Hardware = "02:00:00:00:00:03"
	w.statuses["lb2"].Conflicts = []nodeconfig.Conflict{
		{Kind: nodeconfig.ConflictOwner, Address: netip.MustParseAddr("10.88.100.1"), Group: 1, Family: lb.IPv4,
			Other: "02:00:00:00:00:03", Since: since},
		{Kind: nodeconfig.ConflictVRID, Group: 1, Family: lb.IPv4, Other: "10.88.0.77", Since: since},
		{Kind: nodeconfig.ConflictVRID, Group: 1, Family: lb.IPv6, Other: "fe80::1", Since: since},
		{Kind: nodeconfig.ConflictSkew, Group: 2, Family: lb.IPv4, Since: since, Other: "10.88.0.13"},
	}
	w.statuses["lb3"].Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: "nginx does not answer"}
	w.publish()
	w.runs(t, "status-owners", "status")
	w.runs(t, "status-owners-tree", "status", "tea")
	w.statuses["lb1"].Reported = w.now.Add(-time.Hour)
	w.publish()
	w.runs(t, "status-owners-nobody", "status", "tea")
	w.runs(t, "status-owners-json", "status", "tea", "-o", "jsonpath={.status.vips} {.status.conflicts[0].other}")
}

// A load balancer whose Service has no pod is served, but nobody is behind it.
func TestStatusWithoutPods(t *testing.T) {
	w := newWorld(t, "podless")
	w.service("tea", port(80, ""))
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	w.annotate("tea", configmap.AnnotationWarnings, `[{"code":"LB0506","message":"the certificate ends in 3 days"},`+
		`{"code":"LB0206","field":"data[target-service-name]","message":"no pod of Service podless/tea is ready; see to it"},`+
		`{"code":"LB0103","message":"no warning, so not the controller's"}]`)
	w.runs(t, "status-podless", "status", "--exit-code")
	w.runs(t, "status-podless-tree", "status", "tea")
}

// In a namespace without a fleet the objects speak for themselves.
func TestStatusOfTheWrongNamespace(t *testing.T) {
	w := newWorld(t, "astray")
	w.serve("tea", "10.88.100.1", "lb2", 80)
	w.publish()
	c := call{args: []string{"status", "-n", w.user, "--system-namespace", "default", "--kubeconfig", w.kubeconfig}, now: w.now}
	c.run(t.Context()).expect(t, "status-astray", c.args[:1])
}
