package view

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// lastGood ends the reason of an object that is wrong, and is served as it was when it was right.
const lastGood = " (the last good version is served)"

// judge says in a word and a line how a load balancer fares. The worst that is true counts, so the checks are in that
// order: the user's own fault first, for nothing else helps before that is mended.
func judge(cm corev1.ConfigMap, st *v1alpha1.Status) (v1alpha1.State, string) {
	if cm.DeletionTimestamp != nil {
		return v1alpha1.Deleting, "the object is being deleted"
	}
	for _, f := range st.Findings {
		if f.Node == "" && f.Severity == lb.SeverityError {
			if len(st.VIPs) > 0 {
				return v1alpha1.Error, words(f) + lastGood
			}
			return v1alpha1.Error, words(f)
		}
	}
	if st.Object == "" {
		return v1alpha1.Pending, "no controller has looked at it yet"
	}
	if len(st.VIPs) == 0 {
		return v1alpha1.Pending, pendingReason(st.Object, "it has no address yet")
	}
	if !st.NodesKnown {
		if strings.HasPrefix(st.Object, "SUCCESS") {
			return v1alpha1.Healthy, ""
		}
		return v1alpha1.Pending, pendingReason(st.Object, st.Object)
	}
	return judgeNodes(st)
}

// judgeNodes judges what the nodes say.
func judgeNodes(st *v1alpha1.Status) (v1alpha1.State, string) {
	pending := !strings.HasPrefix(st.Object, "SUCCESS")
	if st.NodesTotal == 0 {
		return v1alpha1.Down, "there is no load-balancer node"
	}
	for _, v := range st.VIPs {
		if len(v.Holders) > 1 {
			return v1alpha1.Degraded, fmt.Sprintf("%s is held by %d nodes at once: %s",
				v.Address, len(v.Holders), strings.Join(v.Holders, ", "))
		}
	}
	for _, v := range st.VIPs {
		switch {
		case len(v.Holders) == 1:
		case pending:
			return v1alpha1.Pending, pendingReason(st.Object, fmt.Sprintf("no node holds %s yet", v.Address))
		default:
			return unheld(st, v.Address)
		}
	}
	if len(st.Conflicts) > 0 {
		return v1alpha1.Degraded, ConflictWords(st.Conflicts[0])
	}
	for _, f := range st.Findings {
		if f.Node != "" {
			return v1alpha1.Degraded, fmt.Sprintf("%s: %s", f.Node, words(f))
		}
	}
	if pending {
		return v1alpha1.Pending, pendingReason(st.Object, st.Object)
	}
	if st.Config == nil {
		return v1alpha1.Degraded, "the controller's documents lack it"
	}
	if st.NodesCurrent < st.NodesTotal {
		return v1alpha1.Degraded, behind(st)
	}
	return v1alpha1.Healthy, ""
}

// doubt calls Degraded what is in order but for a Service without a pod.
func doubt(st *v1alpha1.Status) {
	if st.State != v1alpha1.Healthy {
		return
	}
	if i := slices.IndexFunc(st.Findings, Podless); i >= 0 {
		st.State, st.Reason = v1alpha1.Degraded, words(st.Findings[i])
	}
}

// Podless reports whether a finding says that a Service has no pod that is ready.
func Podless(f v1alpha1.Finding) bool { return f.Code == lb.CodeNoEndpoints }

// behind says which nodes do not run the wanted version.
func behind(st *v1alpha1.Status) string {
	var words []string
	for _, n := range st.Nodes {
		switch {
		case n.Reported == nil:
			words = append(words, n.Name+" has never reported")
		case n.Stale:
			words = append(words, n.Name+" is silent")
		case !n.Current:
			words = append(words, n.Name+" does not run the wanted version")
		}
	}
	return strings.Join(words, "; ")
}

// unheld judges an address that no node reports to hold. A node that held it and is silent may be dead, or well and out
// of reach of the API server: only the others, if there are any, could tell by taking over.
func unheld(st *v1alpha1.Status, a netip.Addr) (v1alpha1.State, string) {
	if n := LastHolder(st, a); n != nil {
		return v1alpha1.Unknown,
			fmt.Sprintf("%s held %s and is silent; see that it runs and reaches the API server", n.Name, a)
	}
	var names []string
	for _, n := range st.Nodes {
		if n.Stale {
			names = append(names, n.Name)
		}
	}
	switch {
	case len(names) == len(st.Nodes):
		return v1alpha1.Unknown, "all nodes are silent: " + strings.Join(names, ", ")
	case len(names) > 0:
		return v1alpha1.Down, fmt.Sprintf("no node holds %s (silent: %s)", a, strings.Join(names, ", "))
	}
	return v1alpha1.Down, fmt.Sprintf("no node holds %s", a)
}

// LastHolder returns the silent node that held an address when it was last heard of, the last one of several; nil where
// there is none.
func LastHolder(st *v1alpha1.Status, a netip.Addr) *v1alpha1.Node {
	var last *v1alpha1.Node
	for i := range st.Nodes {
		n := &st.Nodes[i]
		if n.Stale && n.Reported != nil && slices.Contains(n.Holding, a) &&
			(last == nil || last.Reported.Before(n.Reported)) {
			last = n
		}
	}
	return last
}

// pendingReason takes the reason out of "PENDING : reason".
func pendingReason(object, otherwise string) string {
	text, ok := strings.CutPrefix(object, "PENDING")
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), ":"))
	if !ok || text == "" {
		return otherwise
	}
	return text
}

// words returns a finding as one line; one that was not written by this project has no code.
func words(f v1alpha1.Finding) string {
	if f.Code == "" {
		return f.Message
	}
	return f.String()
}
