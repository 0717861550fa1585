package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

const cloudID = "5f505f48-a521-4f50-83a9-40eae1a63a44"

// cloudy is an object of the cloud's in a state; members are the operating statuses of its members.
func cloudy(t *testing.T, now time.Time, name, status, provisioning, operating string, members ...string) corev1.ConfigMap {
	t.Helper()
	pool := lb.CloudPool{Name: "tcp-80", Provisioning: "ACTIVE", Operating: operating}
	for i, m := range members {
		pool.Members = append(pool.Members, lb.CloudMember{
			Address: fmt.Sprintf("192.0.2.%d:30080", i+1), Provisioning: "ACTIVE", Operating: m, Since: now.Add(-2 * time.Minute),
		})
	}
	var findings []lb.Finding
	if provisioning == "PENDING_UPDATE" {
		findings = []lb.Finding{{Code: lb.CodeCloudStuck, Message: "load balancer " + cloudID + " has been in PENDING_UPDATE for " +
			"more than 10m; Octavia takes no order until an operator has set its status right"}}
	}
	text, err := json.Marshal(lb.CloudStatus{
		Provider: lb.ProviderOctavia, ID: cloudID, Name: "default-" + name + "-loadbalancer", Provisioning: provisioning,
		Operating: operating, Since: now.Add(-5 * time.Minute), Findings: findings,
		Listeners: []lb.CloudListener{{Name: "tcp-80", Provisioning: "ACTIVE", Operating: operating, Pools: []lb.CloudPool{pool}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
			Finalizers: []string{configmap.Finalizer}, Annotations: map[string]string{configmap.AnnotationCloud: string(text)},
		},
		Data: map[string]string{
			"target-service-name": "tea", "bind-port": "80", "provider": "octavia", "bind-ip": "203.0.113.9", "status": status,
		},
	}
}

// TestStatusOfACloud shows load balancers of Octavia in each state, in the list and one by one.
func TestStatusOfACloud(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	list := view.Build(view.Snapshot{Now: now, Documents: &view.Documents{}, Objects: []corev1.ConfigMap{
		cloudy(t, now, "healthy", "SUCCESS", "ACTIVE", "ONLINE", "ONLINE", "ONLINE"),
		cloudy(t, now, "degraded", "SUCCESS", "ACTIVE", "DEGRADED", "ONLINE", "ERROR"),
		cloudy(t, now, "broken", "ERROR : LB0604 load balancer "+cloudID+" is in ERROR, and takes no change; have it "+
			"failed over (kubectl lb failover run broken)", "ERROR", "ONLINE", "ONLINE", "ONLINE"),
		cloudy(t, now, "stuck", "SUCCESS", "PENDING_UPDATE", "ONLINE", "ONLINE", "ONLINE"),
	}})
	var out bytes.Buffer
	o := statusOptions{output: printer.NewTableFlags(), program: &program{
		IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, now: func() time.Time { return now },
	}}
	if err := o.showTable(list.Items, o.tableOptions(o.output)); err != nil {
		t.Fatal(err)
	}
	o.showReasons(list.Items)
	for _, s := range list.Items {
		fmt.Fprintln(&out)
		if err := o.showTree(s); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, filepath.Join("testdata", "status-cloud.golden"), out.String())
}
