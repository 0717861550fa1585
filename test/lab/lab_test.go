package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func containsPath(mountinfo, dir string) bool {
	return regexp.MustCompile(`(?m) ` + regexp.QuoteMeta(dir) + `[/ ]`).MatchString(mountinfo)
}

const teaManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tea}
spec:
  replicas: 2
  selector: {matchLabels: {app: tea}}
  template:
    metadata: {labels: {app: tea}}
    spec:
      containers:
      - name: tea
        image: nginxdemos/hello:plain-text
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: tea}
spec:
  ipFamilyPolicy: RequireDualStack
  ports: [{port: 80}]
  selector: {app: tea}
`

// clerkManifest asks the API server who it is, with everything that a Pod gets from a kubelet.
const clerkManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: clerk}
data: {question: whoami}
---
apiVersion: v1
kind: Pod
metadata: {name: clerk}
spec:
  restartPolicy: Never
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, "echo ready > /shared/flag"], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: clerk
    image: busybox
    command: [sh, -ec]
    args:
    - |
      cat /shared/flag /etc/clerk/question; echo; echo $NODE
      S=/var/run/secrets/kubernetes.io/serviceaccount
      curl -sS --cacert $S/ca.crt -H "Authorization: Bearer $(cat $S/token)" \
        https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$(cat $S/namespace)/pods
    env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    volumeMounts: [{name: shared, mountPath: /shared}, {name: clerk, mountPath: /etc/clerk}]
  volumes: [{name: shared, emptyDir: {}}, {name: clerk, configMap: {name: clerk}}]
`

const daemonManifest = `
apiVersion: v1
kind: Pod
metadata: {name: daemon}
spec:
  nodeName: lb1
  hostNetwork: true
  containers:
  - {name: daemon, image: "ghcr.io/kubectl-lb/lb-daemon:dev", env: [{name: PORT, value: "8088"}]}
`

// TestLab starts one lab and does with it what tests, benches and people do.
func TestLab(t *testing.T) {
	lab := name("a")
	t.Cleanup(func() {
		if err := Down(lab); err != nil {
			t.Error(err)
		}
		expectNothingLeft(t, lab)
	})
	var progress strings.Builder
	o := Options{Name: lab, LBNodes: 2, Workers: 1, BinDir: testBin, Out: &progress}
	l, err := Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready in %.1f s", l.Info().StartSeconds)
	if !strings.Contains(progress.String(), "kube-apiserver") {
		t.Errorf("progress %q", progress.String())
	}
	if _, err := Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), "runs already") {
		t.Errorf("up over a running lab: %v", err)
	}
	l, err = Open(lab)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("nodes", func(t *testing.T) { testNodes(t, l) })
	t.Run("service", func(t *testing.T) { testService(t, l) })
	t.Run("clerk", func(t *testing.T) { testClerk(t, l) })
	t.Run("restart", func(t *testing.T) { testRestart(t, l) })
	t.Run("unknown image", func(t *testing.T) { testUnknownImage(t, l) })
	t.Run("link and partition", func(t *testing.T) { testNetworkFaults(t, l) })
	t.Run("process faults", func(t *testing.T) { testProcessFaults(t, l) })
	t.Run("power cut", func(t *testing.T) { testPowerCut(t, l) })
	t.Run("api outage", func(t *testing.T) { testAPIOutage(t, l) })
	t.Run("crash", func(t *testing.T) { testCrash(t, l) })
}

func testNodes(t *testing.T, l *Lab) {
	t.Helper()
	out, err := kubectl(t, l, "", "get", "nodes", "-l", "type=loadbalancer", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.spec.taints[0].key} {.status.addresses[*].address}{"\n"}{end}`)
	want := "lb1 kubectl-lb.io/loadbalancer 10.88.0.11 fd00:88::11 lb1\nlb2 kubectl-lb.io/loadbalancer 10.88.0.12 fd00:88::12 lb2\n"
	if err != nil || out != want {
		t.Errorf("nodes %q, %v, want %q", out, err, want)
	}
	if _, err := l.Node("lb9"); err == nil || !strings.Contains(err.Error(), "lb1, lb2, w1, client") {
		t.Errorf("an unknown node: %v", err)
	}
}

func testService(t *testing.T, l *Lab) {
	t.Helper()
	if out, err := kubectl(t, l, teaManifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := kubectl(t, l, "", "rollout", "status", "deploy/tea", "--timeout=45s"); err != nil {
		t.Fatal(err, out)
	}
	addresses, err := kubectl(t, l, "", "get", "service", "tea", "-o", "jsonpath={.spec.clusterIPs[0]} {.spec.clusterIPs[1]}")
	if err != nil {
		t.Fatal(err)
	}
	pods, err := kubectl(t, l, "", "get", "pods", "-l", "app=tea", "-o",
		"jsonpath={.items[0].status.podIPs[0].ip} {.items[0].status.podIPs[1].ip}")
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"lb1", "w1"} {
		for a := range strings.FieldsSeq(addresses) {
			fetch(t, l, from, a)
		}
	}
	for a := range strings.FieldsSeq(pods) {
		fetch(t, l, "client", a)
		fetch(t, l, "lb2", a)
	}
	if out, err := kubectl(t, l, "", "logs", "deploy/tea"); err != nil || !strings.Contains(out, "listening") {
		t.Errorf("logs %q, %v", out, err)
	}
}

func fetch(t *testing.T, l *Lab, from, address string) {
	t.Helper()
	url := fmt.Sprintf("http://%s/", netip.AddrPortFrom(netip.MustParseAddr(address), 80))
	within(t, 15*time.Second, url+" from "+from, func() error {
		out, err := l.Output(t.Context(), from, "curl", "-sS", "-m", "2", url)
		if err == nil && !strings.Contains(string(out), "Hello from tea-") {
			return fmt.Errorf("answer %q", out)
		}
		return err
	})
}

func testClerk(t *testing.T, l *Lab) {
	t.Helper()
	if out, err := kubectl(t, l, clerkManifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := kubectl(t, l, "", "wait", "pod/clerk", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s"); err != nil {
		logs, _ := kubectl(t, l, "", "describe", "pod/clerk")
		t.Fatal(err, out, logs)
	}
	// The Pod has ended and its runner lives until it is deleted, so its log is still to be had.
	out, err := kubectl(t, l, "", "logs", "clerk")
	for _, want := range []string{"ready\nwhoami\nw1\n", "system:serviceaccount:default:default", "cannot list resource"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("log %q (%v) lacks %q", out, err, want)
		}
	}
}

// testRestart kills a Pod's process: NotReady at once, and the same Pod comes back.
func testRestart(t *testing.T, l *Lab) {
	t.Helper()
	state := "jsonpath={.items[0].metadata.name} {.items[0].status.containerStatuses[0].restartCount} " +
		`{.items[0].status.conditions[?(@.type=="Ready")].status}`
	before, err := kubectl(t, l, "", "get", "pods", "-l", "app=tea", "-o", state)
	if err != nil || !strings.HasSuffix(before, " 0 True") {
		t.Fatalf("%q, %v", before, err)
	}
	pod, _, _ := strings.Cut(before, " ")
	processes, err := netspaceProcesses(l, "hello", pod)
	if err != nil || len(processes) != 1 {
		t.Fatalf("processes of %s: %v, %v", pod, processes, err)
	}
	if err := processes[0].Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, 15*time.Second, "the Pod is back", func() error {
		after, err := kubectl(t, l, "", "get", "pods", "-l", "app=tea", "-o", state)
		if after != pod+" 1 True" {
			return fmt.Errorf("%q, %w", after, err)
		}
		return nil
	})
}

func testUnknownImage(t *testing.T, l *Lab) {
	t.Helper()
	if out, err := kubectl(t, l, "", "run", "odd", "--image=example.com/odd:1"); err != nil {
		t.Fatal(err, out)
	}
	within(t, 15*time.Second, "the image is refused", func() error {
		out, err := kubectl(t, l, "", "get", "pod", "odd", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}")
		if out != "ErrImagePull" {
			return fmt.Errorf("%q, %w", out, err)
		}
		return nil
	})
	if out, err := kubectl(t, l, "", "delete", "pod", "odd", "--timeout=15s"); err != nil {
		t.Error(err, out)
	}
}

// testCrash kills the supervisor: the lab is dead, its processes are not, and down finds them all.
func testCrash(t *testing.T, l *Lab) {
	t.Helper()
	owner, err := readOwner(l.Info().Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the supervisor is dead", func() error {
		if owner.Alive() {
			return errors.New("it lives")
		}
		return nil
	})
	if _, err := Open(l.Info().Name); !errors.Is(err, ErrNotRunning) {
		t.Errorf("open a dead lab: %v", err)
	}
	left, err := processesOf(l.Info().Name, l.Info().Dir)
	if err != nil || len(left) < 5 {
		t.Errorf("processes of a dead lab: %v, %v", left, err)
	}
	if err := l.Down(); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, l.Info().Name)
}

// TestUpInterrupted ends the caller's context in the middle: nothing is left.
func TestUpInterrupted(t *testing.T) {
	lab := name("b")
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := Up(ctx, Options{Name: lab, LBNodes: 1, Workers: -1, BinDir: testBin}); err == nil {
		t.Error("up was faster than its deadline: no error")
		_ = Down(lab)
	}
	expectNothingLeft(t, lab)
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"A", "a-b", "a b", "../x", "", "abcdefghijklmnopq", "a\n"} {
		if checkName(bad) == nil {
			t.Errorf("name %q passed", bad)
		}
	}
	if _, err := Open("nosuchlab"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("open: %v", err)
	}
	if err := Down("nosuchlab"); err != nil {
		t.Errorf("down of no lab: %v", err)
	}
}

func TestUpNeedsItsProgram(t *testing.T) {
	_, err := Up(t.Context(), Options{Name: name("c"), BinDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(BaseDir(), name("c"))); err == nil {
		t.Error("a folder is left")
	}
}
