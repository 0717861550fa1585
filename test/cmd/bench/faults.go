package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// victim creates the load balancer that is probed while something happens to others.
func (b *bench) victim(ctx context.Context, name string) (address string, err error) {
	_, err = b.rig.Client.CoreV1().ConfigMaps("default").Create(ctx, loadBalancer(name), metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return b.rig.WaitServing(ctx, "default", name)
}

// churn adds, changes and removes fifty load balancers while another one is probed.
func (b *bench) churn(ctx context.Context) error {
	address, err := b.victim(ctx, "churned")
	if err != nil {
		return err
	}
	p, err := b.rig.Probe(ctx, "client", address)
	if err != nil {
		return err
	}
	maps := b.rig.Client.CoreV1().ConfigMaps("default")
	write := func(do func(cm *corev1.ConfigMap) error) error {
		for i := range 50 {
			if err := do(loadBalancer(fmt.Sprintf("churn-%02d", i))); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // as a pipeline would, not as one burst
		}
		return nil
	}
	err = errors.Join(
		write(func(cm *corev1.ConfigMap) error {
			_, err := maps.Create(ctx, cm, metav1.CreateOptions{})
			return err
		}),
		write(func(cm *corev1.ConfigMap) error {
			cm.Data["bind-port"], cm.Data["target-port"] = "8080", "80"
			_, err := maps.Update(ctx, cm, metav1.UpdateOptions{})
			return err
		}),
		write(func(cm *corev1.ConfigMap) error { return maps.Delete(ctx, cm.Name, metav1.DeleteOptions{}) }),
	)
	report := p.StopAfter(2 * time.Second)
	b.report("50 neighbours added, changed and removed", "0 failed probes", "%s", report)
	return err
}

// restarts kills the controller that leads, then the daemon of the node that holds the address.
func (b *bench) restarts(ctx context.Context) error {
	address, err := b.victim(ctx, "restarts")
	if err != nil {
		return err
	}
	before, err := b.rig.Holders(address)
	if err != nil || len(before) != 1 {
		return errors.Join(fmt.Errorf("%s is held by %v", address, before), err)
	}
	leader, err := b.rig.Leader(ctx)
	if err != nil {
		return err
	}
	measure := func(what string, do func() error) error {
		p, err := b.rig.Probe(ctx, "client", address)
		if err != nil {
			return err
		}
		if err := do(); err != nil {
			p.Stop()
			return err
		}
		report := p.StopAfter(15 * time.Second)
		after, err := b.rig.Holders(address)
		b.report(what, "0 failed probes, no address moves", "%s; held by %v before and %v after", report, before, after)
		return err
	}
	if err := measure("controller killed", func() error {
		_, err := b.rig.MustKubectl(ctx, "", "-n", rig.SystemNamespace, "delete", "pod", leader,
			"--force", "--grace-period=0")
		return err
	}); err != nil {
		return err
	}
	return measure("lb-daemon killed and restarted", func() error { return b.rig.Lab.KillDaemon(before[0]) })
}

// apiOutage stops the API server; then a node dies as well.
func (b *bench) apiOutage(ctx context.Context) error {
	address, err := b.victim(ctx, "outage")
	if err != nil {
		return err
	}
	holders, err := b.rig.Holders(address)
	if err != nil || len(holders) != 1 {
		return errors.Join(fmt.Errorf("%s is held by %v", address, holders), err)
	}
	if err := b.rig.Lab.APIDown(ctx); err != nil {
		return err
	}
	p, err := b.rig.Probe(ctx, "client", address)
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("API server away for %s", b.outage), "0 failed probes", "%s", p.StopAfter(b.outage))
	if p, err = b.rig.Probe(ctx, "client", address); err != nil {
		return err
	}
	if err := b.rig.Lab.LinkDown(holders[0]); err != nil {
		return err
	}
	report := p.StopAfter(5 * time.Second)
	b.report("… and the node that holds the address lost", "fails over", "outage %s; answers again: %t",
		report.Outage().Round(time.Millisecond), report.Ended())
	err = errors.Join(b.rig.Lab.LinkUp(holders[0]), b.rig.Lab.APIUp(ctx), b.afterOutage(ctx))
	return errors.Join(err, b.rig.WaitInstalled(ctx))
}

// afterOutage measures how long the first load balancer after an outage takes: a leader must be found, and all watches
// must be opened again.
func (b *bench) afterOutage(ctx context.Context) error {
	begun := time.Now()
	if _, err := b.victim(ctx, "after-outage"); err != nil {
		return err
	}
	b.report("… and the API server back, a new load balancer: status SUCCESS", "–", "%s",
		time.Since(begun).Round(100*time.Millisecond))
	return nil
}
