package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
)

const (
	onlineTimeout = 300 * time.Millisecond
	// leaseSeconds and heartbeatPeriod are a real kubelet's.
	leaseSeconds    = 40
	heartbeatPeriod = 10 * time.Second
	// retryPeriod is how long a node waits that has no way to the API server.
	retryPeriod = time.Second
	kubeletPort = 10250
	leaseSpace  = "kube-node-lease"
	// Taint keeps everything from LB nodes that does not tolerate it.
	Taint = "kubectl-lb.io/loadbalancer"
)

// keepNode registers the node and keeps it alive. A Node object that somebody deleted stays deleted: that is how a
// node leaves the cluster.
func (k *Kubelet) keepNode(ctx context.Context, n *node) {
	registered := false
	for ctx.Err() == nil {
		pause := retryPeriod
		if n.online(ctx) {
			err := k.beat(ctx, n, registered)
			if err == nil {
				registered, pause = true, heartbeatPeriod
			} else if ctx.Err() == nil {
				k.opts.Log.Warn("heartbeat failed", "node", n.Name, "error", err)
			}
		}
		if !registered {
			pause = 100 * time.Millisecond // the lab waits for this
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (k *Kubelet) beat(ctx context.Context, n *node, registered bool) error {
	nodes := k.opts.Client.CoreV1().Nodes()
	object, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if registered {
			return nil
		}
		object, err = nodes.Create(ctx, newNode(n.Node), metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	if !reportedReady(object) {
		// An update and no patch: a strategic patch would merge the two InternalIPs into one.
		object.Status = newNodeStatus(n.Node, k.opts.Version)
		if object, err = nodes.UpdateStatus(ctx, object, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("node %s: status: %w", n.Name, err)
		}
	}
	return k.renewLease(ctx, object)
}

// reportedReady says whether the Node's status needs no writing: it is Ready, and said so within 5 minutes.
func reportedReady(object *corev1.Node) bool {
	for _, c := range object.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && time.Since(c.LastHeartbeatTime.Time) < 5*time.Minute
		}
	}
	return false
}

func (k *Kubelet) renewLease(ctx context.Context, object *corev1.Node) error {
	leases := k.opts.Client.CoordinationV1().Leases(leaseSpace)
	now := metav1.NowMicro()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"renewTime": now}})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, object.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	seconds := int32(leaseSeconds)
	_, err = leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: object.Name, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: object.Name, UID: object.UID},
		}},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &object.Name, LeaseDurationSeconds: &seconds, RenewTime: &now,
		},
	}, metav1.CreateOptions{})
	return err
}

func newNode(n fabric.Node) *corev1.Node {
	object := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{
			corev1.LabelHostname: n.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
		}},
		Spec: corev1.NodeSpec{
			PodCIDR: n.Pods.String(), PodCIDRs: []string{n.Pods.String(), n.Pods6.String()},
			ProviderID: "lab://" + n.Name,
		},
	}
	if n.Role == fabric.RoleLB {
		object.Labels["type"] = "loadbalancer"
		object.Spec.Taints = []corev1.Taint{{Key: Taint, Effect: corev1.TaintEffectNoSchedule}}
	}
	return object
}

func nodeCapacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("250"),
	}
}

func newNodeStatus(n fabric.Node, version string) corev1.NodeStatus {
	now := metav1.Now()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{
			Type: kind, Status: status, Reason: reason, LastHeartbeatTime: now, LastTransitionTime: now,
		}
	}
	return corev1.NodeStatus{
		Capacity: nodeCapacity(), Allocatable: nodeCapacity(),
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
			condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
		},
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: n.Address.String()},
			{Type: corev1.NodeInternalIP, Address: n.Address6.String()},
			{Type: corev1.NodeHostName, Address: n.Name},
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: kubeletPort}},
		NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: version, OperatingSystem: "linux", Architecture: runtime.GOARCH,
			OSImage: "kubectl-lb lab", ContainerRuntimeVersion: "lab://1", MachineID: n.Name,
		},
	}
}
