package kubelet

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

// refreshPeriod is how often a Pod's volumes follow their ConfigMaps and Secrets (a kubelet's is a minute or so).
const refreshPeriod = 20 * time.Second

// podRunner runs one Pod from its binding to its end.
type podRunner struct {
	k       *Kubelet
	node    *node
	spec    *corev1.Pod // as it was bound; the parts that matter here never change
	dir     string
	objects podObjects

	// stop is closed when the Pod shall end with the grace of deadline; ended when the object itself is gone.
	stop  chan struct{}
	grace time.Duration
	kill  context.CancelFunc
	ctx   context.Context

	space  *fabric.PodSpace
	number int
	at     place

	mu         sync.Mutex
	containers []*container
	message    string // why the Pod does not start
	deleting   bool
	lost       bool
	started    time.Time
	conditions map[corev1.PodConditionType]corev1.PodCondition

	dirty chan struct{}
}

func newPodRunner(k *Kubelet, n *node, pod *corev1.Pod) *podRunner {
	r := &podRunner{
		k: k, node: n, spec: pod, stop: make(chan struct{}), dirty: make(chan struct{}, 1),
		dir:        filepath.Join(n.dir, "pods", fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID)),
		objects:    podObjects{Kubelet: k, tokens: &tokens{client: k.opts.Client}},
		conditions: map[corev1.PodConditionType]corev1.PodCondition{}, started: time.Now(),
	}
	r.ctx, r.kill = context.WithCancel(context.Background())
	for i := range pod.Spec.InitContainers {
		r.containers = append(r.containers, newContainer(r, &pod.Spec.InitContainers[i], true))
	}
	for i := range pod.Spec.Containers {
		r.containers = append(r.containers, newContainer(r, &pod.Spec.Containers[i], false))
	}
	if pod.DeletionTimestamp != nil {
		r.update(pod)
	}
	return r
}

// update takes the Pod's new state; only its deletion matters.
func (r *podRunner) update(pod *corev1.Pod) {
	if pod.DeletionTimestamp == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deleting {
		return
	}
	r.deleting = true
	r.grace = 30 * time.Second
	if pod.DeletionGracePeriodSeconds != nil {
		r.grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	close(r.stop)
}

// forget ends everything at once: there is no object left to report to.
func (r *podRunner) forget() {
	r.mu.Lock()
	r.lost = true
	r.mu.Unlock()
	r.kill()
}

func (r *podRunner) run(parent context.Context) {
	unlink := context.AfterFunc(parent, r.kill)
	defer unlink()
	defer r.kill()
	defer r.remove()
	reported := make(chan struct{})
	reportCtx, endReports := context.WithCancel(r.ctx)
	go func() {
		defer close(reported)
		r.report(reportCtx)
	}()
	if r.setUp() {
		r.runContainers()
	}
	select {
	case <-r.stop: // deleted
		endReports()
		<-reported
		r.removeObject()
	case <-r.ctx.Done():
		endReports()
		<-reported
	default: // all containers have ended for good; the object keeps the result until it is deleted
		r.changed()
		select {
		case <-r.stop:
			endReports()
			<-reported
			r.removeObject()
		case <-r.ctx.Done():
			endReports()
			<-reported
		}
	}
}

// setUp gives the Pod its network and volumes, trying until it works. It says whether the Pod shall run.
func (r *podRunner) setUp() bool {
	for {
		err := r.trySetUp()
		if err == nil {
			r.fail("")
			return r.ctx.Err() == nil
		}
		r.fail(err.Error())
		r.event(corev1.EventTypeWarning, "FailedMount", err.Error())
		if !r.pause(time.Second) {
			return false
		}
	}
}

func (r *podRunner) trySetUp() error {
	if !r.node.online(r.ctx) {
		return fmt.Errorf("node %s has no way to the API server", r.node.Name)
	}
	if err := unsupported(r.spec); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.connect(); err != nil {
		return err
	}
	return r.volumes().prepare(r.ctx)
}

// unsupported names what a Pod asks for that the lab would have to leave out.
func unsupported(pod *corev1.Pod) error {
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil {
			return fmt.Errorf("init container %s: the lab runs no sidecars", c.Name)
		}
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
			if p != nil && p.GRPC != nil {
				return fmt.Errorf("container %s: the lab makes no gRPC probes", c.Name)
			}
		}
		if c.Lifecycle != nil && (c.Lifecycle.PostStart != nil ||
			c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.HTTPGet != nil) {
			return fmt.Errorf("container %s: the lab knows preStop exec and sleep only", c.Name)
		}
	}
	return nil
}

// connect gives the Pod its addresses; a Pod on the host's network has the node's.
func (r *podRunner) connect() error {
	node := []netip.Addr{r.node.Address, r.node.Address6}
	if r.spec.Spec.HostNetwork {
		r.setPlace(place{hostIPs: node, podIPs: node})
		return nil
	}
	if r.space != nil {
		return nil
	}
	v4, v6, number, err := r.node.addresses.take()
	if err != nil {
		return err
	}
	space, err := fabric.NewPodSpace(r.node.Node, string(r.spec.UID), v4, v6)
	if err != nil {
		r.node.addresses.give(number)
		return err
	}
	r.space, r.number = space, number
	r.setPlace(place{hostIPs: node, podIPs: []netip.Addr{v4, v6}})
	return nil
}

func (r *podRunner) setPlace(at place) {
	r.mu.Lock()
	r.at = at
	r.mu.Unlock()
	r.changed()
}

func (r *podRunner) volumes() volumes {
	return volumes{
		from: r.objects, pod: r.spec, at: r.at,
		dir: filepath.Join(r.dir, "volumes"), nodeRoot: filepath.Join(r.node.dir, "root"),
	}
}

// network is the open namespace that the Pod's processes live in.
func (r *podRunner) network() *os.File {
	if r.space != nil {
		return r.space.File
	}
	return r.node.space
}

func (r *podRunner) runContainers() {
	for _, c := range r.containers {
		if c.init && !c.run() {
			return
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	go r.refresh(ctx)
	var wg sync.WaitGroup
	for _, c := range r.containers {
		if !c.init {
			wg.Go(func() { c.run() })
		}
	}
	wg.Wait()
}

// refresh lets volumes follow what they are made of.
func (r *podRunner) refresh(ctx context.Context) {
	ticker := time.NewTicker(refreshPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !r.node.online(ctx) {
			continue
		}
		if err := r.volumes().refresh(ctx); err != nil && ctx.Err() == nil {
			r.k.opts.Log.Warn("volumes not refreshed", "pod", r.spec.Name, "error", err)
		}
	}
}

// remove gives everything back; the processes have ended.
func (r *podRunner) remove() {
	if r.space != nil {
		if err := r.space.Remove(); err != nil {
			r.k.opts.Log.Warn("pod network not removed", "pod", r.spec.Name, "error", err)
		}
		r.node.addresses.give(r.number)
	}
	// Logs stay for who looks for a cause; volumes and roots are of no use any more.
	for _, sub := range []string{"volumes", "roots"} {
		if err := os.RemoveAll(filepath.Join(r.dir, sub)); err != nil {
			r.k.opts.Log.Warn("pod files not removed", "pod", r.spec.Name, "error", err)
		}
	}
}

// pause waits; false means that the Pod shall end.
func (r *podRunner) pause(d time.Duration) bool {
	select {
	case <-r.stop:
		return false
	case <-r.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *podRunner) event(kind, reason, message string) {
	r.k.recorder.Event(r.spec, kind, reason, message)
}

func (r *podRunner) fail(message string) {
	r.mu.Lock()
	same := r.message == message
	r.message = message
	r.mu.Unlock()
	if !same {
		r.changed()
	}
}

// changed asks for a status report.
func (r *podRunner) changed() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

func (r *podRunner) stopped() bool {
	select {
	case <-r.stop:
		return true
	case <-r.ctx.Done():
		return true
	default:
		return false
	}
}

// find returns the named container.
func (r *podRunner) find(name string) *container {
	i := slices.IndexFunc(r.containers, func(c *container) bool { return c.spec.Name == name })
	if i < 0 {
		return nil
	}
	return r.containers[i]
}
