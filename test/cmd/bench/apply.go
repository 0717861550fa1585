package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// stages are the times from the API server's answer to the creation until each thing was seen.
type stages struct{ assigned, answers, success time.Duration }

// rest is the pause before each trial: the daemons take a storm of changes in fewer reloads, and a trial right after
// another would wait for its turn.
const rest = 2 * time.Second

// apply measures how long it takes from a ConfigMap to an address that answers.
func (b *bench) apply(ctx context.Context) error {
	var all []stages
	for i := range b.trials {
		time.Sleep(rest)
		s, err := b.trial(ctx, fmt.Sprintf("apply-%03d", i))
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	column := func(pick func(stages) time.Duration) string {
		var ds []time.Duration
		for _, s := range all {
			ds = append(ds, pick(s))
		}
		return distribution(ds)
	}
	b.report("ConfigMap applied → bind-ip written", "–", "%s", column(func(s stages) time.Duration { return s.assigned }))
	b.report("ConfigMap applied → address answers", "median ≤ 150 ms, p95 ≤ 300 ms", "%s",
		column(func(s stages) time.Duration { return s.answers }))
	b.report("ConfigMap applied → status SUCCESS", "–", "%s", column(func(s stages) time.Duration { return s.success }))
	return nil
}

// trial creates one load balancer, follows it until it serves, and deletes it.
func (b *bench) trial(ctx context.Context, name string) (stages, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	maps := b.rig.Client.CoreV1().ConfigMaps("default")
	w, err := maps.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return stages{}, err
	}
	defer w.Stop()
	if _, err := maps.Create(ctx, loadBalancer(name), metav1.CreateOptions{}); err != nil {
		return stages{}, err
	}
	begun := time.Now()
	defer func() { // the next trial finds everything as this one did
		_ = maps.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
	}()
	var s stages
	answers := make(chan error, 1)
	for s.answers == 0 || s.success == 0 {
		select {
		case e, open := <-w.ResultChan():
			if !open {
				return s, fmt.Errorf("%s: watch ended", name)
			}
			if ip := s.see(e, begun); ip != "" {
				go func() { answers <- b.untilAnswered(ctx, ip, 2*time.Millisecond) }()
			}
		case err := <-answers:
			if err != nil {
				return s, fmt.Errorf("%s: %w", name, err)
			}
			s.answers = time.Since(begun)
		case <-ctx.Done():
			return s, fmt.Errorf("%s: after 30 s: %+v", name, s)
		}
	}
	return s, nil
}

// see takes the times of what an event shows first, and returns the address when it is new.
func (s *stages) see(e watch.Event, begun time.Time) (address string) {
	cm, ok := e.Object.(*corev1.ConfigMap)
	if !ok || e.Type == watch.Deleted {
		return ""
	}
	if ip := cm.Data["bind-ip"]; ip != "" && s.assigned == 0 {
		s.assigned = time.Since(begun)
		address = ip
	}
	if cm.Data["status"] == "SUCCESS" && s.success == 0 {
		s.success = time.Since(begun)
	}
	return address
}

// untilAnswered asks an address until it answers, with a pause between a failure and the next request; each may take 25
// pauses.
func (b *bench) untilAnswered(ctx context.Context, ip string, pause time.Duration) error {
	if _, err := netip.ParseAddr(ip); err != nil {
		return err
	}
	for {
		one, cancel := context.WithTimeout(ctx, 25*pause)
		res, err := b.rig.Request(one, "client", ip+":80", ip, "/")
		cancel()
		if err == nil && res.Code == 200 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", ip, err)
		case <-time.After(pause):
		}
	}
}

// loadBalancer is a ConfigMap in front of the coffee Service.
func loadBalancer(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "loadbalancer"}},
		Data:       map[string]string{"target-service-name": "coffee-svc", "bind-port": "80"},
	}
}

// distribution says it in milliseconds: median, p95, max and the number of trials.
func distribution(ds []time.Duration) string {
	slices.Sort(ds)
	at := func(p float64) int64 { return ds[min(int(p*float64(len(ds))), len(ds)-1)].Milliseconds() }
	return fmt.Sprintf("median %d ms, p95 %d ms, max %d ms (%d trials)", at(0.5), at(0.95), at(1), len(ds))
}
