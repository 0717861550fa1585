package view

import (
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// cloudObject is an object that Octavia has made a load balancer for, of two members.
func cloudObject(t *testing.T, status string, change func(*lb.CloudStatus)) corev1.ConfigMap {
	t.Helper()
	c := lb.CloudStatus{
		Provider: lb.ProviderOctavia, ID: "id", Name: "default-tea-loadbalancer", Provisioning: "ACTIVE", Operating: "ONLINE",
		Since: now().Add(-time.Hour),
		Listeners: []lb.CloudListener{{Name: "tcp-80", Pools: []lb.CloudPool{{Name: "tcp-80", Members: []lb.CloudMember{
			{Address: "192.0.2.1:30080", Operating: "ONLINE"}, {Address: "192.0.2.2:30080", Operating: "ONLINE"},
		}}}}},
	}
	change(&c)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tea", Finalizers: []string{configmap.Finalizer},
			Annotations: map[string]string{configmap.AnnotationCloud: string(text)}},
		Data: map[string]string{"target-service-name": "tea", "bind-port": "80", "bind-ip": "10.0.0.9", "status": status},
	}
}

func TestCloudState(t *testing.T) {
	failed := func(operating string, members ...int) func(*lb.CloudStatus) {
		return func(c *lb.CloudStatus) {
			c.Operating, c.Since = operating, now().Add(-5*time.Minute)
			for _, i := range members {
				m := &c.Listeners[0].Pools[0].Members[i]
				m.Operating, m.Since = "ERROR", now().Add(-2*time.Minute)
			}
		}
	}
	stuck := func(provisioning string) func(*lb.CloudStatus) {
		return func(c *lb.CloudStatus) {
			c.Provisioning = provisioning
			c.Findings = []lb.Finding{{Code: lb.CodeCloudStuck, Message: "load balancer id has been in " + provisioning}}
		}
	}
	for _, c := range []struct {
		name, status string
		change       func(*lb.CloudStatus)
		state        v1alpha1.State
		reason       string
	}{
		{"healthy", "SUCCESS", failed("ONLINE"), v1alpha1.Healthy, ""},
		{"no monitor", "SUCCESS", failed("NO_MONITOR"), v1alpha1.Healthy, ""},
		{"a member down", "SUCCESS", failed("DEGRADED", 1), v1alpha1.Degraded,
			"LB0606 Octavia says DEGRADED since 5m: 192.0.2.2:30080 fails its check since 2m"},
		{"all down", "SUCCESS", failed("ERROR", 0, 1), v1alpha1.Down, "LB0606 Octavia says ERROR since 5m: 192.0.2.1:30080 fails its " +
			"check since 2m, 192.0.2.2:30080 fails its check since 2m"},
		{"being made", "PENDING : Octavia is at work on it (PENDING_CREATE)", failed("OFFLINE"), v1alpha1.Pending,
			"Octavia is at work on it (PENDING_CREATE)"},
		{"being changed", "SUCCESS", func(c *lb.CloudStatus) { c.Provisioning = "PENDING_UPDATE" }, v1alpha1.Healthy,
			"Octavia is at work on it (PENDING_UPDATE)"},
		{"broken", "ERROR : LB0604 load balancer id is in ERROR", func(c *lb.CloudStatus) { c.Provisioning = "ERROR" },
			v1alpha1.Error, "LB0604 load balancer id is in ERROR"},
		{"stuck", "SUCCESS", stuck("PENDING_UPDATE"), v1alpha1.Degraded, "LB0605 load balancer id has been in PENDING_UPDATE"},
		{"stuck while it is made", "PENDING : stuck in PENDING_CREATE", stuck("PENDING_CREATE"), v1alpha1.Pending,
			"LB0605 load balancer id has been in PENDING_CREATE"},
	} {
		got := Build(Snapshot{Objects: []corev1.ConfigMap{cloudObject(t, c.status, c.change)}, Documents: &Documents{}, Now: now()})
		if st := got.Items[0].Status; st.State != c.state || st.Reason != c.reason {
			t.Errorf("%s: %s, %q", c.name, st.State, st.Reason)
		}
	}
}

// An object that nothing is known of yet, and one whose annotation somebody has spoilt, are shown as far as they go.
func TestCloudUnknown(t *testing.T) {
	object := cloudObject(t, "", func(*lb.CloudStatus) {})
	object.Annotations = nil
	spoilt := cloudObject(t, "SUCCESS", func(*lb.CloudStatus) {})
	spoilt.Annotations[configmap.AnnotationCloud] = `{"id":`
	for want, cm := range map[string]corev1.ConfigMap{
		"Pending: no controller has looked at it yet": object, "Healthy: ": spoilt,
	} {
		st := Build(Snapshot{Objects: []corev1.ConfigMap{cm}, Now: now()}).Items[0].Status
		if got := string(st.State) + ": " + st.Reason; got != want || st.Cloud == nil || st.Cloud.ID != "" {
			t.Errorf("%q, %+v", got, st.Cloud)
		}
	}
}

func TestMembers(t *testing.T) {
	st := Build(Snapshot{Now: now(), Objects: []corev1.ConfigMap{cloudObject(t, "SUCCESS", func(c *lb.CloudStatus) {
		c.Listeners[0].Pools[0].Members[1].Operating = "ERROR"
		c.Listeners = append(c.Listeners, c.Listeners[0])
	})}}).Items[0].Status
	if up, total := Members(*st.Cloud); up != 1 || total != 2 {
		t.Errorf("%d of %d", up, total)
	}
}
