package kubelet

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeObjects is a cluster with one ConfigMap and one Secret.
type fakeObjects struct{}

func (fakeObjects) ConfigMap(_ context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	if namespace != "shop" || name != "settings" {
		return nil, fmt.Errorf("configmap %s/%s not found", namespace, name)
	}
	return &corev1.ConfigMap{
		Data: map[string]string{"color": "red", "size": "9"}, BinaryData: map[string][]byte{"blob": {0, 1}},
	}, nil
}

func (fakeObjects) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	if namespace != "shop" || name != "keys" {
		return nil, fmt.Errorf("secret %s/%s not found", namespace, name)
	}
	return &corev1.Secret{Data: map[string][]byte{"password": []byte("s3cret")}}, nil
}

func (fakeObjects) Token(_ context.Context, pod *corev1.Pod, audience string, seconds int64) (string, error) {
	return fmt.Sprintf("token of %s for %q, %d s", pod.Spec.ServiceAccountName, audience, seconds), nil
}

func shopPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "tea-1", UID: "uid-1", Labels: map[string]string{"app": "tea", "tier": "a b"},
			Annotations: map[string]string{"note": "x"},
		},
		Spec: corev1.PodSpec{NodeName: "w1", ServiceAccountName: "brewer"},
	}
}

func shopPlace() place {
	return place{
		hostIPs: []netip.Addr{netip.MustParseAddr("10.88.0.101"), netip.MustParseAddr("fd00:88::101")},
		podIPs:  []netip.Addr{netip.MustParseAddr("10.244.101.1"), netip.MustParseAddr("fd00:244:0:65::1")},
	}
}

func TestEnvironment(t *testing.T) {
	optional := true
	ref := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	fieldRef := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	c := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "CM_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("settings")}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref("keys")}},
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("none"), Optional: &optional}},
		},
		Env: []corev1.EnvVar{
			{Name: "PLAIN", Value: "1"},
			{Name: "OWN", Value: "$(PLAIN)-$(CM_color)-$(nothing)-$$(PLAIN)"},
			{Name: "BASE", Value: "replaced"},
			{Name: "NODE", ValueFrom: fieldRef("spec.nodeName")},
			{Name: "POD_IP", ValueFrom: fieldRef("status.podIP")},
			{Name: "POD_IPS", ValueFrom: fieldRef("status.podIPs")},
			{Name: "HOST_IP", ValueFrom: fieldRef("status.hostIP")},
			{Name: "APP", ValueFrom: fieldRef("metadata.labels['app']")},
			{Name: "SIZE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: ref("settings"), Key: "size",
			}}},
			{Name: "NOTHING", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: ref("keys"), Key: "none", Optional: &optional,
			}}},
			{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{
				Resource: "limits.cpu",
			}}},
			{Name: "MIB", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{
				Resource: "limits.memory", Divisor: resource.MustParse("1Mi"),
			}}},
		},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
		}},
	}
	got, err := environment(t.Context(), fakeObjects{}, shopPod(), c, []string{"BASE=1", "PATH=/bin"}, shopPlace())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"BASE=replaced", "PATH=/bin", "CM_color=red", "CM_size=9", "password=s3cret", "PLAIN=1",
		"OWN=1-red-$(nothing)-$(PLAIN)", "NODE=w1", "POD_IP=10.244.101.1",
		"POD_IPS=10.244.101.1,fd00:244:0:65::1", "HOST_IP=10.88.0.101", "APP=tea", "SIZE=9", "CPUS=2", "MIB=64",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	ref := corev1.LocalObjectReference{Name: "none"}
	keys := corev1.LocalObjectReference{Name: "keys"}
	tests := map[string]corev1.Container{
		"no configmap": {EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref}}}},
		"no secret":    {EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref}}}},
		"no key": {Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: keys, Key: "none"},
		}}}},
		"unknown field": {Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.phase"},
		}}}},
		"unknown source": {Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{}}}},
	}
	for name, c := range tests {
		if env, err := environment(t.Context(), fakeObjects{}, shopPod(), &c, nil, shopPlace()); err == nil {
			t.Errorf("%s: %v, want an error", name, env)
		}
	}
}

func TestArgv(t *testing.T) {
	env := []string{"NAME=tea", "PORT=80"}
	tests := map[string]struct {
		command, args, want []string
	}{
		"entrypoint":           {nil, nil, []string{"/hello"}},
		"args only":            {nil, []string{"--port=$(PORT)"}, []string{"/hello", "--port=80"}},
		"command replaces":     {[]string{"sh", "-c"}, []string{"echo $(NAME) $HOME"}, []string{"sh", "-c", "echo tea $HOME"}},
		"command without args": {[]string{"sleep"}, nil, []string{"sleep"}},
	}
	for name, tt := range tests {
		entrypoint := []string{"/hello"}
		got := argv(&corev1.Container{Command: tt.command, Args: tt.args}, entrypoint, env)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestHelloEnv(t *testing.T) {
	port := func(p int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{ContainerPort: p, Protocol: protocol}
	}
	c := &corev1.Container{Ports: []corev1.ContainerPort{
		port(53, corev1.ProtocolUDP), port(8080, ""), port(9, corev1.ProtocolTCP), port(99, corev1.ProtocolSCTP),
	}}
	got := helloEnv(shopPod(), c, shopPlace())
	want := []string{
		"POD_NAME=tea-1", "NODE_NAME=w1", "POD_IPS=10.244.101.1,fd00:244:0:65::1", "PORT=8080", "TCP_PORT=9", "UDP_PORT=53",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"", "$", "$(", "$(A)", "$$(A)", "$(A", "$(B)$", "a$$b", "$()"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := expand(s, map[string]string{"A": "$(A)"})
		if !strings.Contains(s, "$") && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
