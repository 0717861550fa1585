package view

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Nodes works out how the load-balancer nodes fare.
func Nodes(d Documents, now time.Time) *v1alpha1.NodeStatusList {
	list := &v1alpha1.NodeStatusList{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindNodeStatusList},
		Items:    make([]v1alpha1.NodeStatus, 0, len(d.Config.Fleet.Nodes)),
	}
	placed, homes := d.Placed(now), d.Homes()
	for _, n := range d.Config.Fleet.Nodes {
		item := v1alpha1.NodeStatus{
			Name: n.Name, Phase: n.Phase, Drain: d.Config.Orders[n.Name].Drain, Problem: d.Problem(n.Name, now), Stale: true,
		}
		for _, p := range placed {
			if homes[p.Group] == n.Name {
				item.Home++
			}
			if slices.Contains(p.Holders, n.Name) {
				item.Addresses++
			}
		}
		if s, ok := d.Status(n.Name); ok {
			report(&item, s, now)
		}
		list.Items = append(list.Items, item)
	}
	return list
}

// report fills in what a node says about itself. What a silent node once said about its share says nothing about now.
func report(item *v1alpha1.NodeStatus, s nodeconfig.Status, now time.Time) {
	item.Reported, item.Stale = &metav1.Time{Time: s.Reported}, s.Stale(now)
	item.Drill, item.Conflicts = s.Drill, len(s.Conflicts)
	item.Current = s.Running.Generation != "" && s.Running.Generation == s.Wanted.Generation
	if !item.Stale {
		item.Share, item.ShareReason = s.Share.State, s.Share.Reason
	}
}
