package fabric

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Roles of a node.
const (
	RoleLB     = "loadbalancer"
	RoleWorker = "worker"
	RoleClient = "client"
)

// API is the name under which the control plane's side of the network takes part in partitions.
const API = "api"

// APIPort is where the API server listens on the fabric's addresses.
const APIPort = 6443

// The address plan, the same in every lab: the link that all nodes share, the addresses on it that are left to load
// balancers, one pod range per node, and the Services' ranges.
const (
	Link         = "10.88.0.0/16"
	Link6        = "fd00:88::/64"
	Pool         = "10.88.100.0/24"
	Pool6        = "fd00:88::100:0/112"
	PodRange     = "10.244.0.0/16"
	PodRange6    = "fd00:244::/56"
	ServiceRange = "10.96.0.0/16"
	// ServiceRange6 holds the second family's ClusterIPs.
	ServiceRange6 = "fd00:96::/108"
)

// Size says how many machines of each kind there are.
type Size struct{ LBNodes, Workers, Clients int }

// Node is a machine of the lab: a network namespace with one link, eth0.
type Node struct {
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	Namespace string     `json:"namespace"`
	Address   netip.Addr `json:"address"`
	Address6  netip.Addr `json:"address6"`
	// Pods and Pods6 are the node's pod ranges; zero for a client, which stands outside the cluster.
	Pods  netip.Prefix `json:"pods,omitzero"`
	Pods6 netip.Prefix `json:"pods6,omitzero"`
}

// Plan is the whole network on paper.
type Plan struct {
	// Namespace holds the bridge and the control plane.
	Namespace string `json:"namespace"`
	// Address and Address6 are the bridge's: the API server's address and everybody's gateway.
	Address  netip.Addr `json:"address"`
	Address6 netip.Addr `json:"address6"`
	Nodes    []Node     `json:"nodes"`
}

// Prefix begins the name of every namespace of the named lab.
func Prefix(lab string) string { return "klb-" + lab + "-" }

// NewPlan lays out the lab of that name and size: lb1…, w1…, and client, client2….
func NewPlan(lab string, size Size) (Plan, error) {
	if size.LBNodes < 0 || size.LBNodes > 80 || size.Workers < 0 || size.Workers > 80 ||
		size.Clients < 1 || size.Clients > 20 {
		return Plan{}, fmt.Errorf("lab %s: %d LB nodes, %d workers, %d clients: want 0–80, 0–80, 1–20",
			lab, size.LBNodes, size.Workers, size.Clients)
	}
	p := Plan{
		Namespace: Prefix(lab) + "fabric",
		Address:   netip.MustParseAddr("10.88.0.1"),
		Address6:  netip.MustParseAddr("fd00:88::1"),
	}
	for i := 1; i <= size.LBNodes; i++ {
		p.Nodes = append(p.Nodes, member(lab, "lb"+strconv.Itoa(i), RoleLB, 10+i))
	}
	for i := 1; i <= size.Workers; i++ {
		p.Nodes = append(p.Nodes, member(lab, "w"+strconv.Itoa(i), RoleWorker, 100+i))
	}
	for i := 1; i <= size.Clients; i++ {
		name := "client"
		if i > 1 {
			name += strconv.Itoa(i)
		}
		p.Nodes = append(p.Nodes, member(lab, name, RoleClient, 200+i))
	}
	return p, nil
}

// member gives the node its addresses from one number (1–254), written alike in both families.
func member(lab, name, role string, n int) Node {
	node := Node{
		Name: name, Role: role, Namespace: Prefix(lab) + name,
		Address:  netip.AddrFrom4([4]byte{10, 88, 0, byte(n)}),
		Address6: netip.MustParseAddr(fmt.Sprintf("fd00:88::%d", n)),
	}
	if role != RoleClient {
		node.Pods = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(n), 0}), 24)
		node.Pods6 = netip.MustParsePrefix(fmt.Sprintf("fd00:244:0:%x::/64", n))
	}
	return node
}

// Node returns the named machine.
func (p Plan) Node(name string) (Node, bool) {
	for _, n := range p.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// Members returns the machines that are nodes of the cluster.
func (p Plan) Members() []Node {
	var nodes []Node
	for _, n := range p.Nodes {
		if n.Role != RoleClient {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Namespaces returns the names of all namespaces of the plan.
func (p Plan) Namespaces() []string {
	names := []string{p.Namespace}
	for _, n := range p.Nodes {
		names = append(names, n.Namespace)
	}
	return names
}
