package rig

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pollInterval is short because what is waited for is often measured.
const pollInterval = 10 * time.Millisecond

// wait polls until done says yes. The error at the deadline says what was last missing.
func wait(ctx context.Context, limit time.Duration, what string, done func() (bool, string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		ok, missing := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %s", limit, what, missing)
		case <-ticker.C:
		}
	}
}

// Wait polls until done says yes, every 10 ms; done also says what is missing, for the error at the deadline.
func Wait(ctx context.Context, limit time.Duration, what string, done func() (bool, string)) error {
	return wait(ctx, limit, what, done)
}

// Data returns the data of a ConfigMap, nil when there is none.
func (r *Rig) Data(ctx context.Context, namespace, name string) (map[string]string, error) {
	cm, err := r.Client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return cm.Data, nil
}

// WaitStatus waits until the status of a load balancer begins with a prefix, and returns its data.
func (r *Rig) WaitStatus(
	ctx context.Context, namespace, name, prefix string, limit time.Duration,
) (map[string]string, error) {
	var data map[string]string
	what := fmt.Sprintf("%s/%s to be %q", namespace, name, prefix)
	err := wait(ctx, limit, what, func() (bool, string) {
		var err error
		if data, err = r.Data(ctx, namespace, name); err != nil {
			return false, err.Error()
		}
		return strings.HasPrefix(data["status"], prefix), fmt.Sprintf("status is %q", data["status"])
	})
	return data, err
}

// WaitServing waits until a load balancer is SUCCESS and returns its address.
func (r *Rig) WaitServing(ctx context.Context, namespace, name string) (string, error) {
	data, err := r.WaitStatus(ctx, namespace, name, "SUCCESS", time.Minute)
	return data["bind-ip"], err
}

// NameOf returns the name of the first object in a manifest.
func NameOf(manifest string) string {
	for line := range strings.Lines(manifest) {
		if name, ok := strings.CutPrefix(line, "  name: "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// WaitService waits until a Service answers at its cluster IP on every load-balancer node: its pods are ready, and
// kube-proxy, which takes its second, has heard of them.
func (r *Rig) WaitService(ctx context.Context, namespace, name string) error {
	service, err := r.Client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, node := range r.LBNodes() {
		err := wait(ctx, 60*time.Second, name+" to answer on "+node, func() (bool, string) {
			_, err := r.Get(ctx, node, "http://"+service.Spec.ClusterIP+"/")
			return err == nil, fmt.Sprint(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
