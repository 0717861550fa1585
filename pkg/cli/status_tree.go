package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// showTree prints one load balancer in full.
func (o *statusOptions) showTree(s v1alpha1.LoadBalancerStatus) error {
	st := s.Status
	t := printer.NewTree(s.Name, printer.Cell{Text: "LoadBalancer"},
		printer.Cell{Text: string(st.State), Color: stateColor(st.State)}, printer.Cell{Text: st.Reason})
	for _, v := range st.VIPs {
		state, detail := vipLine(st, v)
		t.Add(v.Address.String(), printer.Cell{Text: "VIP"}, state, printer.Cell{Text: detail})
	}
	for _, n := range st.Nodes {
		t.Add(n.Name, printer.Cell{Text: "Node"}, nodeState(st, n), printer.Cell{Text: o.nodeDetail(n)})
	}
	if st.Cloud != nil {
		o.cloudBranch(t, *st.Cloud)
	}
	for _, l := range ownListeners(st) {
		branch := t.Add(listenerName(l), printer.Cell{Text: "Listener"}, printer.Cell{}, printer.Cell{Text: upstreamWords(l)})
		for _, r := range l.Routes {
			branch.Add(r.Host+r.Path+arrow(r)+r.Service.String(),
				printer.Cell{Text: "Service"}, routeState(r), printer.Cell{Text: routeDetail(l, r)})
		}
		for _, c := range l.Certificates {
			branch.Add(c.Secret, printer.Cell{Text: "Certificate"}, o.certificateState(c),
				printer.Cell{Text: o.certificateDetail(c)})
		}
	}
	for _, c := range st.Conflicts {
		t.Add(string(c.Kind), printer.Cell{Text: "Conflict"}, printer.Cell{Text: "Open", Color: printer.Bad},
			printer.Cell{Text: view.ConflictWords(c) + ", for " + printer.Age(c.Since.Time, o.now())})
	}
	for _, f := range st.Findings {
		if strings.Contains(st.Reason, f.Message) {
			continue // The first line says it.
		}
		t.Add(string(f.Code), printer.Cell{Text: "Finding"},
			printer.Cell{Text: string(f.Severity), Color: severityColor(f.Severity)}, printer.Cell{Text: findingDetail(f)})
	}
	columns := []printer.Column{{Name: "NAME"}, {Name: "KIND"}, {Name: "STATE"}, {Name: "DETAIL"}}
	return printer.Table(o.Out, columns, t.Rows(), o.tableOptions(o.output))
}

func severityColor(s lb.Severity) printer.Color {
	if s == lb.SeverityWarning {
		return printer.Doubtful
	}
	return printer.Bad
}

// ownListeners are those of the object that no line of a cloud stands for.
func ownListeners(st v1alpha1.Status) []v1alpha1.Listener {
	if st.Cloud == nil || len(st.Cloud.Listeners) == 0 {
		return st.Listeners
	}
	return slices.DeleteFunc(slices.Clone(st.Listeners), func(l v1alpha1.Listener) bool {
		return len(l.Routes)+len(l.Certificates) == 0
	})
}

// expiresSoon is how long before its end a certificate is marked.
const expiresSoon = 21 * 24 * time.Hour

func (o *statusOptions) certificateState(c v1alpha1.Certificate) printer.Cell {
	switch left := c.Expires.Sub(o.now()); {
	case left <= 0:
		return printer.Cell{Text: "Expired", Color: printer.Bad}
	case left < expiresSoon:
		return printer.Cell{Text: "Expiring", Color: printer.Doubtful}
	}
	return printer.Cell{Text: "Valid", Color: printer.Good}
}

// certificateDetail says what a certificate is for, and how long.
func (o *statusOptions) certificateDetail(c v1alpha1.Certificate) string {
	const shown = 4
	names := printer.Or(strings.Join(c.Names[:min(shown, len(c.Names))], ", "), "no DNS name")
	if more := len(c.Names) - shown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	until := c.Expires.UTC().Format(time.DateOnly)
	if left := c.Expires.Sub(o.now()); left > 0 {
		return fmt.Sprintf("for %s until %s (%d days)", names, until, int(left.Hours()/24))
	}
	return fmt.Sprintf("for %s, ended %s", names, until)
}

func vipLine(st v1alpha1.Status, v v1alpha1.VIP) (printer.Cell, string) {
	switch {
	case st.Cloud != nil:
		return printer.Cell{Text: printer.Or(st.Cloud.Provisioning, printer.Unknown)}, "of " + string(st.Cloud.Provider)
	case !st.NodesKnown:
		return printer.Cell{Text: printer.Unknown}, ""
	case len(v.Holders) == 0:
		if n := view.LastHolder(&st, v.Address); n != nil {
			return printer.Cell{Text: printer.Unknown, Color: printer.Doubtful}, n.Name + " held it when last heard of"
		}
		return printer.Cell{Text: "Unheld", Color: printer.Bad}, "no node reports it"
	case len(v.Holders) == 1:
		detail := "by " + v.Holders[0]
		switch {
		case v.Successor != "":
			detail += fmt.Sprintf("; if %s dies: %s takes over", v.Holders[0], v.Successor)
		case st.Config != nil:
			detail += fmt.Sprintf("; if %s dies: nobody takes over", v.Holders[0])
		}
		return printer.Cell{Text: "Held", Color: printer.Good}, detail
	}
	return printer.Cell{Text: "Split", Color: printer.Bad}, "by " + strings.Join(v.Holders, " and ") + " at once"
}

func nodeState(st v1alpha1.Status, n v1alpha1.Node) printer.Cell {
	switch {
	case st.Config == nil && !n.Stale:
		return printer.Cell{Text: "Idle"}
	case n.Reported == nil:
		return printer.Cell{Text: "Absent", Color: printer.Bad}
	case n.Stale:
		return printer.Cell{Text: "Silent", Color: printer.Bad}
	case !n.Current:
		return printer.Cell{Text: "Behind", Color: printer.Doubtful}
	case len(n.Holding) > 0:
		return printer.Cell{Text: "Active", Color: printer.Good}
	case n.Share != "" && n.Share != nodeconfig.ShareServing:
		return printer.Cell{Text: string(n.Share), Color: shareColor(n.Share)}
	}
	return printer.Cell{Text: "Standby"}
}

// shareColor tells what somebody wanted from what somebody should look at.
func shareColor(s nodeconfig.ShareState) printer.Color {
	switch s {
	case nodeconfig.ShareServing:
		return printer.Good
	case nodeconfig.ShareUnfit, nodeconfig.ShareSilent:
		return printer.Bad
	}
	return printer.Doubtful
}

// nodeDetail says what a node last reported: its part in VRRP and its configuration.
func (o *statusOptions) nodeDetail(n v1alpha1.Node) string {
	if n.Reported == nil {
		return "has never reported"
	}
	var words []string
	if n.ShareReason != "" {
		words = append(words, n.ShareReason)
	}
	if n.Stale {
		words = append(words, "last report "+printer.Age(n.Reported.Time, o.now())+" ago")
	}
	for _, v := range n.VRRP {
		word := v.State
		if len(n.VRRP) > 1 {
			word = string(v.Family) + " " + word
		}
		if v.Priority > 0 {
			word += fmt.Sprintf(" prio %d", v.Priority)
		}
		if v.State == nodeconfig.StateMaster {
			word += " since " + printer.Age(v.Since.Time, o.now())
		}
		words = append(words, word)
	}
	running := printer.Or(short(n.RunningGeneration), printer.None)
	if n.WantedGeneration != n.RunningGeneration {
		words = append(words, "runs "+running+", wants "+printer.Or(short(n.WantedGeneration), printer.None))
	} else {
		words = append(words, "runs "+running)
	}
	return strings.Join(words, ", ")
}

// short cuts a generation's hash to what tells generations apart.
func short(generation string) string {
	if len(generation) > 8 {
		return generation[:8]
	}
	return generation
}

func arrow(r v1alpha1.Route) string {
	if r.Host+r.Path == "" {
		return ""
	}
	return " -> "
}

func routeState(r v1alpha1.Route) printer.Cell {
	switch {
	case r.Endpoints == nil:
		return printer.Cell{Text: printer.Unknown}
	case r.Endpoints.Ready == 0:
		return printer.Cell{Text: "Down", Color: printer.Bad}
	case r.Endpoints.Ready < r.Endpoints.Total:
		return printer.Cell{Text: "Partial", Color: printer.Doubtful}
	}
	return printer.Cell{Text: "Up", Color: printer.Good}
}

// upstreamWords says how a listener's traffic is spread over pods; empty where that is kube-proxy's business.
func upstreamWords(l v1alpha1.Listener) string {
	if l.Upstream == nil {
		return ""
	}
	words := "to endpoints, " + string(cmp.Or(l.Upstream.Method, lb.RoundRobin))
	if a := l.Upstream.Affinity; a != "" {
		words = "to endpoints, by affinity " + string(a)
	}
	return words
}

func routeDetail(l v1alpha1.Listener, r v1alpha1.Route) string {
	var words []string
	if r.Exact {
		words = append(words, "exact")
	}
	if r.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *r.Weight))
	}
	if l.Upstream != nil {
		words = append(words, fmt.Sprintf("%d in use", len(r.Addresses)))
	} else {
		for _, a := range r.Addresses {
			words = append(words, a.String())
		}
	}
	if e := r.Endpoints; e != nil {
		words = append(words, fmt.Sprintf("%d/%d endpoints ready", e.Ready, e.Total))
		if e.Terminating > 0 {
			words = append(words, fmt.Sprintf("%d terminating", e.Terminating))
		}
	}
	return strings.Join(words, ", ")
}

func findingDetail(f v1alpha1.Finding) string {
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	if f.Node != "" {
		text = f.Node + ": " + text
	}
	return text
}
