package controller

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

func labelled(namespace, app string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "x", Labels: map[string]string{"app": app}},
		Data:       data,
	}
}

func reportOf(t *testing.T, age time.Duration, restarts int) map[string]string {
	t.Helper()
	text, err := nodeconfig.Encode(nodeconfig.Status{
		Version: nodeconfig.Version, Node: "x", Reported: time.Now().Add(-age),
		Processes: []nodeconfig.Process{{Name: "nginx", Restarts: restarts}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{nodeconfig.KeyStatus: text}
}

func TestConfigMapMatters(t *testing.T) {
	deleting := labelled("u", appLoadBalancer, nil)
	deleting.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for _, tc := range []struct {
		name         string
		older, newer *corev1.ConfigMap
		want         bool
	}{
		{"a user's key", labelled("u", appLoadBalancer, nil),
			labelled("u", appLoadBalancer, map[string]string{"a": "b"}), true},
		{"nothing", labelled("u", appLoadBalancer, nil), labelled("u", appLoadBalancer, nil), false},
		{"deletion", labelled("u", appLoadBalancer, nil), deleting, true},
		{"another label", labelled("sys", nodeconfig.AppNode, nil), labelled("sys", appLoadBalancer, nil), true},
		{"heartbeat", labelled("sys", nodeconfig.AppNode, reportOf(t, 10*time.Second, 0)),
			labelled("sys", nodeconfig.AppNode, reportOf(t, 0, 0)), false},
		{"news", labelled("sys", nodeconfig.AppNode, reportOf(t, 10*time.Second, 0)),
			labelled("sys", nodeconfig.AppNode, reportOf(t, 0, 1)), true},
		{"back from silence", labelled("sys", nodeconfig.AppNode, reportOf(t, time.Minute, 0)),
			labelled("sys", nodeconfig.AppNode, reportOf(t, 0, 0)), true},
		{"unreadable report", labelled("sys", nodeconfig.AppNode, map[string]string{nodeconfig.KeyStatus: "{"}),
			labelled("sys", nodeconfig.AppNode, reportOf(t, 0, 0)), true},
		{"a report elsewhere", labelled("u", nodeconfig.AppNode, nil),
			labelled("u", nodeconfig.AppNode, reportOf(t, 0, 0)), false},
		{"a document", labelled("sys", nodeconfig.AppConfig, nil),
			labelled("sys", nodeconfig.AppConfig, map[string]string{"a": "b"}), true},
	} {
		p := &pulses{}
		if !strings.Contains(tc.name, "silence") {
			p.beat(tc.older.Name, tc.older.ResourceVersion)
		}
		if got := configMapMatters(tc.older, tc.newer, "sys", p); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestStrip(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	most := configmap.MaxValue(configmap.KeyRoutes)
	cm := labelled("u", appLoadBalancer, map[string]string{"a": big, "b": "short", configmap.KeyRoutes: big[:most]})
	cm.BinaryData = map[string][]byte{"c": []byte(big)}
	cm.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	if _, err := stripConfigMap(cm); err != nil {
		t.Fatal(err)
	}
	if len(cm.Data["a"]) != configmap.MaxValue("a")+1 || cm.Data["b"] != "short" || len(cm.ManagedFields) > 0 {
		t.Errorf("data of %d bytes, managed fields %v", len(cm.Data["a"]), cm.ManagedFields)
	}
	if v, ok := cm.BinaryData["c"]; !ok || len(v) > 0 {
		t.Error("a binary key must stay, without its value")
	}
	// A part of the routes would be served as if it were the whole.
	if got := len(cm.Data[configmap.KeyRoutes]); got != most {
		t.Errorf("%d bytes of %d that routes may have", got, most)
	}
	doc := labelled("sys", nodeconfig.AppConfig, map[string]string{nodeconfig.KeyConfig: big})
	if _, err := stripConfigMap(doc); err != nil || len(doc.Data[nodeconfig.KeyConfig]) != len(big) {
		t.Errorf("a document was cut: %v", err)
	}
	n := &corev1.Node{}
	n.Status.Images = []corev1.ContainerImage{{}}
	n.Status.Addresses = []corev1.NodeAddress{{Address: "10.0.0.1"}}
	if _, err := stripNode(n); err != nil || len(n.Status.Images) > 0 || len(n.Status.Addresses) != 1 {
		t.Errorf("node: %+v %v", n.Status, err)
	}
}
