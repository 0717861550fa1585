package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

// begin breaks something.
func (r *runner) begin(ctx context.Context, s Step) error {
	l := r.rig.Lab
	switch s.Kind {
	case KillDaemon:
		return l.KillDaemon(s.Node)
	case KillKeepalived:
		return l.Kill(s.Node, lab.Keepalived)
	case KillNginx:
		return l.Kill(s.Node, lab.Nginx)
	case Freeze:
		return l.Freeze(s.Node)
	case CutLink:
		return l.LinkDown(s.Node)
	case PowerCut:
		return l.PowerOff(ctx, s.Node)
	case Partition:
		return l.Partition(s.Node, r.clients[1])
	case Drain:
		return r.rig.Order(ctx, s.Node, &nodeconfig.Order{Drain: &nodeconfig.Drain{Since: time.Now(), By: "chaos"}})
	case Leave:
		return r.rig.Enlist(ctx, s.Node, false)
	case APIOutage:
		return l.APIDown(ctx)
	case KillController:
		return r.killControllers()
	case Storm:
		return r.storm(ctx, s)
	}
	return fmt.Errorf("no such fault: %s", s.Kind)
}

// end mends it. What was killed comes back by itself.
func (r *runner) end(ctx context.Context, s Step) error {
	l := r.rig.Lab
	switch s.Kind {
	case Freeze:
		return l.Thaw(s.Node)
	case CutLink:
		return l.LinkUp(s.Node)
	case PowerCut:
		return l.PowerOn(ctx, s.Node)
	case Partition:
		return l.Mend([]string{s.Node, r.clients[1]})
	case Drain:
		return r.rig.Order(ctx, s.Node, nil)
	case Leave:
		return r.rig.Enlist(ctx, s.Node, true)
	case APIOutage:
		return l.APIUp(ctx)
	}
	return nil
}

func (r *runner) killControllers() error {
	all, err := r.rig.Lab.AllProcesses()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Program == "lb-controller" {
			err = errors.Join(err, p.Signal(unix.SIGKILL))
		}
	}
	return err
}

// stormSize is how many load balancers a storm throws about, stormPause the time between two changes.
const (
	stormSize  = 10
	stormPause = 50 * time.Millisecond
)

// storm creates, changes and deletes load balancers until its time is over, and leaves none behind.
func (r *runner) storm(ctx context.Context, s Step) error {
	maps := r.rig.Client.CoreV1().ConfigMaps("default")
	until := time.Now().Add(s.For)
	var errs []error
	for round := 0; time.Now().Before(until); round++ {
		for i := range stormSize {
			cm := loadBalancer(fmt.Sprintf("storm-%d-%d", s.ID, i))
			cm.Data["bind-port"] = strconv.Itoa(8000 + round%100)
			var err error
			switch round % 3 {
			case 2:
				err = maps.Delete(ctx, cm.Name, metav1.DeleteOptions{})
			case 1:
				_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
			default:
				_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
			}
			errs = append(errs, err)
			if !pause(ctx, stormPause) {
				return ctx.Err()
			}
		}
	}
	// The selector of the last resort: whatever round it was, nothing stays.
	for i := range stormSize {
		_ = maps.Delete(ctx, fmt.Sprintf("storm-%d-%d", s.ID, i), metav1.DeleteOptions{})
	}
	return errors.Join(errs...)
}

// loadBalancer is a user's object in front of the example's Service.
func loadBalancer(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "loadbalancer"}},
		Data:       map[string]string{"target-service-name": "coffee-svc", "bind-port": "80", "target-port": "80"},
	}
}

// pause waits; false means that the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
