package view

import (
	"fmt"
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
			return v1alpha1.Down, fmt.Sprintf("no node holds %s", v.Address) + silent(st)
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

// silent names the nodes that say nothing, as a half sentence.
func silent(st *v1alpha1.Status) string {
	var names []string
	for _, n := range st.Nodes {
		if n.Stale {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (silent: " + strings.Join(names, ", ") + ")"
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
