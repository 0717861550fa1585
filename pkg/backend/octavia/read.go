package octavia

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
)

// statusTree is what /status answers: every child with its status, but without what it is.
type statusTree struct {
	Provisioning string `json:"provisioning_status"`
	Operating    string `json:"operating_status"`
	Listeners    []struct {
		ID           string       `json:"id"`
		Name         string       `json:"name"`
		Provisioning string       `json:"provisioning_status"`
		Operating    string       `json:"operating_status"`
		Pools        []statusPool `json:"pools"`
	} `json:"listeners"`
}

type statusPool struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Provisioning string `json:"provisioning_status"`
	Operating    string `json:"operating_status"`
	Monitor      *struct {
		ID           string `json:"id"`
		Provisioning string `json:"provisioning_status"`
	} `json:"health_monitor"`
	Members []struct {
		Address      string `json:"address"`
		Port         uint16 `json:"protocol_port"`
		Provisioning string `json:"provisioning_status"`
		Operating    string `json:"operating_status"`
	} `json:"members"`
}

func (a *api) status(ctx context.Context, id string) (statusTree, error) {
	var answer struct {
		Statuses struct {
			LoadBalancer statusTree `json:"loadbalancer"`
		} `json:"statuses"`
	}
	err := a.call(ctx, http.MethodGet, "loadbalancers/"+id+"/status", nil, &answer)
	return answer.Statuses.LoadBalancer, err
}

// pools returns all pools of the tree, each once: listeners share pools.
func (t statusTree) pools() map[string]statusPool {
	all := map[string]statusPool{}
	for _, l := range t.Listeners {
		for _, p := range l.Pools {
			all[p.ID] = p
		}
	}
	return all
}

// members returns the members, sorted, and whether one of them is not ACTIVE.
func (p statusPool) members() (members []Member, stuck bool) {
	for _, m := range p.Members {
		address := m.Address
		if a, err := netip.ParseAddr(address); err == nil {
			address = a.Unmap().String() // IPv6 has many spellings
		}
		members = append(members, Member{Address: address, Port: m.Port})
		stuck = stuck || m.Provisioning != statusActive
	}
	slices.SortFunc(members, Member.compare)
	return members, stuck
}

type idRef struct {
	ID string `json:"id"`
}

type listedListener struct {
	ID           string `json:"id"`
	Provisioning string `json:"provisioning_status"`
	PoolID       string `json:"default_pool_id"`
	Listener
}

type listedPool struct {
	ID           string `json:"id"`
	Provisioning string `json:"provisioning_status"`
	MonitorID    string `json:"healthmonitor_id"`
	Pool
}

type listedMonitor struct {
	ID           string `json:"id"`
	Provisioning string `json:"provisioning_status"`
	Monitor
}

type listedPolicy struct {
	ID           string  `json:"id"`
	Provisioning string  `json:"provisioning_status"`
	Name         string  `json:"name"`
	ListenerID   string  `json:"listener_id"`
	Position     int     `json:"position"`
	On           bool    `json:"admin_state_up"`
	Rules        []idRef `json:"rules"`
}

// read reads a load balancer with everything below it: three calls, one more for each monitor, and one more for each
// listener that can have policies.
func (a *api) read(ctx context.Context, r root) (Seen, error) {
	s := Seen{ID: r.ID, Name: r.Name, Tags: r.Tags}
	tree, err := a.status(ctx, r.ID)
	if err != nil {
		return s, err
	}
	s.Children = tree.children()
	var got struct {
		Listeners []listedListener `json:"listeners"`
		Pools     []listedPool     `json:"pools"`
		Monitors  []listedMonitor  `json:"-"`
		Policies  []listedPolicy   `json:"-"`
	}
	asked := []string{"listeners?loadbalancer_id=" + r.ID, "pools?loadbalancer_id=" + r.ID}
	for _, path := range asked {
		if err := a.call(ctx, http.MethodGet, path, nil, &got); err != nil {
			return s, err
		}
	}
	for _, p := range got.Pools {
		if p.MonitorID == "" {
			continue
		}
		var answer struct {
			Monitor listedMonitor `json:"healthmonitor"`
		}
		if err := a.call(ctx, http.MethodGet, "healthmonitors/"+p.MonitorID, nil, &answer); err != nil {
			return s, err
		}
		got.Monitors = append(got.Monitors, answer.Monitor)
	}
	for _, l := range got.Listeners {
		if l.Protocol != protocolHTTP && l.Protocol != protocolHTTPS {
			continue
		}
		var answer struct {
			Policies []listedPolicy `json:"l7policies"`
		}
		if err := a.call(ctx, http.MethodGet, "l7policies?listener_id="+l.ID, nil, &answer); err != nil {
			return s, err
		}
		got.Policies = append(got.Policies, answer.Policies...)
	}
	statuses := tree.pools()
	// Where a name is there twice, the pool in use comes first.
	unused := func(p listedPool) int {
		if _, used := statuses[p.ID]; used {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(got.Pools, func(a, b listedPool) int { return unused(a) - unused(b) })
	for _, p := range got.Pools {
		if err := a.readMembers(ctx, p.ID, statuses); err != nil {
			return s, err
		}
		s.Pools = append(s.Pools, seenPool(p, statuses[p.ID], got.Monitors))
	}
	for _, l := range got.Listeners {
		s.Listeners = append(s.Listeners, seenListener(l, s.Pools, got.Policies))
	}
	return s, nil
}

// readMembers reads the members of a pool that no listener uses: /status leaves it out.
func (a *api) readMembers(ctx context.Context, pool string, statuses map[string]statusPool) error {
	if _, ok := statuses[pool]; ok {
		return nil
	}
	var answer statusPool
	err := a.call(ctx, http.MethodGet, "pools/"+pool+"/members", nil, &answer)
	statuses[pool] = answer
	return err
}

func seenPool(p listedPool, status statusPool, monitors []listedMonitor) SeenPool {
	out := SeenPool{ID: p.ID, Status: p.Provisioning, Pool: p.Pool, MonitorID: p.MonitorID}
	out.Members, out.Stuck = status.members()
	for i := range monitors {
		if m := &monitors[i]; m.ID == p.MonitorID {
			out.Monitor, out.MonitorStatus = &m.Monitor, m.Provisioning
		}
	}
	return out
}

func seenListener(l listedListener, pools []SeenPool, policies []listedPolicy) SeenListener {
	out := SeenListener{ID: l.ID, Status: l.Provisioning, Listener: l.Listener}
	for _, p := range pools {
		if p.ID == l.PoolID {
			out.DefaultPool = p.Name
		}
	}
	slices.SortFunc(policies, func(a, b listedPolicy) int { return a.Position - b.Position })
	for _, p := range policies {
		if p.ListenerID == l.ID {
			out.Policies = append(out.Policies, SeenPolicy{
				ID: p.ID, Status: p.Provisioning, Name: p.Name, Rules: len(p.Rules), Off: !p.On,
			})
		}
	}
	return out
}

// confirm makes what is seen of a tree that was asked for and the statuses of what came of it. It does not know what
// /status does not tell, and takes it from the tree: whoever calls it has just made it so.
func confirm(r root, t Tree, status statusTree) Seen {
	s := Seen{ID: r.ID, Name: r.Name, Tags: r.Tags}
	pools := status.pools()
	for _, id := range sortedKeys(pools) {
		p := pools[id]
		w := t.pool(p.Name)
		if w == nil {
			continue
		}
		out := SeenPool{ID: id, Status: p.Provisioning, Pool: *w}
		out.Monitor = nil
		out.Members, out.Stuck = p.members()
		if p.Monitor != nil {
			out.Monitor, out.MonitorID, out.MonitorStatus = w.Monitor, p.Monitor.ID, p.Monitor.Provisioning
		}
		s.Pools = append(s.Pools, out)
	}
	for _, l := range status.Listeners {
		i := slices.IndexFunc(t.Listeners, func(w Listener) bool { return w.Name == l.Name })
		if i < 0 {
			continue
		}
		out := SeenListener{ID: l.ID, Status: l.Provisioning, Listener: t.Listeners[i]}
		for _, p := range t.Listeners[i].Policies {
			out.Policies = append(out.Policies, SeenPolicy{Name: p.Name, Status: statusActive, Rules: len(p.Rules)})
		}
		s.Listeners = append(s.Listeners, out)
	}
	return s
}

func sortedKeys(m map[string]statusPool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return sorted(keys)
}
