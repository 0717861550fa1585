package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// echo is the tea pods' web server and TCP echo as one Service.
const echo = `apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  selector: {app: tea}
  ports:
    - {name: http, port: 80, targetPort: 80}
    - {name: tcp, port: 7, targetPort: 7}
`

// loadBalancer is a ConfigMap of keys and values.
func loadBalancer(name string, pairs ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "loadbalancer"}},
		Data:       map[string]string{},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		cm.Data[pairs[i]] = pairs[i+1]
	}
	return cm
}

// served creates a load balancer and returns its address once it is served.
func served(ctx context.Context, r *rig.Rig, name string, pairs ...string) (string, error) {
	_, err := r.Client.CoreV1().ConfigMaps("default").Create(ctx, loadBalancer(name, pairs...), metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return r.WaitServing(ctx, "default", name)
}

// changing makes changes of neighbours while one load balancer is loaded.
func (b *bench) changing(ctx context.Context) error {
	return b.on(ctx, 3, 2, func(r *rig.Rig) error {
		if err := errors.Join(r.Apply(ctx, echo), r.WaitService(ctx, "default", "echo")); err != nil {
			return err
		}
		address, err := served(ctx, r, "loaded", "target-service-name", "echo", "ports", "80/HTTP,7/TCP")
		if err != nil {
			return err
		}
		before, err := reloads(ctx, r)
		if err != nil {
			return err
		}
		long, err := open(ctx, r, address)
		if err != nil {
			return err
		}
		kept, err := gather(ctx, r, address)
		if err != nil {
			return err
		}
		fresh, err := r.Probe(ctx, "client", address)
		if err != nil {
			return err
		}
		err = b.churn(ctx, r)
		what := fmt.Sprintf("%d changes of neighbours in %s: ", b.changes, b.within)
		probed := fresh.StopAfter(2 * time.Second)
		b.judge(what+"new connections", "0 failed", probed.Failed == 0, "%s", brief(probed))
		failed, sent, said := kept.stop()
		b.judge(what+"kept connections", "≤ 1 in 10,000 failed", failed*10_000 <= sent, "%s", said)
		broken, said := long.stop()
		b.judge(what+"long TCP streams", "0 broken (they have 240 s)", broken == 0, "%s", said)
		after, errAfter := reloads(ctx, r)
		b.report(what+"reloads of nginx on a node", "%d", after-before)
		return errors.Join(err, errAfter)
	})
}

// churn creates, changes twice and deletes load balancers, one change after the other.
func (b *bench) churn(ctx context.Context, r *rig.Rig) error {
	maps := r.Client.CoreV1().ConfigMaps("default")
	tick := time.NewTicker(b.within / time.Duration(b.changes))
	defer tick.Stop()
	for i := range b.changes {
		cm := loadBalancer(fmt.Sprintf("churn-%03d", i/4), "target-service-name", "tea", "protocol", "HTTP")
		var err error
		switch i % 4 {
		case 0:
			_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
		case 1:
			cm.Data["host"] = "a.example.com"
			_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
		case 2:
			cm.Data["bind-port"] = "8080"
			_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
		case 3:
			err = maps.Delete(ctx, cm.Name, metav1.DeleteOptions{})
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// brief says what a prober saw, without a list of the outages.
func brief(r rig.Report) string {
	return fmt.Sprintf("%d of %d requests failed%s, longest outage %s", r.Failed, r.Sent, reasons(r.Reasons),
		r.Outage().Round(time.Millisecond))
}

// reloads returns how often the first node's nginx was reloaded, as its daemon counts.
func reloads(ctx context.Context, r *rig.Rig) (int, error) {
	page, err := r.Get(ctx, r.LBNodes()[0], "http://127.0.0.1:9445/metrics")
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range strings.Lines(page) {
		var n int
		name, rest, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(name, `kubectl_lb_daemon_reloads_total{`) && strings.Contains(name, `"nginx"`) {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				return 0, fmt.Errorf("%q: %w", line, err)
			}
			sum += n
		}
	}
	return sum, nil
}
