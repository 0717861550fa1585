package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Homes returns the node at which each virtual IP belongs while everything is well.
func (r *Rig) Homes(ctx context.Context) (map[netip.Addr]string, error) {
	fleet, err := r.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	group := map[int]string{}
	for _, g := range fleet.Groups {
		group[g.ID] = g.Home
	}
	all, err := r.Client.CoreV1().ConfigMaps(SystemNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: nodeconfig.LabelApp + "=" + nodeconfig.AppConfig,
	})
	if err != nil {
		return nil, err
	}
	homes := map[netip.Addr]string{}
	for _, cm := range all.Items {
		if !strings.HasPrefix(cm.Name, nodeconfig.ShardPrefix) {
			continue
		}
		shard, err := nodeconfig.Decode[nodeconfig.Shard](cm.Data[nodeconfig.KeyConfig])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cm.Name, err)
		}
		for _, e := range shard.LoadBalancers {
			for _, vip := range e.VIPs {
				homes[vip] = group[e.Group]
			}
		}
	}
	return homes, nil
}

// Settled says whether the fleet is these nodes, and each of them runs what is wanted of it, works, and waits for
// nothing.
func (r *Rig) Settled(ctx context.Context, nodes []string) (bool, string) {
	fleet, err := r.Fleet(ctx)
	if err != nil {
		return false, err.Error()
	}
	if len(fleet.Nodes) != len(nodes) {
		return false, fmt.Sprintf("the fleet has %d nodes, not %d", len(fleet.Nodes), len(nodes))
	}
	for _, n := range fleet.Nodes {
		if n.Phase != "" {
			return false, fmt.Sprintf("%s is %s", n.Name, n.Phase)
		}
	}
	for _, n := range nodes {
		s, err := r.NodeStatus(ctx, n)
		if err != nil {
			return false, err.Error()
		}
		if s.Running.Fleet < fleet.Revision || s.Running.Generation != s.Wanted.Generation {
			return false, n + " does not run what is wanted yet"
		}
		if s.Share.State != "" && s.Share.State != nodeconfig.ShareServing {
			return false, fmt.Sprintf("%s is %s", n, s.Share.State)
		}
		for _, p := range s.Processes {
			if p.PID == 0 {
				return false, fmt.Sprintf("%s of %s does not run", p.Name, n)
			}
		}
	}
	return true, ""
}

// Order writes what is asked of a node, as `kubectl lb drain` and its like do; nil takes the order away.
func (r *Rig) Order(ctx context.Context, node string, o *nodeconfig.Order) error {
	var value any
	if o != nil {
		o.Version = nodeconfig.Version
		text, err := nodeconfig.Encode(*o)
		if err != nil {
			return err
		}
		value = text
	}
	return r.order(ctx, nodeconfig.OrderKey(node), value)
}

func (r *Rig) order(ctx context.Context, key string, value any) error {
	patch, err := json.Marshal(map[string]any{"data": map[string]any{key: value}})
	if err != nil {
		return err
	}
	maps := r.Client.CoreV1().ConfigMaps(SystemNamespace)
	_, err = maps.Patch(ctx, nodeconfig.OrdersName, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) || value == nil {
		return err
	}
	text, _ := value.(string)
	_, err = maps.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeconfig.OrdersName, Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppOrders},
		},
		Data: map[string]string{key: text},
	}, metav1.CreateOptions{})
	return err
}

// Enlist makes a node one of the load balancer's, or takes it out, by its label.
func (r *Rig) Enlist(ctx context.Context, node string, in bool) error {
	var value any
	if in {
		value = "loadbalancer"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{"type": value}}})
	if err != nil {
		return err
	}
	_, err = r.Client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
