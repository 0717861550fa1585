package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Octavia configures the backend of OpenStack. Where an object has a key of its own for a setting, the key counts.
// What is an ID is a UUID of OpenStack.
type Octavia struct {
	// Enabled lets objects choose the backend by "provider: octavia". It always is where it is the default backend.
	Enabled bool `json:"enabled"`
	// CloudsFile is the path of a clouds.yaml, with a secure.yaml beside it if there is one. It is read at each login.
	// Default: the OS_* variables of an openrc.
	CloudsFile string `json:"cloudsFile,omitempty"`
	// Cloud is the entry of that file. Default: OS_CLOUD, or "openstack".
	Cloud string `json:"cloud,omitempty"`
	// Subnet (an ID) is where virtual IPs are, SubnetIPv6 where those of IPv6 are.
	Subnet     string `json:"subnet,omitempty"`
	SubnetIPv6 string `json:"subnetIPv6,omitempty"`
	// Network (an ID) is where virtual IPs are, in place of Subnet; Neutron chooses the subnet.
	Network string `json:"network,omitempty"`
	// FloatingNetwork (an ID) is the external network of the floating IPs, FloatingSubnet one of its subnets. Default: no
	// floating IPs.
	FloatingNetwork string `json:"floatingNetwork,omitempty"`
	FloatingSubnet  string `json:"floatingSubnet,omitempty"`
	// MemberSubnet (an ID) leads to the nodes. Default: the subnet of the virtual IP.
	MemberSubnet string `json:"memberSubnet,omitempty"`
	// Provider, Flavor (an ID) and AvailabilityZone are those that the operator offers. Default: Octavia's own.
	Provider         string `json:"provider,omitempty"`
	Flavor           string `json:"flavor,omitempty"`
	AvailabilityZone string `json:"availabilityZone,omitempty"`
	// Method is how a node is chosen: ROUND_ROBIN (default), LEAST_CONNECTIONS, SOURCE_IP or SOURCE_IP_PORT (only for
	// provider ovn, which knows no other).
	Method string `json:"method,omitempty"`
	// Monitor says how nodes are checked.
	Monitor Monitor `json:"monitor"`
	// NodeSelector is the label selector of the nodes that get traffic, beyond being ready and without the label
	// node.kubernetes.io/exclude-from-external-load-balancers. Default "", all.
	NodeSelector string `json:"nodeSelector"`
	// Resync is how often it is looked whether others have changed something, by one call. Default 1m.
	Resync metav1.Duration `json:"resync"`
	// StuckAfter is how long Octavia may be at work on a load balancer before that is reported. Default 10m.
	StuckAfter metav1.Duration `json:"stuckAfter"`
	// Parallel is how many load balancers have a call under way at once, 1 to 64. Default 8.
	Parallel int `json:"parallel"`
	// DeleteOrphans deletes load balancers of this cluster that no object is known for. Default: they are reported.
	DeleteOrphans bool `json:"deleteOrphans,omitempty"`

	// Variables are the OS_* variables of the environment.
	Variables map[string]string `json:"-"`
}

// Monitor says how Octavia checks nodes.
type Monitor struct {
	// Type is TCP, HTTP, HTTPS, PING, TLS-HELLO, UDP-CONNECT, SCTP, or NONE for no checks. Default: that of the port's
	// transport.
	Type string `json:"type,omitempty"`
	// Delay is the time between two checks, Timeout how long one may take, both in whole seconds. Default 5s and 3s.
	Delay   metav1.Duration `json:"delay"`
	Timeout metav1.Duration `json:"timeout"`
	// Retries is how many good checks bring a node back, RetriesDown how many bad ones take it out; 1 to 10. Default 1
	// and 3.
	Retries     int `json:"retries"`
	RetriesDown int `json:"retriesDown"`
}

// maxParallel is more than an Octavia likes to be asked at once.
const maxParallel = 64

func defaultOctavia() Octavia {
	return Octavia{
		Monitor: Monitor{
			Delay: metav1.Duration{Duration: 5 * time.Second}, Timeout: metav1.Duration{Duration: 3 * time.Second},
			Retries: 1, RetriesDown: 3,
		},
		Resync:     metav1.Duration{Duration: time.Minute},
		StuckAfter: metav1.Duration{Duration: octavia.DefaultStuckAfter},
		Parallel:   octavia.DefaultWorkers,
	}
}

// UsesOctavia reports whether objects may choose the backend of OpenStack, or have it without a choice.
func (c Configuration) UsesOctavia() bool { return c.Octavia.Enabled || c.Backend == octavia.Name }

// Provider returns what makes the load balancers of objects that do not choose.
func (c Configuration) Provider() lb.Provider { return lb.Provider(c.Backend) }

// Credentials say how to log in.
func (o Octavia) Credentials() octavia.Credentials {
	return octavia.Credentials{CloudsFile: o.CloudsFile, Cloud: o.Cloud, Getenv: func(name string) string {
		return o.Variables[name]
	}}
}

// Settings are those of a load balancer without keys of its own.
func (o Octavia) Settings() octavia.Settings {
	id := strings.ToLower // as Neutron writes UUIDs
	return octavia.Settings{
		Placement: octavia.Placement{
			SubnetID: id(o.Subnet), NetworkID: id(o.Network), FlavorID: id(o.Flavor), AvailabilityZone: o.AvailabilityZone,
			Provider: o.Provider,
		},
		SubnetIPv6: id(o.SubnetIPv6), MemberSubnetID: id(o.MemberSubnet), Method: o.Method, ForwardedFor: true,
		FloatingNetwork: id(o.FloatingNetwork), FloatingSubnet: id(o.FloatingSubnet),
		Monitor: octavia.MonitorSettings{
			Type: o.Monitor.Type, Delay: seconds(o.Monitor.Delay), Timeout: seconds(o.Monitor.Timeout),
			Retries: o.Monitor.Retries, RetriesDown: o.Monitor.RetriesDown,
		},
	}
}

func seconds(d metav1.Duration) int { return int(d.Duration / time.Second) }

// Selector returns the selector of the nodes that get traffic.
func (o Octavia) Selector() (labels.Selector, error) {
	s, err := labels.Parse(o.NodeSelector)
	if err != nil {
		return nil, fmt.Errorf("octavia.nodeSelector %q: %w", o.NodeSelector, err)
	}
	return s, nil
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$`)

// validate returns everything that is wrong. Where the backend is not used, only what nobody can mean is.
func (o Octavia) validate(used bool) error {
	errs := o.validateIDs()
	for _, d := range []struct {
		field string
		value metav1.Duration
	}{{"monitor.delay", o.Monitor.Delay}, {"monitor.timeout", o.Monitor.Timeout}} {
		if d.value.Duration < time.Second || d.value.Duration%time.Second != 0 {
			errs = append(errs, fmt.Errorf("octavia.%s %s: not a time of whole seconds", d.field, d.value.Duration))
		}
	}
	if o.Resync.Duration < time.Second || o.StuckAfter.Duration < time.Second {
		errs = append(errs, errors.New("octavia.resync and octavia.stuckAfter: at least one second"))
	}
	if o.Parallel < 1 || o.Parallel > maxParallel {
		errs = append(errs, fmt.Errorf("octavia.parallel %d: not between 1 and %d", o.Parallel, maxParallel))
	}
	if _, err := o.Selector(); err != nil {
		errs = append(errs, err)
	}
	if err := o.Settings().Check(); err != nil {
		errs = append(errs, fmt.Errorf("octavia: %w", err))
	}
	if err := o.reachable(); used && err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// validateIDs returns what is wrong with what names something in OpenStack.
func (o Octavia) validateIDs() (errs []error) {
	for _, id := range []struct{ field, value string }{
		{"subnet", o.Subnet}, {"subnetIPv6", o.SubnetIPv6}, {"network", o.Network}, {"memberSubnet", o.MemberSubnet},
		{"flavor", o.Flavor}, {"floatingNetwork", o.FloatingNetwork}, {"floatingSubnet", o.FloatingSubnet},
	} {
		if id.value != "" && !uuidPattern.MatchString(id.value) {
			errs = append(errs, fmt.Errorf("octavia.%s %q: not a UUID", id.field, id.value))
		}
	}
	if o.Network != "" && o.Subnet+o.SubnetIPv6 != "" {
		errs = append(errs, errors.New("octavia.network: it contradicts octavia.subnet"))
	}
	if o.FloatingSubnet != "" && o.FloatingNetwork == "" {
		errs = append(errs, errors.New("octavia.floatingSubnet: it needs octavia.floatingNetwork"))
	}
	return errs
}

// reachable says whether there is anything to log in with. The files are read later, and again.
func (o Octavia) reachable() error {
	if o.CloudsFile == "" && o.Variables["OS_AUTH_URL"] == "" {
		return errors.New("octavia.cloudsFile: there are no credentials; name a clouds.yaml, or set OS_AUTH_URL and the " +
			"other variables of an openrc")
	}
	return nil
}

// openStackVariables returns the OS_* variables of an environment, nil for none.
func openStackVariables(env []string) map[string]string {
	var out map[string]string
	for _, e := range slices.Sorted(slices.Values(env)) {
		name, value, ok := strings.Cut(e, "=")
		if !ok || value == "" || !strings.HasPrefix(name, "OS_") {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}
