package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// rolling is a Deployment of many pods that end as pods should: they go on for a moment after they are told to.
const rolling = `apiVersion: v1
kind: Service
metadata: {name: rolling, namespace: default}
spec:
  selector: {app: rolling}
  ports: [{name: http, port: 80, targetPort: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling, namespace: default}
spec:
  replicas: 20
  selector: {matchLabels: {app: rolling}}
  strategy: {rollingUpdate: {maxSurge: 5, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: rolling}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
        - name: hello
          image: nginxdemos/hello
          lifecycle: {preStop: {sleep: {seconds: 3}}}
`

// generations returns what each node runs: it changes with every reload.
func generations(t *testing.T) (out []string) {
	t.Helper()
	for _, n := range shared.LBNodes() {
		s, err := shared.NodeStatus(t.Context(), n)
		must(t, err)
		out = append(out, n+":"+s.Running.Generation)
	}
	return out
}

// roll replaces every pod of the Deployment.
func roll(t *testing.T) {
	t.Helper()
	for _, verb := range [][]string{{"restart"}, {"status", "--timeout=150s"}} {
		_, err := shared.MustKubectl(t.Context(), "", append(append([]string{"rollout"}, verb...), "deployment/rolling")...)
		must(t, err)
	}
}

// TestRollingRestart: twenty pods are replaced and nobody notices. By the Service it takes no reload; by its endpoints
// it takes some, and new connections as well as kept ones go on.
func TestRollingRestart(t *testing.T) {
	apply(t, rolling)
	must(t, shared.WaitService(t.Context(), "default", "rolling"))
	_, err := shared.MustKubectl(t.Context(), "", "rollout", "status", "deployment/rolling", "--timeout=150s")
	must(t, err)
	byService := serve(t, "rolling-service", "target-service-name: rolling", "protocol: HTTP", `bind-port: "80"`)
	before := generations(t)
	p := probe(t, byService)
	roll(t)
	answered(t, "by the Service", p.Stop())
	if after := generations(t); !slices.Equal(before, after) {
		t.Errorf("the nodes ran %v and then %v, without anything to change", before, after)
	}
	byEndpoints := serve(t, "rolling-endpoints", "target-service-name: rolling", "upstream: endpoints", "protocol: HTTP")
	p = probe(t, byEndpoints)
	stop := keep(t, byEndpoints)
	roll(t)
	stop()
	answered(t, "by endpoints", p.Stop())
	if after := generations(t); slices.Equal(before, after) {
		t.Error("the nodes run what they did, with other pods")
	}
	status, err := shared.Data(t.Context(), "default", "rolling-endpoints")
	if err != nil || status["status"] != "SUCCESS" {
		t.Errorf("status %v, %v", status, err)
	}
}

// answered fails the test if a request got a wrong answer or none. One that took too long on a machine that has its two
// cores full of starting pods is no more than logged.
func answered(t *testing.T, what string, r rig.Report) {
	t.Helper()
	for reason, n := range r.Reasons {
		if reason != "timeout" {
			t.Errorf("%s: %d requests failed by %s", what, n, reason)
		}
	}
	if r.Sent < 100 || r.Failed > r.Sent/100 || !r.Ended() {
		t.Errorf("%s: %s", what, r)
	}
	t.Logf("%s: %s", what, r)
}

// keep makes requests on kept connections until the returned function is called, which fails the test if one failed.
func keep(t *testing.T, ip string) (stop func()) {
	t.Helper()
	d, err := shared.Lab.Dialer("client")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Timeout: answerTime, Transport: &http.Transport{DialContext: d.DialContext}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	sent, failed := 0, map[string]int{}
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := get(ctx, client, "http://"+ip+"/")
				mu.Lock()
				sent++
				if err != nil && ctx.Err() == nil {
					failed[err.Error()]++
				}
				mu.Unlock()
				time.Sleep(20 * time.Millisecond) // as clients do that have something else to do
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
		d.Close()
		if len(failed) > 0 || sent < 100 {
			t.Errorf("of %d requests on kept connections failed %v", sent, failed)
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// names makes requests and returns the pods that answered, sorted, each once.
func names(t *testing.T, address string, headers ...string) []string {
	t.Helper()
	var out []string
	for range 20 {
		code, header, body := fetch(t, address, "a.example.com", headers...)
		if code != http.StatusOK {
			t.Fatalf("status %d: %s", code, body)
		}
		if name := header.Get("Server-Name"); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestAffinity: a client that is known by a cookie or its address keeps its pod; others are spread.
func TestAffinity(t *testing.T) {
	keys := []string{"target-service-name: tea", "upstream: endpoints", "protocol: HTTP"}
	spread := serve(t, "affinity-none", keys...)
	if got := names(t, spread+":80"); len(got) != 2 {
		t.Errorf("without affinity %v answered", got)
	}
	cookie := serve(t, "affinity-cookie", append(keys, "session-affinity: cookie")...)
	if got := names(t, cookie+":80"); len(got) != 2 {
		t.Errorf("without the cookie %v answered", got)
	}
	_, header, _ := fetch(t, cookie+":80", "a.example.com")
	set := header.Get("Set-Cookie")
	value, rest, _ := strings.Cut(set, ";")
	if rest != " Path=/; HttpOnly; SameSite=Lax" || !strings.HasPrefix(value, "lb_affinity=") || len(value) < 30 {
		t.Errorf("Set-Cookie: %q", set)
	}
	mine := header.Get("Server-Name")
	if got := names(t, cookie+":80", "Cookie", "a=b; "+value); !slices.Equal(got, []string{mine}) {
		t.Errorf("the cookie of %s led to %v", mine, got)
	}
	_, header, _ = fetch(t, cookie+":80", "a.example.com", "Cookie", value)
	if again := header.Get("Set-Cookie"); again != "" {
		t.Errorf("a client with a cookie was given %q", again)
	}
	echo(t)
	address := serve(t, "affinity-ip", "target-service-name: echo", "upstream: endpoints", "session-affinity: client-ip",
		`ports: "80/HTTP,7/TCP"`)
	if got := names(t, address+":80"); len(got) != 1 {
		t.Errorf("by its address the client came to %v", got)
	}
	first := exchange(t, "tcp", address+":7", "stay!\n", "stay!")
	for range 10 {
		if got := exchange(t, "tcp", address+":7", "stay!\n", "stay!"); got != first {
			t.Errorf("TCP: %q, and then %q", first, got)
		}
	}
}

// manual is a Service whose endpoints are given by hand: those of pods, and their ports.
func manual(t *testing.T, name, clusterIP string, endpoints map[string]int) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: v1
kind: Service
metadata: {name: %s, namespace: default}
spec:
  %s
  ports: [{name: http, port: 80, protocol: TCP}]
`, name, clusterIP)
	n := 0
	for address, port := range endpoints {
		n++
		fmt.Fprintf(&b, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-%[2]d, namespace: default, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{name: http, port: %[4]d, protocol: TCP}]
endpoints: [{addresses: [%[3]s]}]
`, name, n, address, port)
	}
	return b.String()
}

// teaPods returns the addresses of the tea pods.
func teaPods(t *testing.T) (out []string) {
	t.Helper()
	list, err := shared.Client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=tea"})
	must(t, err)
	for _, p := range list.Items {
		out = append(out, p.Status.PodIP)
	}
	if len(out) != 2 {
		t.Fatalf("tea has pods at %v", out)
	}
	return out
}

// TestDeadPod: a pod that is ready but does not answer costs nobody his request, as another one is asked.
func TestDeadPod(t *testing.T) {
	ips := teaPods(t)
	apply(t, manual(t, "halfdead", "", map[string]int{ips[0]: 80, ips[1]: 9}))
	web := serve(t, "halfdead", "target-service-name: halfdead", "upstream: endpoints", "protocol: HTTP")
	raw := serve(t, "halfdead-tcp", "target-service-name: halfdead", "upstream: endpoints")
	for _, address := range []string{web, raw} {
		if got := names(t, address+":80"); len(got) != 1 {
			t.Errorf("%v answered, of one that is alive", got)
		}
	}
}

// TestEndpointsComeAndGo: a headless Service is served; without endpoints HTTP says so, TCP is refused, and a finding names
// the Service; both go on when there is one again, and a neighbour loses nothing.
func TestEndpointsComeAndGo(t *testing.T) {
	ips := teaPods(t)
	neighbour := probe(t, serve(t, "headless-neighbour", "target-service-name: tea", "protocol: HTTP"))
	full, empty := manual(t, "headless", "clusterIP: None", map[string]int{ips[0]: 80}), "headless-1"
	apply(t, full)
	web := serve(t, "headless", "target-service-name: headless", "upstream: endpoints", "protocol: HTTP")
	raw := serve(t, "headless-tcp", "target-service-name: headless", "upstream: endpoints")
	for range 2 {
		for _, address := range []string{web, raw} {
			awaitAnswer(t, address, "Hello from")
		}
		_, err := shared.MustKubectl(t.Context(), "", "delete", "endpointslice", empty)
		must(t, err)
		awaitAnswer(t, web, "503 Service Unavailable: the service behind this address has no endpoints")
		awaitAnswer(t, raw, "connection refused")
		for _, name := range []string{"headless", "headless-tcp"} {
			eventOf(t, name, "LB0206 data[upstream]", "Service default/headless")
		}
		must(t, shared.Apply(t.Context(), full))
	}
	lossless(t, neighbour.Stop())
}

// awaitAnswer waits until a request is answered, or fails, with a text.
func awaitAnswer(t *testing.T, ip, want string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), changeTime, ip+" to say "+want, func() (bool, string) {
		res, err := shared.Request(t.Context(), "client", ip+":80", ip, "/")
		if err != nil {
			res.Body = err.Error()
		}
		return strings.Contains(res.Body, want), fmt.Sprintf("it says %q", res.Body)
	}))
}
