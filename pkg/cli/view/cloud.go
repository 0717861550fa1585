package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// IsCloud reports whether a cloud makes the load balancer, as far as the object shows it.
func IsCloud(cm corev1.ConfigMap) bool {
	return cm.Annotations[configmap.AnnotationCloud] != "" || slices.Contains(cm.Finalizers, configmap.Finalizer) ||
		strings.EqualFold(cm.Data[configmap.KeyProvider], string(lb.ProviderOctavia))
}

// fromCloud takes what the controller has written of the cloud onto the object.
func fromCloud(st *v1alpha1.Status, cm corev1.ConfigMap) {
	st.NodesKnown = false
	st.Cloud = &lb.CloudStatus{Provider: lb.ProviderOctavia}
	if text := cm.Annotations[configmap.AnnotationCloud]; text != "" {
		if err := json.Unmarshal([]byte(text), st.Cloud); err != nil {
			st.Cloud = &lb.CloudStatus{Provider: lb.ProviderOctavia}
		}
	}
	fromObject(st, cm)
}

// judgeCloud says in a word and a line how a load balancer of a cloud fares.
func judgeCloud(cm corev1.ConfigMap, st *v1alpha1.Status, now time.Time) (v1alpha1.State, string) {
	state, reason := judge(cm, st)
	c := st.Cloud
	if state == v1alpha1.Deleting && c.Provisioning != "" {
		return state, "the object is being deleted; Octavia says " + c.Provisioning
	}
	if f, stuck := c.Finding(lb.CodeCloudStuck); stuck && state != v1alpha1.Error {
		if state == v1alpha1.Healthy {
			state = v1alpha1.Degraded
		}
		return state, f.String()
	}
	if state != v1alpha1.Healthy {
		if strings.HasPrefix(reason, string(lb.CodeCloudError)) {
			reason = strings.TrimSuffix(reason, lastGood) // nobody knows what it does
		}
		return state, reason
	}
	switch c.Operating {
	case "DEGRADED":
		return v1alpha1.Degraded, troubleOf(*c, now)
	case "ERROR":
		return v1alpha1.Down, troubleOf(*c, now)
	}
	if strings.HasPrefix(c.Provisioning, "PENDING_") {
		return v1alpha1.Healthy, "Octavia is at work on it (" + c.Provisioning + ")"
	}
	return state, reason
}

// maxFailing is how many members a line names.
const maxFailing = 3

// troubleOf says which members fail their checks, and since when.
func troubleOf(c lb.CloudStatus, now time.Time) string {
	text := string(lb.CodeCloudDegraded) + " Octavia says " + c.Operating + since(c.Since, now)
	failing := c.Failing()
	if len(failing) == 0 {
		return text
	}
	var words []string
	for _, m := range failing[:min(len(failing), maxFailing)] {
		words = append(words, m.Address+" fails its check"+since(m.Since, now))
	}
	if more := len(failing) - maxFailing; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return text + ": " + strings.Join(words, ", ")
}

func since(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + duration.HumanDuration(now.Sub(t))
}

// Members counts the members of a cloud's load balancer, and those that do not fail their checks. The same address in
// two pools counts twice.
func Members(c lb.CloudStatus) (up, total int) {
	seen := map[string]bool{}
	for _, l := range c.Listeners {
		for _, p := range l.Pools {
			for _, m := range p.Members {
				if key := p.Name + " " + m.Address; !seen[key] {
					seen[key] = true
					total++
					if !m.Down() {
						up++
					}
				}
			}
		}
	}
	return up, total
}
