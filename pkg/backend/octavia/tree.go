package octavia

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Tree is a load balancer as it should be in Octavia, with everything below it. The JSON of its parts is the API's.
type Tree struct {
	Name, Description string
	// Tags are sorted; see [Identity].
	Tags      []string
	Placement Placement
	// Floating is the floating IP, nil for none.
	Floating *Floating
	// Listeners are sorted by port, Pools by name.
	Listeners []Listener
	Pools     []Pool
	// Left are the tags of objects whose wish nobody knows at the moment, sorted: what carries one stays as it is.
	Left []string
}

// Placement is what can be chosen only while a load balancer is created.
type Placement struct {
	// One of SubnetID, NetworkID and PortID says where the virtual IP is: a UUID of Neutron.
	SubnetID  string `json:"vip_subnet_id,omitempty"`
	NetworkID string `json:"vip_network_id,omitempty"`
	PortID    string `json:"vip_port_id,omitempty"`
	// Address is the virtual IP; empty lets Neutron choose.
	Address string `json:"vip_address,omitempty"`
	// Additional are further virtual IPs, of the other family.
	Additional []Additional `json:"additional_vips,omitempty"`
	// FlavorID and AvailabilityZone are those that the operator offers; Provider is such as "amphora" or "ovn". Empty
	// means Octavia's own default.
	FlavorID         string `json:"flavor_id,omitempty"`
	AvailabilityZone string `json:"availability_zone,omitempty"`
	Provider         string `json:"provider,omitempty"`
}

// Additional is a virtual IP beside the first one.
type Additional struct {
	SubnetID string `json:"subnet_id,omitempty"`
	Address  string `json:"ip_address,omitempty"`
}

// Listener is a port of a load balancer. Its protocol and port never change: another one takes its place.
type Listener struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"protocol_port"`
	// ConnectionLimit is how many connections are taken at once, -1 for no limit.
	ConnectionLimit int `json:"connection_limit"`
	// The timeouts are in milliseconds.
	ClientTimeout  int `json:"timeout_client_data"`
	ConnectTimeout int `json:"timeout_member_connect"`
	MemberTimeout  int `json:"timeout_member_data"`
	InspectTimeout int `json:"timeout_tcp_inspect"`
	// AllowedCIDRs are the only sources that get in, sorted; none lets in all.
	AllowedCIDRs []string `json:"allowed_cidrs"`
	// InsertHeaders are put into each request, such as "X-Forwarded-For": "true".
	InsertHeaders map[string]string `json:"insert_headers"`
	// Certificate is Barbican's URL of the certificate of HTTPS, Certificates are those of further ones, by SNI.
	Certificate  string   `json:"default_tls_container_ref,omitempty"`
	Certificates []string `json:"sni_container_refs,omitempty"`
	// Pairs are what those two are once it is in Barbican; none where they are known. The first is the default.
	Pairs []Pair `json:"-"`
	// DefaultPool is the name of the pool that takes what no policy takes; empty for none.
	DefaultPool string `json:"-"`
	// Policies are in the order in which they are tried.
	Policies []Policy `json:"-"`
	Tags     []string `json:"tags"`
}

// Policy sends requests that match all its rules to a pool. Its name says all that it does, so that it never changes:
// another one takes its place.
type Policy struct {
	Name string `json:"name"`
	// Pool is the pool's name.
	Pool  string   `json:"-"`
	Rules []Rule   `json:"-"`
	Tags  []string `json:"tags"`
}

// Rule is a condition of a policy.
type Rule struct {
	Type    string `json:"type"`
	Compare string `json:"compare_type"`
	Value   string `json:"value"`
}

// Pool is a group of members. Its protocol never changes, and is part of its name.
type Pool struct {
	Name        string       `json:"name"`
	Protocol    string       `json:"protocol"`
	Method      string       `json:"lb_algorithm"`
	Persistence *Persistence `json:"session_persistence"`
	// Members are sorted by address and port, none of them twice.
	Members []Member `json:"-"`
	// Monitor is nil for none: all members count as well.
	Monitor *Monitor `json:"-"`
	Tags    []string `json:"tags"`
}

// Persistence keeps a client with a member.
type Persistence struct {
	// Type is SOURCE_IP, HTTP_COOKIE or APP_COOKIE.
	Type string `json:"type"`
	// Cookie is the cookie's name for APP_COOKIE.
	Cookie string `json:"cookie_name,omitempty"`
}

// Member is where a pool sends its traffic.
type Member struct {
	Address string `json:"address"`
	Port    uint16 `json:"protocol_port"`
	// SubnetID is the subnet that leads to the member; empty for that of the virtual IP.
	SubnetID string `json:"subnet_id,omitempty"`
	// MonitorPort is where it is checked; 0 for Port.
	MonitorPort uint16 `json:"monitor_port,omitempty"`
}

// Monitor says how members are checked. Its type never changes: another one takes its place.
type Monitor struct {
	Name string `json:"name"`
	// Type is TCP, HTTP, HTTPS, PING, TLS-HELLO or UDP-CONNECT.
	Type string `json:"type"`
	// Delay is the time between two checks, Timeout how long one may take, both in seconds.
	Delay   int `json:"delay"`
	Timeout int `json:"timeout"`
	// Retries is how many good checks bring a member back, RetriesDown how many bad ones take it out; 1 to 10.
	Retries     int `json:"max_retries"`
	RetriesDown int `json:"max_retries_down"`
	// Method, Path and Codes are for HTTP and HTTPS only.
	Method string   `json:"http_method,omitempty"`
	Path   string   `json:"url_path,omitempty"`
	Codes  string   `json:"expected_codes,omitempty"`
	Tags   []string `json:"tags"`
}

// The provisioning statuses of Octavia. PENDING_* ones mean that it is at work, and takes no other.
const (
	statusActive        = "ACTIVE"
	statusError         = "ERROR"
	statusPendingDelete = "PENDING_DELETE"
	pendingPrefix       = "PENDING_"
)

// Seen is a load balancer as it is in Octavia.
type Seen struct {
	ID        string
	Name      string
	Tags      []string
	Listeners []SeenListener
	Pools     []SeenPool
	// Children are the statuses of all of them, for people.
	Children []lb.CloudListener
}

// SeenListener is a listener as it is. Of Policies only the names and pools are known.
type SeenListener struct {
	ID, Status string
	Listener
	Policies []SeenPolicy
}

// SeenPolicy is a policy as it is. Its ID is empty where only the call that created all is known.
type SeenPolicy struct {
	ID, Status, Name string
	// Rules is how many rules it has: they are made one by one, in their order. Off says that it is not in use yet.
	Rules int
	Off   bool
}

// SeenPool is a pool as it is.
type SeenPool struct {
	ID, Status string
	Pool
	// MonitorID is empty where there is no monitor, and unknown where there is one that was created with all the rest.
	MonitorID, MonitorStatus string
	// Stuck says that a member is not ACTIVE.
	Stuck bool
}

// listener returns the one of that port that carries the same transport as the protocol.
func (s *Seen) listener(protocol string, port uint16) *SeenListener {
	i := slices.IndexFunc(s.Listeners, func(l SeenListener) bool {
		return l.Port == port && carrier(l.Protocol) == carrier(protocol)
	})
	if i < 0 {
		return nil
	}
	return &s.Listeners[i]
}

// pending names the children that Octavia seems to be at work on, with their statuses; empty for none.
func (s *Seen) pending() (names string) {
	add := func(id, status string, more bool) {
		if more || strings.HasPrefix(status, pendingPrefix) {
			names += " " + id + "=" + status
		}
	}
	for _, l := range s.Listeners {
		add(l.ID, l.Status, false)
		for _, p := range l.Policies {
			add(p.ID, p.Status, false)
		}
	}
	for _, p := range s.Pools {
		add(p.ID, p.Status, p.Stuck)
		add(p.MonitorID, p.MonitorStatus, false)
	}
	return names
}

// carrier returns what carries a listener's protocol: one port can be listened on once for each.
func carrier(protocol string) string {
	if protocol == "UDP" || protocol == "SCTP" {
		return protocol
	}
	return "TCP"
}

func (s *Seen) pool(name string) *SeenPool {
	i := slices.IndexFunc(s.Pools, func(p SeenPool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Pools[i]
}

// pool returns the pool with the name; a listener or policy never names one that is not there.
func (t *Tree) pool(name string) *Pool {
	i := slices.IndexFunc(t.Pools, func(p Pool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Pools[i]
}

func (m Member) compare(o Member) int {
	return cmp.Or(cmp.Compare(m.Address, o.Address), cmp.Compare(m.Port, o.Port))
}
