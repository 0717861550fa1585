package octavia

// The bodies of calls. Octavia's JSON nests children where all is created at once, and names them by id where it is
// not; so each part's own fields (see tree.go) are embedded in both.

type wholeLoadBalancer struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Placement
	Listeners []wholeListener `json:"listeners"`
}

type wholeListener struct {
	Listener
	Pool     *wholePool    `json:"default_pool,omitempty"`
	Policies []wholePolicy `json:"l7policies,omitempty"`
}

type wholePool struct {
	Pool
	Members []Member `json:"members"`
	Monitor *Monitor `json:"healthmonitor,omitempty"`
}

type wholePolicy struct {
	Policy
	Action   string     `json:"action"`
	Position int        `json:"position"`
	Pool     *wholePool `json:"redirect_pool"`
	Rules    []Rule     `json:"rules"`
}

const actionPool = "REDIRECT_TO_POOL"

// whole is the body that creates a load balancer with everything below it.
func whole(t Tree) wholeLoadBalancer {
	out := wholeLoadBalancer{
		Name: t.Name, Description: t.Description, Tags: tagsOf(nil, t), Placement: t.Placement, Listeners: []wholeListener{},
	}
	pool := func(name string) *wholePool {
		p := t.pool(name)
		if p == nil {
			return nil
		}
		return &wholePool{Pool: *p, Members: append([]Member{}, p.Members...), Monitor: p.Monitor}
	}
	for _, l := range t.Listeners {
		w := wholeListener{Listener: l, Pool: pool(l.DefaultPool)}
		for i, p := range l.Policies {
			w.Policies = append(w.Policies, wholePolicy{
				Policy: p, Action: actionPool, Position: i + 1, Pool: pool(p.Pool), Rules: p.Rules,
			})
		}
		out.Listeners = append(out.Listeners, w)
	}
	return out
}

type newListener struct {
	Listener
	LoadBalancerID string  `json:"loadbalancer_id"`
	DefaultPoolID  *string `json:"default_pool_id"`
}

// listenerChange has no protocol and no port, which Octavia would refuse.
type listenerChange struct {
	Name            string            `json:"name"`
	ConnectionLimit int               `json:"connection_limit"`
	ClientTimeout   int               `json:"timeout_client_data"`
	ConnectTimeout  int               `json:"timeout_member_connect"`
	MemberTimeout   int               `json:"timeout_member_data"`
	InspectTimeout  int               `json:"timeout_tcp_inspect"`
	AllowedCIDRs    []string          `json:"allowed_cidrs"`
	InsertHeaders   map[string]string `json:"insert_headers"`
	DefaultPoolID   *string           `json:"default_pool_id"`
	Certificate     string            `json:"default_tls_container_ref,omitempty"`
	Certificates    *[]string         `json:"sni_container_refs,omitempty"`
	Tags            []string          `json:"tags"`
}

func changeOf(l Listener, poolID *string) listenerChange {
	c := listenerChange{
		Name: l.Name, ConnectionLimit: l.ConnectionLimit, ClientTimeout: l.ClientTimeout,
		ConnectTimeout: l.ConnectTimeout, MemberTimeout: l.MemberTimeout, InspectTimeout: l.InspectTimeout,
		AllowedCIDRs: l.AllowedCIDRs, InsertHeaders: l.InsertHeaders, DefaultPoolID: poolID, Tags: l.Tags,
		Certificate: l.Certificate,
	}
	if l.Certificate != "" { // only then does Octavia let it be said that there are no others
		refs := append([]string{}, l.Certificates...)
		c.Certificates = &refs
	}
	return c
}

type newPool struct {
	Pool
	LoadBalancerID string `json:"loadbalancer_id"`
}

type poolChange struct {
	Name        string       `json:"name"`
	Method      string       `json:"lb_algorithm"`
	Persistence *Persistence `json:"session_persistence"`
	Tags        []string     `json:"tags"`
}

type newMonitor struct {
	Monitor
	PoolID string `json:"pool_id"`
}

// monitorChange has no type, which Octavia would refuse.
type monitorChange struct {
	Name        string   `json:"name"`
	Delay       int      `json:"delay"`
	Timeout     int      `json:"timeout"`
	Retries     int      `json:"max_retries"`
	RetriesDown int      `json:"max_retries_down"`
	Method      string   `json:"http_method,omitempty"`
	Path        string   `json:"url_path,omitempty"`
	Codes       string   `json:"expected_codes,omitempty"`
	Tags        []string `json:"tags"`
}

// newPolicy has no rules, although the API's description has them there: Octavia answers 500 (up to 11.0 at least).
type newPolicy struct {
	Policy
	Action     string `json:"action"`
	Position   int    `json:"position"`
	ListenerID string `json:"listener_id"`
	PoolID     string `json:"redirect_pool_id"`
	On         bool   `json:"admin_state_up"`
}
