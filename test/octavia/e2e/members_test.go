package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// pods returns those of coffee-svc that are ready.
func pods(t *testing.T) (ready []corev1.Pod) {
	t.Helper()
	all, err := shared.Client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=coffee"})
	must(t, err)
	for _, p := range all.Items {
		well := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if well && p.DeletionTimestamp == nil {
			ready = append(ready, p)
		}
	}
	return ready
}

// becomes waits until the members are these.
func becomes(t *testing.T, id string, want func() []string) {
	t.Helper()
	until(t, "the members", func() (bool, string) {
		w, m := want(), members(t, id)
		slices.Sort(w)
		return slices.Equal(w, m), fmt.Sprintf("they are %v, and not %v", m, w)
	})
}

// scale sets how many pods coffee-svc has.
func scale(t *testing.T, replicas string) {
	t.Helper()
	_, err := shared.MustKubectl(t.Context(), "", "scale", "rc", "coffee-rc", "--replicas", replicas)
	must(t, err)
}

// TestPodsAndLocal has pods for members, and nodes that have pods, and takes a pod away.
func TestPodsAndLocal(t *testing.T) {
	svc, err := shared.Client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "coffee-local"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal,
			Selector: map[string]string{"app": "coffee"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	want(t, "pods", "member: pod")
	want(t, "local", "target-service-name: coffee-local")
	direct, local := serving(t, "pods"), serving(t, "local")
	health := fmt.Sprint(svc.Spec.HealthCheckNodePort)
	name := "tcp-80-checked-at-" + health
	shows(t, local.ID, []string{"monitor " + name + " type HTTP", "monitor " + name + " url_path /healthz",
		"member " + name + " monitor_port " + health})
	addresses := func() (all []string) {
		for _, p := range pods(t) {
			all = append(all, p.Status.PodIP+":80")
		}
		return all
	}
	nodes := func() (all []string) {
		for _, n := range shared.Lab.Info().Nodes {
			if slices.ContainsFunc(pods(t), func(p corev1.Pod) bool { return p.Spec.NodeName == n.Name }) {
				all = append(all, fmt.Sprintf("%s:%d", n.Address, svc.Spec.Ports[0].NodePort))
			}
		}
		return all
	}
	for _, replicas := range []string{"2", "1", "2"} {
		scale(t, replicas)
		until(t, replicas+" pods", func() (bool, string) {
			n := len(pods(t))
			return fmt.Sprint(n) == replicas, fmt.Sprintf("there are %d", n)
		})
		becomes(t, direct.ID, addresses)
		becomes(t, local.ID, nodes)
	}
}

// TestRefused asks for what cannot be: a finding says so, and nothing is made.
func TestRefused(t *testing.T) {
	_, err := shared.Client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "inner"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	must(t, err)
	for _, c := range []struct {
		name  string
		lines []string
		says  string
	}{
		{"no-node-port", []string{"target-service-name: inner"}, "LB0209 data[target-service-name]"},
		{"ovn-http", []string{"octavia-provider: ovn", "protocol: HTTP"}, "LB0401 data[protocol]"},
		{"ovn-method", []string{"octavia-provider: ovn", "lb-method: round-robin"}, "LB0401 data[lb-method]"},
		{"hash-method", []string{"protocol: HTTP", "lb-method: request-hash"}, "LB0401 data[lb-method]"},
		{"cookie-tcp", []string{"session-affinity: cookie"}, "data[session-affinity]"},
		{"pool", []string{"address-pool: default"}, "LB0401 data[address-pool]"},
		{"named-subnet", []string{"vip-subnet: public"}, "LB0104 data[vip-subnet]"},
		{"slow-check", []string{"monitor-delay: 2s", "monitor-timeout: 3s"}, "data[monitor-timeout]"},
		{"no-gzip", []string{"protocol: HTTP", "gzip: true"}, "LB0401 data[gzip]"},
		{"no-certificate", []string{"protocol: HTTPS", "tls-container: " + gate.SecretURL(profile)}, "LB0601"},
		{"no-flavor", []string{"flavor: " + profile}, "LB0601"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "refused-" + c.name
			want(t, name, c.lines...)
			data, err := shared.WaitStatus(t.Context(), "default", name, "ERROR", limit)
			must(t, err)
			if !strings.Contains(data["status"], c.says) {
				t.Errorf("%q does not say %q", data["status"], c.says)
			}
			if found := rows(t, "default-"+name+"-loadbalancer"); len(found) > 0 || data["bind-ip"] != "" {
				t.Errorf("bind-ip %q, %+v", data["bind-ip"], found)
			}
		})
	}
}

// TestTwoProviders gives an object to the cloud and takes it back: its address is another one, and nothing is left.
func TestTwoProviders(t *testing.T) {
	const name = "moves"
	want(t, name)
	got := serving(t, name)
	change(t, name, []string{"provider: software"})
	until(t, "the software's address", func() (bool, string) {
		data, err := shared.Data(t.Context(), "default", name)
		must(t, err)
		return data["status"] == "SUCCESS" && data["bind-ip"] != got.Address, fmt.Sprint(data)
	})
	until(t, "no load balancer", func() (bool, string) { r := rows(t, got.Name); return len(r) == 0, fmt.Sprint(r) })
	data, err := shared.Data(t.Context(), "default", name)
	must(t, err)
	must(t, rig.Wait(t.Context(), limit, "an answer", func() (bool, string) {
		_, err := shared.Get(t.Context(), shared.Lab.Info().Client.Name, "http://"+data["bind-ip"]+"/")
		return err == nil, fmt.Sprint(err)
	}))
}
