package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// KindNodeStatusList is the kind of a NodeStatusList.
const KindNodeStatusList = "NodeStatusList"

// NodeStatusList is how the load-balancer nodes fare.
type NodeStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// Items are sorted by name.
	Items []NodeStatus `json:"items"`
}

// NodeStatus is how one load-balancer node fares.
type NodeStatus struct {
	Name string `json:"name"`
	// Phase is empty for a full member of the fleet.
	Phase nodeconfig.Phase `json:"phase,omitempty"`
	// Share says whether the node carries its share; empty where it does not tell, or is silent.
	Share       nodeconfig.ShareState `json:"share,omitempty"`
	ShareReason string                `json:"shareReason,omitempty"`
	// Addresses are how many virtual IPs the node holds; Home are how many are at home on it.
	Addresses int `json:"addresses"`
	Home      int `json:"home"`
	// Drain is the order to keep the node free of addresses, Drill the last drill.
	Drain *nodeconfig.Drain       `json:"drain,omitempty"`
	Drill *nodeconfig.DrillStatus `json:"drill,omitempty"`
	// Current says that the node runs what it was told to.
	Current bool `json:"current"`
	// Reported is when the node last said anything; Stale that this is too long ago.
	Reported *metav1.Time `json:"reported,omitempty"`
	Stale    bool         `json:"stale,omitempty"`
	// Conflicts counts what stands against the node being the one owner of its addresses.
	Conflicts int `json:"conflicts"`
	// Problem says why the node could not take addresses over now; empty where it could.
	Problem string `json:"problem,omitempty"`
}

// DeepCopyObject implements runtime.Object. The printers only read, so what the items point to stays shared.
func (l *NodeStatusList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = slices.Clone(l.Items)
	return &c
}
