package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// rolling is a Deployment whose pods go on for a moment after they are told to end.
const rolling = `apiVersion: v1
kind: Service
metadata: {name: rolling, namespace: default}
spec:
  selector: {app: rolling}
  ports: [{name: http, port: 80, targetPort: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling, namespace: default}
spec:
  replicas: 20
  selector: {matchLabels: {app: rolling}}
  template:
    metadata: {labels: {app: rolling}}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
        - name: hello
          image: nginxdemos/hello
          lifecycle: {preStop: {sleep: {seconds: 5}}}
`

// rollout replaces twenty pods under load, behind a load balancer that goes to the Service and one that goes to them.
func (b *bench) rollout(ctx context.Context) error {
	return b.on(ctx, 3, 2, func(r *rig.Rig) error {
		if err := r.Apply(ctx, rolling); err != nil {
			return err
		}
		if err := errors.Join(rollStatus(ctx, r), r.WaitService(ctx, "default", "rolling")); err != nil {
			return err
		}
		for _, mode := range []string{"service", "endpoints"} {
			if err := b.roll(ctx, r, mode); err != nil {
				return fmt.Errorf("upstream %s: %w", mode, err)
			}
		}
		return nil
	})
}

func rollStatus(ctx context.Context, r *rig.Rig) error {
	_, err := r.MustKubectl(ctx, "", "rollout", "status", "deployment/rolling", "--timeout=180s")
	return err
}

func (b *bench) roll(ctx context.Context, r *rig.Rig, mode string) error {
	address, err := served(ctx, r, "by-"+mode, "target-service-name", "rolling", "protocol", "HTTP", "upstream", mode)
	if err != nil {
		return err
	}
	before, err := reloads(ctx, r)
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
	_, err = r.MustKubectl(ctx, "", "rollout", "restart", "deployment/rolling")
	err = errors.Join(err, rollStatus(ctx, r))
	what := fmt.Sprintf("20 pods replaced, upstream %s: ", mode)
	probed := fresh.StopAfter(8 * time.Second) // the last pods end
	b.judge(what+"new connections", "0 failed", probed.Failed == 0, "%s", brief(probed))
	failed, _, said := kept.stop()
	b.judge(what+"kept connections", "0 failed", failed == 0, "%s", said)
	after, errAfter := reloads(ctx, r)
	if mode == "endpoints" {
		b.report(what+"reloads of nginx on a node", "%d", after-before)
	} else {
		b.judge(what+"reloads of nginx on a node", "0", after == before, "%d", after-before)
	}
	return errors.Join(err, errAfter)
}
