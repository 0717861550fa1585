package view

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
)

// Documents are the decoded documents of the controller and the daemons.
type Documents struct {
	Config nodeconfig.Config
	// Statuses are sorted by node.
	Statuses []nodeconfig.Status
	// Rebalance is the last request to spread the groups anew; its ID is empty when there was none.
	Rebalance nodeconfig.Rebalance
	// HasFleet says whether there is a fleet document, without which there are no nodes to speak of.
	HasFleet bool
	// Problems name the ConfigMaps that could not be read, and why.
	Problems []string
}

// DecodeDocuments reads the documents out of ConfigMaps. One that can't be read is a problem of its own and takes
// nothing else with it; ConfigMaps of other kinds are passed over.
func DecodeDocuments(cms []corev1.ConfigMap) Documents {
	d := Documents{Config: nodeconfig.Config{
		Shards: map[string]nodeconfig.Shard{}, Orders: map[string]nodeconfig.Order{},
	}}
	for _, cm := range cms {
		if err := d.add(cm); err != nil {
			d.Problems = append(d.Problems, fmt.Sprintf("configmap/%s: %s", cm.Name, err))
		}
	}
	slices.SortFunc(d.Statuses, func(a, b nodeconfig.Status) int { return cmp.Compare(a.Node, b.Node) })
	slices.Sort(d.Problems)
	return d
}

// empty reports whether there is nothing of a controller or a daemon.
func (d *Documents) empty() bool {
	return !d.HasFleet && len(d.Config.Shards)+len(d.Statuses)+len(d.Problems) == 0
}

func (d *Documents) add(cm corev1.ConfigMap) error {
	config := cm.Labels[nodeconfig.LabelApp] == nodeconfig.AppConfig
	switch {
	case config && cm.Name == nodeconfig.FleetName:
		fleet, err := nodeconfig.Decode[nodeconfig.Fleet](cm.Data[nodeconfig.KeyConfig])
		if err != nil {
			return err
		}
		d.Config.Fleet, d.HasFleet = fleet, true
	case config && strings.HasPrefix(cm.Name, nodeconfig.ShardPrefix):
		shard, err := nodeconfig.Decode[nodeconfig.Shard](cm.Data[nodeconfig.KeyConfig])
		if err != nil {
			return err
		}
		d.Config.Shards[cm.Name] = shard
	case cm.Labels[nodeconfig.LabelApp] == nodeconfig.AppNode:
		status, err := nodeconfig.Decode[nodeconfig.Status](cm.Data[nodeconfig.KeyStatus])
		if err != nil {
			return err
		}
		d.Statuses = append(d.Statuses, status)
	case cm.Labels[nodeconfig.LabelApp] == nodeconfig.AppOrders && cm.Name == nodeconfig.OrdersName:
		return d.addOrders(cm)
	}
	return nil
}

// addOrders reads what was asked of the nodes. An order that can't be read leaves the others readable.
func (d *Documents) addOrders(cm corev1.ConfigMap) error {
	var errs []error
	for key, text := range cm.Data {
		node, isOrder := strings.CutPrefix(key, nodeconfig.KeyOrderPrefix)
		switch {
		case text == "":
		case isOrder:
			order, err := nodeconfig.Decode[nodeconfig.Order](text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", key, err))
				continue
			}
			d.Config.Orders[node] = order
		case key == nodeconfig.KeyRebalance:
			var err error
			if d.Rebalance, err = nodeconfig.Decode[nodeconfig.Rebalance](text); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", key, err))
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// placed is an entry and the shard that holds it.
type placed struct {
	nodeconfig.Entry
	shard string
}

// entries indexes the load balancers; where two shards hold one, the shard whose name sorts first counts, as it does
// for the daemons.
func (d Documents) entries() map[lb.Key]placed {
	all := map[lb.Key]placed{}
	for _, name := range slices.Sorted(maps.Keys(d.Config.Shards)) {
		for _, e := range d.Config.Shards[name].LoadBalancers {
			if _, taken := all[e.Origin.Key]; !taken {
				all[e.Origin.Key] = placed{Entry: e, shard: name}
			}
		}
	}
	return all
}

// Status returns what a node last said.
func (d Documents) Status(node string) (nodeconfig.Status, bool) {
	i, ok := slices.BinarySearchFunc(d.Statuses, node,
		func(s nodeconfig.Status, n string) int { return cmp.Compare(s.Node, n) })
	if !ok {
		return nodeconfig.Status{}, false
	}
	return d.Statuses[i], true
}

// Has reports whether a shard still holds the load balancer of that key.
func (d Documents) Has(key lb.Key) bool {
	for _, shard := range d.Config.Shards {
		for _, e := range shard.LoadBalancers {
			if e.Origin.Key == key {
				return true
			}
		}
	}
	return false
}

// Holds returns the addresses that were taken from a load balancer but that a node may still hold: it has not reported
// that it runs the shard without them.
func (d Documents) Holds() []plan.Hold {
	var out []plan.Hold
	for _, name := range slices.Sorted(maps.Keys(d.Config.Shards)) {
		for _, w := range d.Config.Shards[name].Withdrawn {
			nodes := d.unconfirmed(name, w.Revision)
			for _, a := range w.VIPs {
				if len(nodes) > 0 {
					out = append(out, plan.Hold{Key: w.Key, Address: a, Nodes: nodes})
				}
			}
		}
	}
	return out
}

// unconfirmed names the nodes that do not report a shard at a revision or later.
func (d Documents) unconfirmed(shard string, revision int64) []string {
	var nodes []string
	for _, n := range d.Config.Fleet.Nodes {
		if s, ok := d.Status(n.Name); !ok || s.Running.Shards[shard] < revision {
			nodes = append(nodes, n.Name)
		}
	}
	return nodes
}
