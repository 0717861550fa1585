package lab

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Status is a look at a running lab, taken from the kernel: it works with the API server down.
type Status struct {
	Name  string       `json:"name"`
	API   bool         `json:"api"`
	Nodes []NodeStatus `json:"nodes"`
	// Cuts are the connections that a partition drops, "lb1–lb2".
	Cuts []string `json:"cuts"`
}

// NodeStatus is one machine's part of it.
type NodeStatus struct {
	fabric.Node
	Up bool `json:"up"`
	// Holds are the addresses on its link besides its own: the virtual ones that it holds.
	Holds []netip.Addr `json:"holds"`
	// Processes counts what runs in its network by program; Frozen those that are stopped.
	Processes map[string]int `json:"processes"`
	Frozen    int            `json:"frozen"`
}

// Status looks at the lab.
func (l *Lab) Status(ctx context.Context) (Status, error) {
	s := Status{Name: l.info.Name, API: l.apiAnswers(ctx)}
	for _, n := range l.plan.Nodes {
		status, err := l.NodeStatus(n.Name)
		if err != nil {
			return s, err
		}
		s.Nodes = append(s.Nodes, status)
	}
	cuts, err := l.Cuts()
	if err != nil {
		return s, err
	}
	for _, c := range cuts {
		s.Cuts = append(s.Cuts, c.A+"–"+c.B)
	}
	return s, nil
}

// NodeStatus looks at one machine.
func (l *Lab) NodeStatus(node string) (NodeStatus, error) {
	n, err := l.Node(node)
	if err != nil {
		return NodeStatus{}, err
	}
	s := NodeStatus{Node: n, Processes: map[string]int{}}
	if s.Up, s.Holds, err = fabric.LinkState(n); err != nil {
		return s, err
	}
	processes, err := l.Processes(node, "")
	if err != nil {
		return s, err
	}
	for _, p := range processes {
		s.Processes[p.Program]++
		if p.State == "T" {
			s.Frozen++
		}
	}
	return s, nil
}

// Holders returns the names of the nodes that have the address on their link, in the order of the lab's nodes.
func (l *Lab) Holders(address netip.Addr) ([]string, error) {
	var names []string
	for _, n := range l.plan.Members() {
		all, err := fabric.Addresses(n)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, address) {
			names = append(names, n.Name)
		}
	}
	return names, nil
}

func (l *Lab) apiAnswers(ctx context.Context) bool {
	d, err := netspace.NewDialer(netspace.Path(l.plan.Namespace))
	if err != nil {
		return false
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(l.plan.Address.String(), "6443"))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// String is for messages of tests.
func (s NodeStatus) String() string {
	var b strings.Builder
	b.WriteString(s.Name)
	for _, h := range s.Holds {
		b.WriteString(" " + h.String())
	}
	return b.String()
}
