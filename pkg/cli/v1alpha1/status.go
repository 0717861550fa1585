package v1alpha1

import (
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The kinds of the objects about status.
const (
	KindLoadBalancerStatus     = "LoadBalancerStatus"
	KindLoadBalancerStatusList = "LoadBalancerStatusList"
)

// State says in one word how a load balancer fares.
type State string

// The states, from best to worst.
const (
	// Healthy: it is served as written, by every node, and each virtual IP is held by one.
	Healthy State = "Healthy"
	// Pending: it is new, or being changed, and not yet served as written.
	Pending State = "Pending"
	// Degraded: it is served, but a node is missing, behind, or holds an address that another one holds too, or a Service
	// has no pod that is ready.
	Degraded State = "Degraded"
	// Error: something is wrong with the object; its last good version, if any, is served.
	Error State = "Error"
	// Unknown: no node reports that it holds a virtual IP of it, and one that may do so has fallen silent.
	Unknown State = "Unknown"
	// Down: it is meant to be served, but no node holds a virtual IP of it.
	Down State = "Down"
	// Deleting: it is being withdrawn.
	Deleting State = "Deleting"
	// Gone: it was deleted, or is no longer one of those that are watched. Only --watch says so, and only once.
	Gone State = "Gone"
)

// LoadBalancerStatusList is how load balancers fare.
type LoadBalancerStatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	// Items are sorted by namespace and name.
	Items []LoadBalancerStatus `json:"items"`
}

// LoadBalancerStatus is how one load balancer fares.
type LoadBalancerStatus struct {
	metav1.TypeMeta `json:",inline"`
	// ObjectMeta is the identity of the user's object: name, namespace, UID, labels and creation time.
	metav1.ObjectMeta `json:"metadata"`
	Status            Status `json:"status"`
}

// Status is what is known about a load balancer.
type Status struct {
	State State `json:"state"`
	// Reason says in one line why the state is not Healthy.
	Reason string `json:"reason,omitempty"`
	// Object is the user's object's own status, as the controller wrote it.
	Object string `json:"object,omitempty"`
	// NodesKnown is false where the nodes' documents could not be read; the nodes' part is then empty.
	NodesKnown bool       `json:"nodesKnown"`
	VIPs       []VIP      `json:"vips"`
	Listeners  []Listener `json:"listeners"`
	// NodesCurrent of NodesTotal nodes report that they run the wanted version.
	NodesCurrent int `json:"nodesCurrent"`
	NodesTotal   int `json:"nodesTotal"`
	// Nodes are sorted by name.
	Nodes    []Node    `json:"nodes,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	// Conflicts are what stands against one owner for each virtual IP, as the nodes see it.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Cloud is what a cloud says of a load balancer that it has made. There are no nodes of ours then.
	Cloud *lb.CloudStatus `json:"cloud,omitempty"`
	// Config is the part of the controller's documents that the load balancer is in.
	Config *Config `json:"config,omitempty"`
}

// VIP is a virtual IP.
type VIP struct {
	Address netip.Addr `json:"address"`
	// Holders are the nodes that report it on an interface now, sorted. One is right; two are a split brain.
	Holders []string `json:"holders"`
	// Successor is the node that would take over if the holder were lost; empty where none could, or nobody holds it.
	Successor string `json:"successor,omitempty"`
}

// Listener is a port of the virtual IPs.
type Listener struct {
	Port uint16 `json:"port"`
	// Protocol is what clients speak, as users call it: HTTPS and TLS are HTTP and TCP under TLS.
	Protocol lb.Protocol `json:"protocol,omitempty"`
	// Upstream says how traffic is spread over pods; unset where connections go to the Services' cluster IPs.
	Upstream *lb.Upstream `json:"upstream,omitempty"`
	Routes   []Route      `json:"routes,omitempty"`
	// Certificates are shown by the name that a client asks for, the first where none is for it.
	Certificates []Certificate `json:"certificates,omitempty"`
}

// Certificate is a certificate that a listener shows.
type Certificate struct {
	// Secret is the name of its Secret.
	Secret string `json:"secret"`
	// Names are the DNS names that it is for.
	Names []string `json:"names,omitempty"`
	// Expires is when it ends.
	Expires metav1.Time `json:"expires"`
}

// Route is where a listener's traffic goes.
type Route struct {
	Host string `json:"host,omitempty"`
	Path string `json:"path,omitempty"`
	// Exact says that only the path itself matches.
	Exact   bool       `json:"exact,omitempty"`
	Service lb.Service `json:"service"`
	// Weight is the Service's share where several have the same host and path.
	Weight    *uint16          `json:"weight,omitempty"`
	Addresses []netip.AddrPort `json:"addresses"`
	// Endpoints counts the Service's pods; only the status of a single load balancer has it.
	Endpoints *Endpoints `json:"endpoints,omitempty"`
}

// Endpoints counts the addresses behind a Service's port.
type Endpoints struct {
	Ready int `json:"ready"`
	// Terminating are those on their way out.
	Terminating int `json:"terminating,omitempty"`
	Total       int `json:"total"`
}

// Config names the versions of the controller's documents.
type Config struct {
	// Group is the VRRP group that carries the virtual IPs.
	Group int `json:"group"`
	// Shard is the ConfigMap that holds the load balancer; Revision is its version.
	Shard    string `json:"shard"`
	Revision int64  `json:"revision"`
}

// Node is what a load-balancer node does for a load balancer.
type Node struct {
	Name string `json:"name"`
	// Reported is when the node last said anything; unset when it never has.
	Reported *metav1.Time `json:"reported,omitempty"`
	// Stale says that this is too long ago to say anything about the present.
	Stale bool `json:"stale,omitempty"`
	// Share says whether the node carries its share of the addresses; empty where it does not tell. ShareReason says why
	// it does not.
	Share       nodeconfig.ShareState `json:"share,omitempty"`
	ShareReason string                `json:"shareReason,omitempty"`
	// Holding are the load balancer's virtual IPs on the node.
	Holding []netip.Addr `json:"holding,omitempty"`
	// VRRP is the state of the load balancer's group, for each address family.
	VRRP []VRRP `json:"vrrp,omitempty"`
	// Current says that the node runs the wanted version of the load balancer.
	Current bool `json:"current"`
	// WantedGeneration and RunningGeneration name the node's configuration as a whole.
	WantedGeneration  string       `json:"wantedGeneration,omitempty"`
	RunningGeneration string       `json:"runningGeneration,omitempty"`
	RunningSince      *metav1.Time `json:"runningSince,omitempty"`
}

// VRRP is the state of a VRRP group on a node.
type VRRP struct {
	Family   lb.Family   `json:"family"`
	State    string      `json:"state"`
	Priority uint8       `json:"priority,omitempty"`
	Since    metav1.Time `json:"since"`
}

// Conflict is a sign that a virtual IP has more than one owner, and the node that sees it.
type Conflict struct {
	Node string                  `json:"node"`
	Kind nodeconfig.ConflictKind `json:"kind"`
	// Address is unset where the whole group is concerned.
	Address netip.Addr `json:"address,omitzero"`
	// Other is who else is there: a node where it is known to be one, else a hardware or an IP address.
	Other string      `json:"other,omitempty"`
	Since metav1.Time `json:"since"`
}

// Finding is something wrong, and the node that says so, if it is one.
type Finding struct {
	lb.Finding
	Severity lb.Severity `json:"severity"`
	Node     string      `json:"node,omitempty"`
}

// DeepCopyObject implements runtime.Object. The printers only read, so the slices below the items stay shared.
func (l *LoadBalancerStatusList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = slices.Clone(l.Items)
	return &c
}

// DeepCopyObject implements runtime.Object; see the list's.
func (s *LoadBalancerStatus) DeepCopyObject() runtime.Object {
	c := *s
	s.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}
