package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
)

// showTable prints one line for each load balancer.
func (o *statusOptions) showTable(items []v1alpha1.LoadBalancerStatus, table printer.Options) error {
	rows := make([][]printer.Cell, 0, len(items))
	for _, s := range items {
		rows = append(rows, o.row(s))
	}
	return printer.Table(o.Out, o.columns(), rows, table)
}

func (o *statusOptions) columns() []printer.Column {
	columns := []printer.Column{
		{Name: "NAME"}, {Name: "VIP"}, {Name: "PORTS"}, {Name: "ACTIVE"}, {Name: "NODES"},
		{Name: "STATUS"}, {Name: "AGE"},
		{Name: "TARGET", Wide: true}, {Name: "GROUP", Wide: true}, {Name: "REASON", Wide: true},
	}
	if o.allNamespaces {
		return append([]printer.Column{{Name: "NAMESPACE"}}, columns...)
	}
	return columns
}

func (o *statusOptions) row(s v1alpha1.LoadBalancerStatus) []printer.Cell {
	cells := printer.Text(
		s.Name, vipsOf(s.Status), printer.Or(portsOf(s.Status), printer.None), activeOf(s.Status), nodesOf(s.Status),
		string(s.Status.State), printer.Age(s.CreationTimestamp.Time, o.now()),
		printer.Or(targetsOf(s.Status), printer.Unknown), groupOf(s.Status), printer.Or(s.Status.Reason, printer.None))
	cells[3].Color = activeColor(s.Status)
	cells[5].Color = stateColor(s.Status.State)
	if o.allNamespaces {
		return append(printer.Text(s.Namespace), cells...)
	}
	return cells
}

// showReasons says below the table why load balancers are not healthy.
func (o *statusOptions) showReasons(items []v1alpha1.LoadBalancerStatus) {
	for _, s := range items {
		if s.Status.Reason == "" {
			continue
		}
		name := s.Name
		if o.allNamespaces {
			name = s.Namespace + "/" + s.Name
		}
		o.note("%s: %s", printer.Escape(name), printer.Escape(s.Status.Reason))
	}
}

func vipsOf(st v1alpha1.Status) string {
	var words []string
	for _, v := range st.VIPs {
		words = append(words, v.Address.String())
	}
	return printer.Or(strings.Join(words, ","), printer.Pending)
}

func portsOf(st v1alpha1.Status) string {
	var words []string
	for _, l := range st.Listeners {
		words = append(words, listenerName(l))
	}
	return strings.Join(words, ",")
}

// listenerName returns "80/TCP", or "80/HTTP".
func listenerName(l v1alpha1.Listener) string {
	if l.Protocol == "" {
		return strconv.Itoa(int(l.Port))
	}
	return fmt.Sprintf("%d/%s", l.Port, l.Protocol)
}

// activeOf names the nodes that hold the addresses now: one for all addresses, else those of each address. Two
// holders of one address are a fault, and marked as one.
func activeOf(st v1alpha1.Status) string {
	if st.Cloud != nil {
		return string(st.Cloud.Provider)
	}
	if !st.NodesKnown {
		return printer.Unknown
	}
	var words []string
	for _, v := range st.VIPs {
		word := printer.Or(strings.Join(v.Holders, "+"), printer.None)
		if len(v.Holders) > 1 {
			word += "!"
		}
		if len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	return printer.Or(strings.Join(words, ","), printer.None)
}

func nodesOf(st v1alpha1.Status) string {
	if st.Cloud != nil {
		up, total := view.Members(*st.Cloud)
		return fmt.Sprintf("%d/%d", up, total)
	}
	if !st.NodesKnown {
		return printer.Unknown
	}
	return fmt.Sprintf("%d/%d", st.NodesCurrent, st.NodesTotal)
}

// targetsOf names each Service once, however many routes lead to it.
func targetsOf(st v1alpha1.Status) string {
	var words []string
	for _, l := range st.Listeners {
		for _, r := range l.Routes {
			if target := r.Service.String(); !slices.Contains(words, target) {
				words = append(words, target)
			}
		}
	}
	return strings.Join(words, ",")
}

func groupOf(st v1alpha1.Status) string {
	if st.Config == nil {
		return printer.None
	}
	return strconv.Itoa(st.Config.Group)
}

func stateColor(s v1alpha1.State) printer.Color {
	switch s {
	case v1alpha1.Healthy:
		return printer.Good
	case v1alpha1.Pending, v1alpha1.Degraded, v1alpha1.Unknown, v1alpha1.Deleting, v1alpha1.Gone:
		return printer.Doubtful
	}
	return printer.Bad
}

func activeColor(st v1alpha1.Status) printer.Color {
	for _, v := range st.VIPs {
		if len(v.Holders) > 1 {
			return printer.Bad
		}
	}
	return printer.Plain
}
