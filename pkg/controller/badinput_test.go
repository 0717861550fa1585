package controller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// TestBadInput: each fault gets its finding on the object, as status and Event, harms nobody else, and clears when
// mended.
func TestBadInput(t *testing.T) {
	const pool = "10.88.0.1-10.88.0.3"
	for _, tc := range []struct {
		name string
		data map[string]string
		// want begins the status after "ERROR : ", hint is in it too.
		want, hint string
		// mend is merged over the data; nil has the test's world mended.
		mend  map[string]string
		world func(r *rig)
	}{
		{
			name: "unknown Service", data: map[string]string{"target-service-name": "cofee"},
			want: "LB0201 data[target-service-name]", hint: "cofee",
			mend: map[string]string{"target-service-name": "coffee"},
		},
		{
			name: "Service without ports", data: map[string]string{"target-service-name": "portless"},
			want: "LB0202 data[target-service-name]", hint: "portless",
			mend: map[string]string{"target-service-name": "coffee"},
		},
		{
			name: "port out of range", data: map[string]string{"target-service-name": "coffee", "bind-port": "70000"},
			want: "LB0103 data[bind-port]", hint: "70000", mend: map[string]string{"bind-port": "7000"},
		},
		{
			name: "port not a number", data: map[string]string{"target-service-name": "coffee", "bind-port": "eighty"},
			want: "LB0103 data[bind-port]", hint: "eighty", mend: map[string]string{"bind-port": "80"},
		},
		{
			name: "address and port taken",
			data: map[string]string{"target-service-name": "coffee", "requested-ip": "10.88.0.1", "bind-port": "80"},
			want: "LB0303 data[requested-ip]", hint: "10.88.0.1", mend: map[string]string{"requested-ip": "10.88.0.2"},
		},
		{
			name: "address taken",
			data: map[string]string{"target-service-name": "coffee", "requested-ip": "10.88.0.1", "bind-port": "81"},
			want: "LB0302 data[requested-ip]", hint: "10.88.0.1", mend: map[string]string{"requested-ip": "10.88.0.2"},
		},
		{
			name: "address outside the pools",
			data: map[string]string{"target-service-name": "coffee", "requested-ip": "10.99.0.1"},
			want: "LB0301 data[requested-ip]", hint: "10.99.0.1", mend: map[string]string{"requested-ip": "10.88.0.3"},
		},
		{
			name: "pool exhausted", data: map[string]string{"target-service-name": "coffee"}, want: "LB0304",
			world: func(r *rig) { r.waitStatus(r.coffee("b"), "SUCCESS"); r.waitStatus(r.coffee("c"), "SUCCESS") },
		},
		{
			name: "misspelt key", data: map[string]string{"target-service-name": "coffee", "bind_port": "80"},
			want: "LB0101 data[bind_port]", hint: "bind-port", mend: map[string]string{"bind_port": ""},
		},
		{
			name: "ambiguous target port", data: map[string]string{"target-service-name": "several", "bind-port": "80"},
			want: "LB0105", hint: "8443", mend: map[string]string{"target-port": "8080"},
		},
		{
			name: "another namespace's Service", want: "LB0204 data[namespace]",
			data:  map[string]string{"target-service-name": "secret", "namespace": "other"},
			world: func(r *rig) { r.namespace("other"); r.service("other", "secret", 80) },
			mend:  map[string]string{"target-service-name": "open"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, pool)
			r.service("default", "several", 8080, 8443)
			r.portless()
			if tc.world != nil {
				tc.world(r)
			}
			if tc.mend["target-service-name"] == "open" {
				s := r.service("other", "open", 80)
				s.Annotations = map[string]string{configmap.AnnotationAllowFrom: "default"}
				r.must(r.client.Update(t.Context(), s))
			}
			neighbour := r.waitStatus(r.coffee("a"), "SUCCESS")
			bad := r.configMap("default", "bad", tc.data)
			now := r.waitStatus(bad, "ERROR : "+tc.want)
			if !strings.Contains(now.Data["status"], tc.hint) {
				t.Errorf("status %q does not say %q", now.Data["status"], tc.hint)
			}
			t.Log(now.Data["status"])
			if ip, ok := now.Data["bind-ip"]; ok {
				t.Errorf("bind-ip %q", ip)
			}
			r.waitEvent(bad, corev1.EventTypeWarning, "Invalid", strings.TrimPrefix(now.Data["status"], "ERROR : "))
			r.mend(now, tc.mend)
			mended := r.waitStatus(bad, "SUCCESS")
			if mended.Data["bind-ip"] == neighbour.Data["bind-ip"] {
				t.Errorf("it shares %s with its neighbour", mended.Data["bind-ip"])
			}
			r.waitEvent(bad, corev1.EventTypeNormal, "Recovered", "")
			if tc.mend != nil {
				if after := r.get(neighbour); after.ResourceVersion != neighbour.ResourceVersion {
					t.Errorf("the neighbour was touched: %v", after.Data)
				}
			}
		})
	}
}

// TestLastGoodVersionServes breaks one that serves: it goes on serving as it was.
func TestLastGoodVersionServes(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.3")
	cm := r.waitStatus(r.coffee("a"), "SUCCESS")
	entry := r.desired(t.Context()).LoadBalancers()[0]
	cm.Data["bind-port"] = "http"
	r.must(r.client.Update(t.Context(), cm))
	now := r.waitStatus(cm, "ERROR : LB0103")
	if now.Data["bind-ip"] != "10.88.0.1" {
		t.Errorf("bind-ip %q", now.Data["bind-ip"])
	}
	if got := r.desired(t.Context()).LoadBalancers(); len(got) != 1 || got[0].Revision != entry.Revision {
		t.Errorf("served: %v", got)
	}
	now.Data["bind-port"] = "8080"
	r.must(r.client.Update(t.Context(), now))
	r.waitStatus(cm, "SUCCESS")
	if got := r.desired(t.Context()).LoadBalancers(); got[0].Listeners[0].Port != 8080 {
		t.Errorf("served: %v", got)
	}
}

// portless creates a headless Service without ports, the only kind that the API server allows to have none.
func (r *rig) portless() { r.service("default", "portless") }

// mend sets keys, or removes them where the value is empty; without any it makes room by deleting default/b.
func (r *rig) mend(cm *corev1.ConfigMap, keys map[string]string) {
	r.t.Helper()
	if keys == nil {
		b := corev1.ConfigMap{}
		b.Namespace, b.Name = "default", "b"
		r.must(r.client.Delete(r.t.Context(), &b))
		return
	}
	for k, v := range keys {
		if v == "" {
			delete(cm.Data, k)
		} else {
			cm.Data[k] = v
		}
	}
	r.must(r.client.Update(r.t.Context(), cm))
}
