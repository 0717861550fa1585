package controller

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxFindings is how many findings of one object become Events of their own.
const maxFindings = 5

// herald tells the transitions of load balancers as Events on their objects.
type herald struct {
	events events.EventRecorder
	log    *slog.Logger
	mu     sync.Mutex
	// noticed are the notices about nodes that stand, by node.
	noticed map[string][]backend.Notice
}

// tell records the Events for a status that has just been written over an earlier one.
func (h *herald) tell(cm *corev1.ConfigMap, earlier, now written, v verdict) {
	cm = cm.DeepCopy()
	cm.ResourceVersion = now.version // which tells this Event from those about an earlier version
	h.warn(cm, earlier.warnings, now.warnings)
	if v.bindIP != earlier.bindIP {
		if v.bindIP != "" {
			h.event(cm, corev1.EventTypeNormal, "AddressAssigned", "Assign", "it has "+v.bindIP)
		} else {
			h.event(cm, corev1.EventTypeNormal, "AddressReleased", "Release", "it has no longer "+earlier.bindIP)
		}
	}
	before := conditionOf(earlier.status)
	switch {
	case v.condition == conditionInvalid && v.status != earlier.status:
		h.invalid(cm, v.findings)
	case v.condition == before:
	case before == conditionInvalid:
		h.event(cm, corev1.EventTypeNormal, "Recovered", "Check", "no error is left: "+v.status)
		if v.condition == conditionReady {
			h.ready(cm, v)
		}
	case v.condition == conditionReady:
		h.ready(cm, v)
	case before == conditionReady:
		h.event(cm, corev1.EventTypeWarning, "NotReady", "Serve", v.status)
	}
}

func (h *herald) ready(cm *corev1.ConfigMap, v verdict) {
	h.event(cm, corev1.EventTypeNormal, "Ready", "Serve", v.bindIP+" is served")
}

func (h *herald) invalid(cm *corev1.ConfigMap, findings []lb.Finding) {
	var errs []lb.Finding
	for _, f := range findings {
		if f.Severity() == lb.SeverityError && len(errs) < maxFindings {
			errs = append(errs, f)
		}
	}
	h.each(cm, "Invalid", errs)
}

// each records an Event for each finding. The action tells them apart: of those that are alike but for their text the
// second would only be counted.
func (h *herald) each(cm *corev1.ConfigMap, reason string, findings []lb.Finding) {
	told := map[lb.Code]int{}
	for _, f := range findings {
		action := string(f.Code)
		told[f.Code]++
		if told[f.Code] > 1 {
			action += fmt.Sprintf("-%d", told[f.Code])
		}
		h.event(cm, corev1.EventTypeWarning, reason, action, f.String())
	}
}

// warn records the warnings that did not stand before as Events.
func (h *herald) warn(cm *corev1.ConfigMap, before, now string) {
	stood := warningsOf(before)
	h.each(cm, "Warning", slices.DeleteFunc(warningsOf(now), func(f lb.Finding) bool { return slices.Contains(stood, f) }))
}

// warningsOf reads the annotation about what is to be warned of. What cannot be read is none.
func warningsOf(text string) []lb.Finding {
	var out []lb.Finding
	if text == "" || json.Unmarshal([]byte(text), &out) != nil {
		return nil
	}
	return out
}

// notice records what people should know about the nodes as Events on the Nodes, once as long as it stands.
func (h *herald) notice(nodes []backend.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	standing := map[string][]backend.Notice{}
	for _, n := range nodes {
		for _, notice := range n.Notices {
			standing[n.Name] = append(standing[n.Name], notice)
			if slices.Contains(h.noticed[n.Name], notice) {
				continue
			}
			h.log.Warn("a node needs attention", "node", n.Name, "reason", notice.Reason, "message", notice.Message)
			// As kubelets do: the Node may be gone, and `kubectl describe node` looks for its name.
			regarding := &corev1.Node{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
				ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: types.UID(n.Name)},
			}
			text := printable(notice.Message, maxStatus)
			h.events.Eventf(regarding, nil, corev1.EventTypeWarning, notice.Reason, "Watch", "%s", text)
		}
	}
	h.noticed = standing
}

// event records an Event. The object's version is part of what it regards: Events that differ in their text only would
// else be counted as repetitions of the first.
func (h *herald) event(cm *corev1.ConfigMap, kind, reason, action, text string) {
	regarding := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cm.Namespace, Name: cm.Name, UID: cm.UID, ResourceVersion: cm.ResourceVersion,
		},
	}
	h.events.Eventf(regarding, nil, kind, reason, action, "%s", printable(text, maxStatus))
}
