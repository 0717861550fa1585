package kubelet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Options describe the nodes to stand in for.
type Options struct {
	Client kubernetes.Interface
	Plan   fabric.Plan
	Images Images
	// Dir takes the nodes' files: DIR/<node>/root (hostPath volumes), DIR/<node>/pods (logs, volumes).
	Dir string
	// Self is the program that becomes a container when run with sandbox.Subcommand.
	Self string
	// Env is added to each container's environment (the lab's mark).
	Env []string
	// Heartbeat is a listener of the lab in the fabric: a node that cannot reach it is cut off.
	Heartbeat netip.AddrPort
	// API is where containers find the API server.
	API netip.AddrPort
	// Version is the kubelet version that Nodes show.
	Version string
	Log     *slog.Logger
}

// Kubelet runs the Pods of all nodes of a lab.
type Kubelet struct {
	opts     Options
	nodes    map[string]*node
	recorder record.EventRecorder

	mu   sync.Mutex
	pods map[types.UID]*podRunner
	wg   sync.WaitGroup
}

// node is what the stand-in keeps of one node.
type node struct {
	fabric.Node
	dialer    *netspace.Dialer
	space     *os.File // the network namespace
	addresses *addresses
	dir       string
	heartbeat netip.AddrPort
	power     power
}

// New opens the nodes' namespaces, which must exist.
func New(opts Options) (*Kubelet, error) {
	k := &Kubelet{opts: opts, nodes: map[string]*node{}, pods: map[types.UID]*podRunner{}}
	for _, n := range opts.Plan.Members() {
		space, err := os.Open(netspace.Path(n.Namespace))
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
		dialer, err := netspace.NewDialer(netspace.Path(n.Namespace))
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
		dir := filepath.Join(opts.Dir, n.Name)
		for _, sub := range []string{"root", "pods"} {
			if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
				return nil, fmt.Errorf("node %s: %w", n.Name, err)
			}
		}
		k.nodes[n.Name] = &node{
			Node: n, dialer: dialer, space: space, addresses: &addresses{node: n}, dir: dir, heartbeat: opts.Heartbeat,
		}
	}
	return k, nil
}

// Run registers the nodes and runs their Pods until the context ends; then it kills what runs and returns.
func (k *Kubelet) Run(ctx context.Context) error {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: k.opts.Client.CoreV1().Events("")})
	defer broadcaster.Shutdown()
	k.recorder = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "lab-kubelet"})
	for _, n := range k.opts.Plan.Members() {
		k.wg.Go(func() { k.keepNode(ctx, k.nodes[n.Name]) })
		k.wg.Go(func() { k.serveLogs(ctx, k.nodes[n.Name]) })
	}
	pods := watchPods(k.opts.Client)
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.ensure(ctx, o) },
		UpdateFunc: func(_, o any) { k.ensure(ctx, o) },
		DeleteFunc: k.gone,
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	k.wg.Go(func() { pods.RunWithContext(ctx) })
	<-ctx.Done()
	k.wg.Wait()
	for _, n := range k.nodes {
		n.dialer.Close()
		n.space.Close()
	}
	return nil
}

// ensure starts a runner for a Pod of ours, or tells the one that it has what the Pod is now.
func (k *Kubelet) ensure(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	n, ok := k.nodes[pod.Spec.NodeName]
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.pods[pod.UID]; ok {
		r.update(pod)
		return
	}
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if over && pod.DeletionTimestamp == nil {
		return
	}
	r := newPodRunner(k, n, pod.DeepCopy())
	k.pods[pod.UID] = r
	k.wg.Go(func() {
		r.run(ctx)
		k.mu.Lock()
		delete(k.pods, pod.UID)
		k.mu.Unlock()
	})
}

// gone ends a Pod whose object is no more, without grace.
func (k *Kubelet) gone(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r, ok := k.pods[pod.UID]; ok {
		r.forget()
	}
}

// online says whether the node reaches the control plane's side of the network now.
func (n *node) online(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	conn, err := n.dialer.DialContext(ctx, "tcp", n.heartbeat.String())
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// ConfigMap reads a ConfigMap for a Pod.
func (k *Kubelet) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return k.opts.Client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Secret reads a Secret for a Pod.
func (k *Kubelet) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return k.opts.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}
