package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/sandbox"
)

const maxBackoff = 10 * time.Second

// container runs one container over and over:
//
//	waiting ─► running ─► terminated ─► (policy) ─► waiting in back-off ─► running
//
// The first restart comes at once, the next after 1, 2, 4 … 10 s; ten seconds of running forgive. While its node has no
// power a container waits.
// The fields under the runner's mutex are what the Pod's status shows.
type container struct {
	pod  *podRunner
	spec *corev1.Container
	init bool

	// Guarded by pod.mu.
	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	ready    bool
	started  bool
	done     bool
	pid      int
}

func newContainer(r *podRunner, spec *corev1.Container, init bool) *container {
	c := &container{pod: r, spec: spec, init: init}
	reason := "ContainerCreating"
	if init || len(r.spec.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	c.state.Waiting = &corev1.ContainerStateWaiting{Reason: reason}
	return c
}

// set changes what the status shows.
func (c *container) set(change func()) {
	c.pod.mu.Lock()
	change()
	c.pod.mu.Unlock()
	c.pod.changed()
}

func (c *container) wait(reason, message string) {
	c.set(func() {
		c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// run returns when the container has ended for good: true if it succeeded.
func (c *container) run() bool {
	var backoff time.Duration
	for !c.pod.stopped() {
		if !c.pod.node.power.wait(c.pod.ctx, c.pod.stop) {
			break
		}
		begun := time.Now()
		code, err := c.once()
		if err != nil {
			reason := "CreateContainerError"
			if errors.Is(err, errImage) {
				reason = "ErrImagePull"
			}
			c.wait(reason, err.Error())
			c.pod.event(corev1.EventTypeWarning, "Failed", err.Error())
			if !c.pod.pause(2 * time.Second) {
				break
			}
			continue
		}
		if c.ended(code) || c.pod.stopped() {
			c.set(func() { c.done = true })
			return code == 0
		}
		if c.pod.node.power.isOff() || time.Since(begun) > maxBackoff {
			backoff = 0 // a boot starts everything at once
		}
		if backoff > 0 {
			c.wait("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container %s", backoff, c.spec.Name))
			c.pod.event(corev1.EventTypeWarning, "BackOff", "back-off restarting failed container "+c.spec.Name)
			if !c.pod.pause(backoff) {
				break
			}
		}
		if !c.pod.node.power.isOff() {
			backoff = min(max(2*backoff, time.Second), maxBackoff)
		}
		c.set(func() { c.restarts++ })
	}
	c.set(func() { c.done = true })
	return false
}

// ended applies the restart policy.
func (c *container) ended(code int) bool {
	switch policy := c.pod.spec.Spec.RestartPolicy; {
	case policy == corev1.RestartPolicyNever:
		return true
	case policy == corev1.RestartPolicyOnFailure, c.init:
		return code == 0
	}
	return false
}

// once starts the container and waits for its end.
func (c *container) once() (code int, err error) {
	spec, err := c.sandboxSpec()
	if err != nil {
		return 0, err
	}
	logFile, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer logFile.Close()
	root, err := os.MkdirTemp(filepath.Dir(spec.Root), filepath.Base(spec.Root))
	if err != nil {
		return 0, err
	}
	defer os.Remove(root) // an empty mount point: the mount itself is in the container's namespace
	spec.Root = root
	cmd, err := sandbox.Start(spec, sandbox.Options{
		Self: c.pod.k.opts.Self, Network: c.pod.network(), Output: logFile,
	})
	if err != nil {
		return 0, err
	}
	started := metav1.Now()
	c.set(func() {
		c.pid = cmd.Process.Pid
		c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}
		c.started = c.spec.StartupProbe == nil
		c.ready = c.started && c.spec.ReadinessProbe == nil && !c.init
	})
	c.pod.event(corev1.EventTypeNormal, "Started", "started container "+c.spec.Name)
	waitErr := c.supervise(cmd)
	code = exitCode(cmd, waitErr)
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	c.set(func() {
		c.pid, c.ready, c.started = 0, false, false
		c.state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(code), Reason: reason, StartedAt: started, FinishedAt: metav1.Now(),
		}}
		c.last = c.state
	})
	return code, nil
}

// supervise probes the container while it runs, stops it when the Pod ends or it fails its liveness probe, and
// returns what Wait said.
func (c *container) supervise(cmd *exec.Cmd) error {
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithCancel(c.pod.ctx)
	defer cancel()
	unhealthy := make(chan string, 2)
	if !c.init {
		go c.probe(ctx, cmd.Process.Pid, unhealthy)
	}
	var grace time.Duration
	select {
	case err := <-exited:
		return err
	case <-c.pod.ctx.Done():
		return c.killNow(cmd, exited)
	case why := <-unhealthy:
		c.pod.event(corev1.EventTypeWarning, "Killing", fmt.Sprintf("container %s %s", c.spec.Name, why))
		grace = 30 * time.Second
		if s := c.pod.spec.Spec.TerminationGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
	case <-c.pod.stop:
		c.pod.mu.Lock()
		grace = c.pod.grace
		c.pod.mu.Unlock()
	}
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	c.preStop(ctx, cmd.Process.Pid, grace)
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended just now
	select {
	case err := <-exited:
		return err
	case <-deadline.C:
	case <-c.pod.ctx.Done():
	}
	return c.killNow(cmd, exited)
}

func (c *container) killNow(cmd *exec.Cmd, exited <-chan error) error {
	_ = cmd.Process.Kill() // it may have ended just now
	return <-exited
}

// preStop runs the container's hook, within the grace period.
func (c *container) preStop(ctx context.Context, pid int, grace time.Duration) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	hook := c.spec.Lifecycle.PreStop
	switch {
	case hook.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(hook.Sleep.Seconds) * time.Second):
		}
	case hook.Exec != nil:
		if err := enter(ctx, pid, hook.Exec.Command); err != nil {
			c.pod.event(corev1.EventTypeWarning, "FailedPreStopHook", err.Error())
		}
	}
}

// enter runs a command beside a container's process.
func enter(ctx context.Context, pid int, argv []string) error {
	args := append([]string{"-t", strconv.Itoa(pid), "-m", "-p", "-n", "-u", "-i", "--"}, argv...)
	out, err := exec.CommandContext(ctx, "nsenter", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (c *container) logPath() string { return filepath.Join(c.pod.dir, c.spec.Name+".log") }

func exitCode(cmd *exec.Cmd, err error) int {
	if err == nil {
		return 0
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		return code
	}
	return 255
}
