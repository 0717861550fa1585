package config

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The type of the document.
const (
	APIVersion = "kubectl-lb.io/v1alpha1"
	Kind       = "ControllerConfiguration"
)

// Configuration is lb-controller's configuration.
type Configuration struct {
	// APIVersion is "kubectl-lb.io/v1alpha1", Kind is "ControllerConfiguration".
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Backend is what makes load balancers exist that do not choose: "software" or "octavia". Default "software".
	Backend string `json:"backend"`
	// SystemNamespace is where the daemons' configuration, their reports and the leader's Lease are. Default
	// "kubectl-lb-system".
	SystemNamespace string `json:"systemNamespace"`
	// TLSNamespace is where the copies of certificates are that the daemons read, and nothing else. Default
	// "kubectl-lb-tls".
	TLSNamespace string `json:"tlsNamespace"`
	// AddressPools are where virtual IPs come from. Without any, every load balancer lacks an address.
	AddressPools []AddressPool `json:"addressPools"`
	// Software configures the backend of that name.
	Software Software `json:"software"`
	// Octavia configures the backend of that name.
	Octavia Octavia `json:"octavia"`
	// LeaderElection decides which of several replicas works.
	LeaderElection LeaderElection `json:"leaderElection"`
	// MetricsBindAddress is where /metrics is served; "0" turns it off. Default ":8080".
	MetricsBindAddress string `json:"metricsBindAddress"`
	// HealthProbeBindAddress is where /healthz and /readyz are served; "0" turns them off. Default ":8081".
	HealthProbeBindAddress string `json:"healthProbeBindAddress"`
	// Log is how the log is written.
	Log Log `json:"log"`

	// Kubeconfig is the path of a kubeconfig file; empty means the service account of the pod, or the usual places. It
	// can only be given as flag or environment variable.
	Kubeconfig string `json:"-"`
}

// AddressPool is a named set of addresses.
type AddressPool struct {
	Name string `json:"name"`
	// Addresses are networks ("192.0.2.0/24"), ranges ("192.0.2.10-192.0.2.50") and single addresses, IPv4 and IPv6.
	Addresses []string `json:"addresses"`
	// IncludeNetworkAndBroadcast gives out a network's first and last address too. Default false.
	IncludeNetworkAndBroadcast bool `json:"includeNetworkAndBroadcast,omitempty"`
	// AutoAssign lets load balancers that ask for nothing have an address of the pool. Default true.
	AutoAssign *bool `json:"autoAssign,omitempty"`
}

// Software configures the backend of the project's own daemons.
type Software struct {
	// NodeSelector is the label selector of the load-balancer nodes. Default "type=loadbalancer".
	NodeSelector string `json:"nodeSelector"`
	// VRIDBase is the virtual router identifier of the first VRRP group, 1 to 244. The groups use 12 from there on, above
	// six load-balancer nodes two for each. They must not be used by other VRRP routers of the segment. Default 51.
	VRIDBase uint8 `json:"vridBase"`
	// Timing is how fast a lost node is noticed.
	Timing Timing `json:"timing"`
	// Witness is what each node asks whether it still has the network. Default: nothing.
	Witness Witness `json:"witness"`
}

// Witness is what each node asks whether it still has the network that the virtual IPs are for. A node that gets no
// answer gives its addresses up, so that a node that is cut off does not become a second owner.
type Witness struct {
	// Mode is "" for off, "arp" (a machine of the same segment, such as the gateway), or "ping".
	Mode string `json:"mode"`
	// Addresses are asked; an answer of any of them will do. Default: the default gateways of the node's interface.
	Addresses []string `json:"addresses,omitempty"`
}

// Timing is how fast a lost node is noticed.
type Timing struct {
	// Profile is "default", "fast", "vm" (for machines that get paused, such as by live migration) or "custom".
	Profile string `json:"profile"`
	// AdvertInterval is the time between VRRP adverts, 10ms to 40.95s in steps of 10ms. Only with profile "custom".
	AdvertInterval nodeconfig.Duration `json:"advertInterval,omitzero"`
	// HoldTime is how long a node that is back, or no longer drained, must have been well before it takes its addresses
	// back, in whole seconds up to 1000s. Only with profile "custom".
	HoldTime nodeconfig.Duration `json:"holdTime,omitzero"`
}

// LeaderElection decides which of several replicas works. The defaults are those of Kubernetes' own controllers.
type LeaderElection struct {
	// Enabled is false only where there is a single replica. Default true.
	Enabled bool `json:"enabled"`
	// LeaseDuration is how long a dead leader keeps the others waiting. Default 15s.
	LeaseDuration metav1.Duration `json:"leaseDuration"`
	// RenewDeadline is how long a leader tries to renew before it gives up. Default 10s.
	RenewDeadline metav1.Duration `json:"renewDeadline"`
	// RetryPeriod is the time between two tries. Default 2s.
	RetryPeriod metav1.Duration `json:"retryPeriod"`
	// Identity names this replica, and must be its alone: the pod's name. A leader that was restarted under the same
	// name need not wait for its own old lease to run out. Default: the host's name and something random.
	Identity string `json:"identity,omitempty"`
}

// Log is how the log is written.
type Log struct {
	// Level is "debug", "info", "warn" or "error". Default "info".
	Level string `json:"level"`
	// Format is "text" or "json". Default "text".
	Format string `json:"format"`
}

// Default returns the configuration without any file, flag or variable.
func Default() Configuration {
	return Configuration{
		APIVersion:      APIVersion,
		Kind:            Kind,
		Backend:         "software",
		SystemNamespace: "kubectl-lb-system",
		TLSNamespace:    nodeconfig.TLSNamespace,
		AddressPools:    []AddressPool{},
		Software: Software{
			NodeSelector: "type=loadbalancer",
			VRIDBase:     51,
			Timing:       Timing{Profile: ProfileDefault},
		},
		Octavia: defaultOctavia(),
		LeaderElection: LeaderElection{
			Enabled:       true,
			LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
			RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
			RetryPeriod:   metav1.Duration{Duration: 2 * time.Second},
		},
		MetricsBindAddress:     ":8080",
		HealthProbeBindAddress: ":8081",
		Log:                    Log{Level: "info", Format: "text"},
	}
}
