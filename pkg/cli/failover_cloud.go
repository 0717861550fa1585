package cli

import (
	"context"
	"encoding/json"
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
	// cloudLimit is how long Octavia may take: a new machine boots within minutes.
	cloudLimit = 15 * time.Minute
)

// clouded is a load balancer that a cloud makes, and where it is asked.
type clouded struct {
	object  *corev1.ConfigMap
	status  lb.CloudStatus
	targets []probe.Target
	// cluster is what its tags in Octavia name the cluster by; empty where the user may not know that.
	cluster string
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
	status, err := o.cloudStatus(cm)
	if status == nil || err != nil {
		return nil, err
	}
	l := &clouded{object: cm, status: *status}
	if o.real() {
		if l.cluster, err = o.clusterUID(ctx, c); err != nil {
			return nil, err
		}
	}
	if !o.wish.NoProbe {
		l.targets = cloudTargets(cm.Data[configmap.KeyBindIP], l.status)
	}
	return l, nil
}

// cloudStatus returns what the controller has told of an object's load balancer in Octavia; nil where it has told of
// none.
func (p *program) cloudStatus(cm *corev1.ConfigMap) (*lb.CloudStatus, error) {
	text := cm.Annotations[configmap.AnnotationCloud]
	if text == "" {
		return nil, nil //nolint:nilnil // the controller has told of no cloud
	}
	var s lb.CloudStatus
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("annotation %s of configmap %s: %w", configmap.AnnotationCloud, cm.Name, err)
	}
	if s.ID == "" {
		return nil, p.notInOctaviaYet(cm.Name)
	}
	if strings.Trim(s.ID, "0123456789abcdefABCDEF-") != "" { // it becomes a part of URLs
		return nil, fmt.Errorf("annotation %s of configmap %s: %q is no ID", configmap.AnnotationCloud, cm.Name, s.ID)
	}
	return &s, nil
}

func (p *program) notInOctaviaYet(name string) error {
	return fmt.Errorf("%s is not in Octavia yet; '%s status %s' says why", name, p.display, name)
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
	operator, now := o.operator(), octavia.Found{Name: l.status.Name}
	if o.real() {
		var err error
		if now, err = o.findOwn(ctx, operator, l.cluster, l.object, l.status); err != nil {
			return err
		}
	}
	o.note("Octavia is to fail over load balancer %s (%s), which replaces what carries it.", now.Name, l.status.ID)
	if len(places) > 0 {
		o.note("These are asked meanwhile: %s", strings.Join(places, ", "))
	}
	if !o.real() {
		return nil
	}
	if now.Provisioning != "ACTIVE" && !o.force {
		return fmt.Errorf("it is %s; --force goes on all the same", now.Provisioning)
	}
	if err := o.confirm(ctx, o.program); err != nil {
		return err
	}
	prober := probe.Start(context.WithoutCancel(ctx), l.targets, probe.Options{
		Interval: cloudProbe, Timeout: o.wish.ProbeTimeout, UserAgent: userAgent(),
	})
	begin := time.Now()
	took, err := failCloudOver(ctx, operator, l.status.ID)
	if err == nil && len(l.targets) > 0 {
		pause(ctx, o.wish.Hold)
	}
	tracks := prober.Stop()
	if err != nil {
		return err
	}
	return o.cloudResult(l, tracks, begin, took, budget)
}

// failCloudOver asks for a failover and waits for its end.
func failCloudOver(ctx context.Context, operator *octavia.Operator, id string) (time.Duration, error) {
	begin := time.Now()
	if err := operator.Failover(ctx, id); err != nil {
		return 0, failoverRefused(id, err)
	}
	w := waiting{timeout: cloudLimit}
	s, err := w.untilOver(ctx, operator, id)
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("load balancer %s: interrupted; Octavia goes on with the failover", id)
	case err != nil:
		return 0, err
	}
	took := time.Since(begin)
	return took, endedWell(id, s, took.Round(100*time.Millisecond))
}

// untilOver waits until Octavia is no longer at work on a load balancer. That it does not answer for a moment is no
// end.
func (w *waiting) untilOver(ctx context.Context, operator *octavia.Operator, id string) (octavia.Statuses, error) {
	var last octavia.Statuses
	err := w.until(ctx, func(ctx context.Context) (string, error) {
		s, err := operator.Look(ctx, id)
		switch {
		case octavia.Passes(err):
			return "Octavia does not answer: " + err.Error(), nil
		case err != nil:
			return "", fmt.Errorf("load balancer %s: the failover was ordered, but cannot be watched: %w", id, err)
		case s.Working():
			return "it is " + s.Provisioning, nil
		}
		last = s
		return "", nil
	})
	return last, lateError("load balancer "+id+": the failover is not over, and Octavia goes on with it", err)
}

// endedWell is an error unless the load balancer is ACTIVE.
func endedWell(id string, s octavia.Statuses, took time.Duration) error {
	if s.Provisioning == "ACTIVE" {
		return nil
	}
	return &advised{
		fmt.Errorf("load balancer %s: the failover has ended after %s, and it is %s/%s", id, took, s.Provisioning,
			s.Operating),
		"The log of octavia-worker has the cause, which is a matter for who runs the cloud. Another failover may be tried " +
			"at once.",
	}
}

// failoverRefused words an answer of Octavia, with what to do about it.
func failoverRefused(id string, err error) error {
	told := fmt.Errorf("load balancer %s: %w", id, err)
	switch {
	case octavia.Denied(err):
		return &advised{told, "A failover needs the role load-balancer_admin. Who runs the cloud can give it to you " +
			"(openstack role add --user USER --project PROJECT load-balancer_admin), or fail it over " +
			"(openstack loadbalancer failover " + id + ")."}
	case octavia.NoLogin(err):
		return &advised{told, "The credentials are those that the openstack command would use: the variables OS_*, or a " +
			"clouds.yaml."}
	}
	return told
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
