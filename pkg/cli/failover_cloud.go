package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/probe"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

const (
	// cloudProbe is how often a load balancer of Octavia is asked during its failover.
	cloudProbe = 20 * time.Millisecond
	// cloudLook is how often Octavia is asked how far it is, and cloudLimit how long it may take.
	cloudLook  = time.Second
	cloudLimit = 15 * time.Minute
)

// clouded is a load balancer that a cloud makes, and where it is asked.
type clouded struct {
	object  *corev1.ConfigMap
	status  lb.CloudStatus
	targets []probe.Target
}

// cloudOf returns the load balancer of Octavia that is named; nil where it is none.
func (o *failoverOptions) cloudOf(ctx context.Context, c *cluster) (*clouded, error) {
	if o.name == "" {
		return nil, nil //nolint:nilnil // an address or a node is the software backend's
	}
	cm, err := c.CoreV1().ConfigMaps(c.namespace).Get(ctx, o.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil //nolint:nilnil // the other way needs no leave to read it, and says what is near
	}
	if err != nil {
		return nil, err
	}
	text := cm.Annotations[configmap.AnnotationCloud]
	if text == "" {
		return nil, nil //nolint:nilnil // the controller has told of no cloud
	}
	l := &clouded{object: cm}
	if err := json.Unmarshal([]byte(text), &l.status); err != nil {
		return nil, fmt.Errorf("annotation %s of configmap %s: %w", configmap.AnnotationCloud, o.name, err)
	}
	if l.status.ID == "" {
		return nil, fmt.Errorf("%s is not in Octavia yet; '%s status %s' says why", o.name, o.display, o.name)
	}
	if !o.wish.NoProbe {
		l.targets = cloudTargets(cm.Data[configmap.KeyBindIP], l.status)
	}
	return l, nil
}

// cloudTargets are the ports that can be asked: those of TCP, whose names the controller has made.
func cloudTargets(bound string, s lb.CloudStatus) (out []probe.Target) {
	for text := range strings.SplitSeq(bound, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		for _, l := range s.Listeners {
			protocol, number, _ := strings.Cut(l.Name, "-")
			port, err := strconv.ParseUint(number, 10, 16)
			if err == nil && (protocol == "tcp" || protocol == "http") {
				out = append(out, probe.Target{
					Address: netip.AddrPortFrom(a, uint16(port)), HTTP: protocol == "http", Path: "/",
				})
			}
		}
	}
	return out
}

// runCloud has Octavia fail a load balancer over, and measures what that costs. What else of the flags is about nodes
// means nothing here.
func (o *failoverOptions) runCloud(ctx context.Context, l *clouded, budget time.Duration) error {
	var places []string
	for _, t := range l.targets {
		places = append(places, t.Address.String())
	}
	o.note("Octavia is to fail over load balancer %s (%s), which replaces what carries it.", l.status.Name, l.status.ID)
	if len(places) > 0 {
		o.note("These are asked meanwhile: %s", strings.Join(places, ", "))
	}
	if !o.real() {
		return nil
	}
	if l.status.Provisioning != "ACTIVE" && !o.force {
		return fmt.Errorf("it is %s; --force goes on all the same", l.status.Provisioning)
	}
	if err := o.confirm(); err != nil {
		return err
	}
	prober := probe.Start(context.WithoutCancel(ctx), l.targets, probe.Options{
		Interval: cloudProbe, Timeout: o.wish.ProbeTimeout, UserAgent: userAgent(),
	})
	begin := time.Now()
	took, err := failCloudOver(ctx, o.operator(), l.status.ID)
	if err == nil && len(l.targets) > 0 {
		pause(ctx, o.wish.Hold)
	}
	tracks := prober.Stop()
	if err != nil {
		return fmt.Errorf("load balancer %s: %w", l.status.ID, err)
	}
	return o.cloudResult(l, tracks, begin, took, budget)
}

// failCloudOver asks for a failover and waits for its end.
func failCloudOver(ctx context.Context, operator *octavia.Operator, id string) (time.Duration, error) {
	begin := time.Now()
	if err := operator.Failover(ctx, id); err != nil {
		return 0, fmt.Errorf("%w (a failover needs the role load-balancer_admin, and the credentials that the openstack "+
			"command would use)", err)
	}
	limited, cancel := context.WithTimeout(ctx, cloudLimit)
	defer cancel()
	for pause(limited, cloudLook) {
		s, err := operator.Look(limited, id)
		switch {
		case limited.Err() != nil:
		case err != nil:
			return 0, fmt.Errorf("the failover was ordered, but cannot be watched: %w", err)
		case !s.Working() && s.Provisioning != "ACTIVE":
			return 0, fmt.Errorf("after the failover it is %s", s.Provisioning)
		case !s.Working():
			return time.Since(begin), nil
		}
	}
	if ctx.Err() != nil {
		return 0, errors.New("interrupted; Octavia goes on with the failover")
	}
	return 0, fmt.Errorf("the failover is not over after %s; Octavia goes on with it", cloudLimit)
}

// cloudResult says how it went, and whether that is within the budget, if there is one.
func (o *failoverOptions) cloudResult(
	l *clouded, tracks []drill.Track, begin time.Time, took, budget time.Duration,
) error {
	now, blown := time.Now(), false
	fmt.Fprintf(o.Out, "Octavia took %s.\n", took.Round(100*time.Millisecond))
	for i, t := range l.targets {
		gap := tracks[i].Longest(begin, now, now)
		line := fmt.Sprintf("%s: %d probes, %d answered, longest gap %s", t.Address, tracks[i].Sent, tracks[i].Answered,
			gap.Round(time.Millisecond))
		if tracks[i].Answered == 0 {
			line += "; it has never answered from here"
		}
		if budget > 0 && (gap > budget || tracks[i].Answered == 0) {
			line, blown = line+"; FAILED, the budget is "+budget.String(), true
		}
		fmt.Fprintln(o.Out, line)
	}
	if blown {
		return errFindings
	}
	return nil
}
