package v1alpha1

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

// Printers copy what they print. A list of nothing stays one: scripts go through it, and null is no list.
func TestCopiesOfEmptyLists(t *testing.T) {
	for _, o := range []runtime.Object{
		&LoadBalancerStatusList{Items: []LoadBalancerStatus{}}, &NodeStatusList{Items: []NodeStatus{}},
		&FindingReport{Items: []ObjectFinding{}}, &FailoverReport{Runs: []FailoverRun{}},
	} {
		text, err := json.Marshal(o.DeepCopyObject())
		if err != nil || !strings.Contains(string(text), `:[]`) {
			t.Errorf("%T: %s, %v", o, text, err)
		}
	}
}
