package configmap

import (
	"flag"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

var update = flag.Bool("update", false, "write the golden files and docs/configmap.md anew")

// golden compares a text with a file, or writes the file anew with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not current (go test -update ./pkg/source/configmap writes it): %s", path, d)
	}
}

// object makes a ConfigMap default/web with these keys and values, besides target-service-name: web.
func object(pairs ...string) *corev1.ConfigMap {
	data := map[string]string{KeyService: "web"}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Labels: map[string]string{LabelKey: LabelValue}},
		Data:       data,
	}
}

// service makes a Service with ports such as "80", "http:80" or "dns:53/UDP".
func service(namespace, name, clusterIP string, ports ...string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIP: clusterIP},
	}
	for _, text := range ports {
		text, protocol, ok := strings.Cut(text, "/")
		if !ok {
			protocol = "TCP"
		}
		portName, number, ok := strings.Cut(text, ":")
		if !ok {
			portName, number = "", text
		}
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: portName, Port: intstr.Parse(number).IntVal, Protocol: corev1.Protocol(protocol),
			TargetPort: intstr.FromInt32(8000 + intstr.Parse(number).IntVal),
		})
	}
	return s
}

// cluster has a Service default/web with a port, one with two, and what else the tests need.
func cluster() ServiceMap {
	allowed := service("other", "allowed", "10.96.0.5", "80")
	allowed.Annotations = map[string]string{AnnotationAllowFrom: " a ,default"}
	all := service("other", "all", "10.96.0.6", "80")
	all.Annotations = map[string]string{AnnotationAllowFrom: "*"}
	external := service("default", "external", "", "80")
	external.Spec.Type = corev1.ServiceTypeExternalName
	return MapServices([]*corev1.Service{
		service("default", "web", "10.96.0.1", "http:80"),
		service("default", "two", "10.96.0.2", "http:80", "https:443"),
		service("default", "six", "fd00:96::1", "80"),
		service("default", "udp", "10.96.0.3", "dns:53/UDP"),
		service("default", "mixed", "10.96.0.4", "dns:53/UDP", "dns-tcp:53", "metrics:9153"),
		service("default", "sctp", "10.96.0.8", "http:80", "odd:9/SCTP"),
		service("default", "none", "None"),
		service("default", "headless", "None", "80"),
		service("default", "young", "", "80"),
		external, allowed, all,
		service("other", "private", "10.96.0.7", "80"),
	})
}

// texts writes findings down, one a line.
func texts(fs []lb.Finding) string {
	var lines []string
	for _, f := range fs {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}
