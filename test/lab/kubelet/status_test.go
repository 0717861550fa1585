package kubelet

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

func TestPhaseAndConditions(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "x"}}
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	tests := map[string]struct {
		containers []container
		phase      corev1.PodPhase
		ready      corev1.ConditionStatus
	}{
		"creating":      {[]container{{state: waiting}}, corev1.PodPending, corev1.ConditionFalse},
		"running":       {[]container{{state: running, ready: true}}, corev1.PodRunning, corev1.ConditionTrue},
		"one not ready": {[]container{{state: running, ready: true}, {state: running}}, corev1.PodRunning, corev1.ConditionFalse},
		"in back-off":   {[]container{{state: waiting, last: ended(1)}}, corev1.PodRunning, corev1.ConditionFalse},
		"succeeded":     {[]container{{state: ended(0), last: ended(0), done: true}}, corev1.PodSucceeded, corev1.ConditionFalse},
		"failed":        {[]container{{state: ended(3), last: ended(3), done: true}}, corev1.PodFailed, corev1.ConditionFalse},
		"init goes on":  {[]container{{init: true, state: running}, {state: waiting}}, corev1.PodPending, corev1.ConditionFalse},
		"init has failed": {
			[]container{{init: true, state: ended(1), last: ended(1), done: true}, {state: waiting}},
			corev1.PodFailed, corev1.ConditionFalse,
		},
		"init was done": {
			[]container{{init: true, state: ended(0), last: ended(0), done: true}, {state: running, ready: true}},
			corev1.PodRunning, corev1.ConditionTrue,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &podRunner{spec: shopPod(), conditions: map[corev1.PodConditionType]corev1.PodCondition{}, at: shopPlace()}
			for i := range tt.containers {
				c := &tt.containers[i]
				c.pod, c.spec = r, &corev1.Container{Name: "c"}
				r.containers = append(r.containers, c)
			}
			status := r.status()
			if status.Phase != tt.phase {
				t.Errorf("phase %s, want %s", status.Phase, tt.phase)
			}
			for _, c := range status.Conditions {
				if c.Type == corev1.PodReady && c.Status != tt.ready {
					t.Errorf("ready %s, want %s", c.Status, tt.ready)
				}
			}
			if status.PodIP != "10.244.101.1" || len(status.PodIPs) != 2 || status.HostIP != "10.88.0.101" {
				t.Errorf("addresses %s %v %s", status.PodIP, status.PodIPs, status.HostIP)
			}
		})
	}
}

func TestConditionKeepsItsTime(t *testing.T) {
	r := &podRunner{conditions: map[corev1.PodConditionType]corev1.PodCondition{}}
	first := r.condition(corev1.PodReady, false, "Why")
	if again := r.condition(corev1.PodReady, false, "Why"); again.LastTransitionTime != first.LastTransitionTime {
		t.Error("the time moved without a change")
	}
	if turned := r.condition(corev1.PodReady, true, "Why"); turned.Reason != "" || turned.Status != corev1.ConditionTrue {
		t.Errorf("turned: %+v", turned)
	}
}

func TestStatusPatchTakesTheMessageAway(t *testing.T) {
	for message, want := range map[string]any{"": nil, "why": "why"} {
		data, err := statusPatch("uid-1", corev1.PodStatus{Message: message})
		if err != nil {
			t.Fatal(err)
		}
		var patch struct {
			Metadata map[string]any `json:"metadata"`
			Status   map[string]any `json:"status"`
		}
		if err := json.Unmarshal(data, &patch); err != nil {
			t.Fatal(err)
		}
		got, ok := patch.Status["message"]
		if !ok || got != want || patch.Metadata["uid"] != "uid-1" {
			t.Errorf("message %q: %s", message, data)
		}
	}
}

func TestUnsupportedIsSaid(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	for name, spec := range map[string]corev1.PodSpec{
		"sidecar": {InitContainers: []corev1.Container{{RestartPolicy: &always}}},
		"grpc":    {Containers: []corev1.Container{{LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{}}}}}},
		"hook":    {Containers: []corev1.Container{{Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}}}},
	} {
		if unsupported(&corev1.Pod{Spec: spec}) == nil {
			t.Errorf("%s: left out in silence", name)
		}
	}
	if err := unsupported(shopPod()); err != nil {
		t.Errorf("a plain pod: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	plan, err := fabric.NewPlan("x", fabric.Size{Workers: 1, Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &addresses{node: plan.Nodes[0]}
	seen := map[string]bool{}
	for range 254 {
		v4, v6, n, err := a.take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[v4.String()] || !plan.Nodes[0].Pods.Contains(v4) || !plan.Nodes[0].Pods6.Contains(v6) || n < 1 || n > 254 {
			t.Fatalf("%s %s %d", v4, v6, n)
		}
		seen[v4.String()] = true
	}
	if _, _, _, err := a.take(); err == nil {
		t.Error("the 255th address: no error")
	}
	a.give(17)
	if _, _, n, err := a.take(); err != nil || n != 17 {
		t.Errorf("got %d, %v, want the one that was given back", n, err)
	}
	fresh := &addresses{node: plan.Nodes[0]}
	_, _, first, _ := fresh.take()
	fresh.give(first)
	if _, _, second, _ := fresh.take(); second == first {
		t.Error("an address was given again at once")
	}
}

func TestLastLines(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want string
	}{{0, ""}, {1, "c\n"}, {2, "b\nc\n"}, {9, "a\nb\nc\n"}} {
		if got := string(lastLines([]byte("a\nb\nc\n"), tt.n)); got != tt.want {
			t.Errorf("%d: %q, want %q", tt.n, got, tt.want)
		}
	}
}
