package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// report writes the Pod's status each time that it changed, trying until it is written.
func (r *podRunner) report(ctx context.Context) {
	r.changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.dirty:
		}
		for ctx.Err() == nil {
			err := r.writeStatus(ctx)
			if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(retryPeriod / 4):
			}
		}
	}
}

func (r *podRunner) writeStatus(ctx context.Context) error {
	if !r.node.online(ctx) {
		return fmt.Errorf("node %s is cut off", r.node.Name)
	}
	patch, err := statusPatch(r.spec.UID, r.status())
	if err != nil {
		return err
	}
	_, err = r.k.opts.Client.CoreV1().Pods(r.spec.Namespace).
		Patch(ctx, r.spec.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// statusPatch is for the Pod of that id and never for another of its name. A message that is no more must be taken
// away by name: what a patch leaves out stays.
func statusPatch(uid types.UID, status corev1.PodStatus) ([]byte, error) {
	plain, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return nil, err
	}
	if status.Message == "" {
		plain["message"] = nil
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": plain})
}

// removeObject takes the object away after the Pod has ended, which is what completes its deletion.
func (r *podRunner) removeObject() {
	now := int64(0)
	for {
		err := fmt.Errorf("node %s is cut off", r.node.Name)
		if r.node.online(r.ctx) {
			err = r.k.opts.Client.CoreV1().Pods(r.spec.Namespace).Delete(r.ctx, r.spec.Name, metav1.DeleteOptions{
				GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &r.spec.UID},
			})
		}
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(retryPeriod / 4):
		}
	}
}

// status builds the whole status from what the containers show now.
func (r *podRunner) status() corev1.PodStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := corev1.PodStatus{Phase: r.phase(), StartTime: &metav1.Time{Time: r.started}, Message: r.message}
	for _, ip := range r.at.podIPs {
		status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: ip.String()})
	}
	for _, ip := range r.at.hostIPs {
		status.HostIPs = append(status.HostIPs, corev1.HostIP{IP: ip.String()})
	}
	status.PodIP, status.HostIP = first(r.at.podIPs), first(r.at.hostIPs)
	initialized, ready := true, true
	for _, c := range r.containers {
		s := c.status()
		if c.init {
			initialized = initialized && c.done && s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
			status.InitContainerStatuses = append(status.InitContainerStatuses, s)
			continue
		}
		ready = ready && c.ready
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	status.Conditions = []corev1.PodCondition{
		r.condition("PodReadyToStartContainers", len(r.at.podIPs) > 0, ""),
		r.condition(corev1.PodInitialized, initialized, "ContainersNotInitialized"),
		r.condition(corev1.ContainersReady, ready, "ContainersNotReady"),
		r.condition(corev1.PodReady, ready, "ContainersNotReady"),
	}
	return status
}

// condition keeps the time of the last change.
func (r *podRunner) condition(kind corev1.PodConditionType, value bool, reasonIfNot string) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reasonIfNot}
	if value {
		c.Status, c.Reason = corev1.ConditionTrue, ""
	}
	if old, ok := r.conditions[kind]; ok && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	} else {
		c.LastTransitionTime = metav1.Now()
	}
	r.conditions[kind] = c
	return c
}

func (r *podRunner) phase() corev1.PodPhase {
	begun, over, failed := false, true, false
	for _, c := range r.containers {
		bad := c.done && (c.state.Terminated == nil || c.state.Terminated.ExitCode != 0)
		failed = failed || bad
		if c.init {
			if bad {
				return corev1.PodFailed
			}
			continue
		}
		begun = begun || c.state.Running != nil || c.last.Terminated != nil
		over = over && c.done
	}
	switch {
	case over && failed:
		return corev1.PodFailed
	case over:
		return corev1.PodSucceeded
	case begun:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

func (c *container) status() corev1.ContainerStatus {
	started := c.started && c.state.Running != nil
	s := corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: "lab://" + c.spec.Image, State: c.state,
		Ready: c.ready, RestartCount: c.restarts, Started: &started,
	}
	if c.init {
		s.Ready = c.done && c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	if c.state.Terminated == nil {
		s.LastTerminationState = c.last
	}
	if c.pid > 0 {
		s.ContainerID = fmt.Sprintf("lab://%s-%s-%d", c.pod.spec.UID, c.spec.Name, c.pid)
	}
	return s
}
