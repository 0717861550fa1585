package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// limit is how long anything may take on a busy machine.
const limit = 6 * time.Minute

// row is a line of `openstack loadbalancer list`, and of the `neutron lbaas-loadbalancer-list` of 2016.
type row struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Address      string `json:"vip_address"`
	Provisioning string `json:"provisioning_status"`
	Provider     string `json:"provider"`
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows are the load balancers of that name in the project, whoever's they are.
func rows(t *testing.T, name string) []row {
	t.Helper()
	text, err := user.Do(t.Context(), http.MethodGet, "loadbalancers?name="+name, "")
	must(t, err)
	var answer struct{ LoadBalancers []row }
	must(t, json.Unmarshal(text, &answer))
	return answer.LoadBalancers
}

// members are the addresses and ports that the one load balancer's pools send to, sorted.
func members(t *testing.T, id string) (all []string) {
	t.Helper()
	out, err := cloud.SQL(t.Context(), "select concat(m.ip_address,':',m.protocol_port) from member m join pool p on m.pool_id=p.id "+
		"where p.load_balancer_id='"+id+"' order by 1")
	must(t, err)
	return strings.Fields(out)
}

// object is the ConfigMap of 2016 under another name, with the provider and further lines such as "key: value".
func object(t *testing.T, name string, lines ...string) *corev1.ConfigMap {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.Repo, "examples", "coffee-configmap.yaml"))
	must(t, err)
	var cm corev1.ConfigMap
	must(t, yaml.Unmarshal(text, &cm))
	cm.Name = name
	for _, line := range append([]string{"provider: octavia"}, lines...) {
		key, value, _ := strings.Cut(line, ": ")
		cm.Data[key] = value
	}
	return &cm
}

// want makes an object, and deletes it when the test ends.
func want(t *testing.T, name string, lines ...string) {
	t.Helper()
	_, err := shared.Client.CoreV1().ConfigMaps("default").Create(t.Context(), object(t, name, lines...), metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { remove(t, name) })
}

// remove deletes an object that may have gone already, and waits until it has.
func remove(t *testing.T, name string) {
	t.Helper()
	//nolint:usetesting // in a cleanup the test's context is done
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := shared.Client.CoreV1().ConfigMaps("default").Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Error(err)
		return
	}
	err = rig.Wait(ctx, limit, name+" to go", func() (bool, string) {
		_, err := shared.Client.CoreV1().ConfigMaps("default").Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), "it is there"
	})
	if err != nil {
		t.Error(err)
	}
}

// change gives an object other lines in place of those that it has beyond the common ones.
func change(t *testing.T, name string, lines []string) {
	t.Helper()
	maps := shared.Client.CoreV1().ConfigMaps("default")
	for {
		cm, err := maps.Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		written := []string{"bind-ip: " + cm.Data["bind-ip"], "status: " + cm.Data["status"]}
		cm.Data = object(t, name, append(written, lines...)...).Data
		_, err = maps.Update(t.Context(), cm, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			must(t, err)
			return
		}
	}
}

// serving waits until the object is done, and returns its load balancer.
func serving(t *testing.T, name string) row {
	t.Helper()
	data, err := shared.WaitStatus(t.Context(), "default", name, "SUCCESS", limit)
	must(t, err)
	found := rows(t, "default-"+name+"-loadbalancer")
	if first, _, _ := strings.Cut(data["bind-ip"], ","); len(found) != 1 || found[0].Address != first {
		t.Fatalf("bind-ip %s, load balancers %+v", data["bind-ip"], found)
	}
	return found[0]
}

// until polls.
func until(t *testing.T, what string, done func() (bool, string)) {
	t.Helper()
	must(t, rig.Wait(t.Context(), limit, what, func() (bool, string) {
		ok, missing := done()
		if !ok {
			time.Sleep(200 * time.Millisecond) // each look is a call
		}
		return ok, missing
	}))
}

// TestExposed is the plugin's way: what it waits for is there, or gone, when it ends.
func TestExposed(t *testing.T) {
	const name = "exposed"
	t.Cleanup(func() { remove(t, name) })
	run := func(args ...string) string {
		t.Helper()
		out, err := shared.MustKubectl(t.Context(), "", append([]string{"lb"}, append(args, "--wait", "--timeout", limit.String())...)...)
		must(t, err)
		return out
	}
	out := run("expose", "svc/coffee-svc", "--name", name, "--provider", "octavia")
	found := rows(t, "default-"+name+"-loadbalancer")
	if len(found) != 1 || found[0].Provisioning != "ACTIVE" || !strings.Contains(out, found[0].Address) {
		t.Errorf("there is %+v: %s", found, out)
	}
	run("delete", name)
	if left := rows(t, "default-"+name+"-loadbalancer"); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
}

// TestWalkthrough2016 follows the README of 2016 for the cloud: the ConfigMap, and then the table with a load balancer
// that is ACTIVE, whose address is in the ConfigMap at once. Deleting the ConfigMap deletes the load balancer first.
func TestWalkthrough2016(t *testing.T) {
	const name = "configmap-coffee-svc"
	t.Cleanup(func() { remove(t, name) })
	manifest, err := os.ReadFile(filepath.Join(shared.Repo, "examples", "coffee-configmap.yaml"))
	must(t, err)
	must(t, shared.Apply(t.Context(), strings.TrimSpace(string(manifest))+"\n  provider: octavia\n"))
	until(t, "the address", func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", name)
		return err == nil && data["bind-ip"] != "", fmt.Sprint(data, err)
	})
	got := serving(t, name)
	expected := row{ID: got.ID, Name: "default-configmap-coffee-svc-loadbalancer", Address: got.Address,
		Provisioning: "ACTIVE", Provider: "octavia"}
	if d := cmp.Diff(expected, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(nodePorts(t, "coffee-svc"), members(t, got.ID)); d != "" {
		t.Errorf("members: %s", d)
	}
	for _, read := range []struct {
		args  []string
		lacks []string
	}{
		{[]string{"lb", "status"}, []string{name, got.Address}},
		{[]string{"lb", "status", name}, []string{got.ID, got.Name, "Listener", "Pool", "Member", "ACTIVE/"}},
	} {
		out, err := shared.MustKubectl(t.Context(), "", read.args...)
		must(t, err)
		t.Logf("kubectl %s\n%s", strings.Join(read.args, " "), out)
		read.lacks = slices.DeleteFunc(read.lacks, func(text string) bool { return strings.Contains(out, text) })
		if len(read.lacks) > 0 {
			t.Errorf("kubectl %s lacks %q", strings.Join(read.args, " "), read.lacks)
		}
	}
	_, err = shared.MustKubectl(t.Context(), "", "delete", "configmap", name, "--timeout=120s")
	must(t, err)
	if left := rows(t, got.Name); len(left) > 0 {
		t.Errorf("the ConfigMap is gone, and the load balancer is not: %+v", left)
	}
}

// nodePorts are the addresses of all nodes with the NodePort of the Service, sorted.
func nodePorts(t *testing.T, service string) (all []string) {
	t.Helper()
	port, err := shared.MustKubectl(t.Context(), "", "get", "service", service, "-o", "jsonpath={.spec.ports[0].nodePort}")
	must(t, err)
	for _, n := range shared.Lab.Info().Nodes {
		all = append(all, n.Address.String()+":"+strings.TrimSpace(port))
	}
	slices.Sort(all)
	return all
}

// TestNodes takes a node out and in again: it is no member while it is labelled so. An object may choose among the nodes.
func TestNodes(t *testing.T) {
	const chosen = "kubectl-lb-test/chosen"
	want(t, "nodes")
	want(t, "some", "node-selector: "+chosen+"=yes")
	got, some := serving(t, "nodes"), serving(t, "some")
	all := nodePorts(t, "coffee-svc")
	node := shared.Lab.Info().Nodes[0]
	label := func(label string) {
		_, err := shared.MustKubectl(t.Context(), "", "label", "node", node.Name, label)
		must(t, err)
	}
	its := func(m string) bool { return strings.HasPrefix(m, node.Address.String()+":") }
	are := func(id string, want []string) {
		until(t, fmt.Sprint(want), func() (bool, string) { m := members(t, id); return slices.Equal(m, want), fmt.Sprint(m) })
	}
	are(some.ID, nil)
	label(chosen + "=yes")
	are(some.ID, slices.DeleteFunc(slices.Clone(all), func(m string) bool { return !its(m) }))
	label("node.kubernetes.io/exclude-from-external-load-balancers=true")
	are(got.ID, slices.DeleteFunc(slices.Clone(all), its))
	are(some.ID, nil)
	label("node.kubernetes.io/exclude-from-external-load-balancers-")
	label(chosen + "-")
	are(got.ID, all)
	are(some.ID, nil)
}
