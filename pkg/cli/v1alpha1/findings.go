package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// KindFindingReport is the kind of a FindingReport.
const KindFindingReport = "FindingReport"

// FindingReport is the result of a validation.
type FindingReport struct {
	metav1.TypeMeta `json:",inline"`
	// Checked is how many load balancers were looked at.
	Checked int `json:"checked"`
	// Items are in the order of the files, or by namespace and name where the cluster was looked at.
	Items []ObjectFinding `json:"items"`
}

// ObjectFinding is a finding and where the object stands.
type ObjectFinding struct {
	// Source is the file and the number of the document in it, such as "web.yaml#2"; "cluster" for a live object.
	Source    string `json:"source"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Finding   `json:",inline"`
}

// DeepCopyObject implements runtime.Object.
func (r *FindingReport) DeepCopyObject() runtime.Object {
	c := *r
	c.Items = slices.Clone(r.Items)
	return &c
}
