package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// KindVersionReport is the kind of a VersionReport.
const KindVersionReport = "VersionReport"

// VersionReport says which software runs where.
type VersionReport struct {
	metav1.TypeMeta `json:",inline"`
	Client          ClientVersion `json:"client"`
	// Controllers are the controller's pods, sorted by name.
	Controllers []ControllerVersion `json:"controllers,omitempty"`
	// Nodes are sorted by name.
	Nodes []NodeVersion `json:"nodes,omitempty"`
	// Skew says which of them differ from the client.
	Skew []string `json:"skew,omitempty"`
}

// ClientVersion is kubectl lb's own version.
type ClientVersion struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ControllerVersion is what a pod of the controller runs.
type ControllerVersion struct {
	Pod   string `json:"pod"`
	Image string `json:"image"`
	// Version is the image's tag; empty when the image is named by its digest only.
	Version string `json:"version,omitempty"`
	Ready   bool   `json:"ready"`
}

// NodeVersion is what a load-balancer node says that it runs.
type NodeVersion struct {
	Node       string      `json:"node"`
	Daemon     string      `json:"daemon,omitempty"`
	Nginx      string      `json:"nginx,omitempty"`
	Keepalived string      `json:"keepalived,omitempty"`
	Reported   metav1.Time `json:"reported"`
	Stale      bool        `json:"stale,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (r *VersionReport) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}
