package octavia

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// busy says that an estate is at work.
const busy = `{"faultstring":"Invalid state PENDING_UPDATE of loadbalancer resource x"}`

// write does a call that changes something.
func (e *estate) write(method string, path []string, body string) (int, string) {
	if path[0] == "loadbalancers" {
		return e.writeRoot(method, path, body)
	}
	var in struct {
		Listener *newListener `json:"listener"`
		Pool     *newPool     `json:"pool"`
		Monitor  *newMonitor  `json:"healthmonitor"`
		Policy   *newPolicy   `json:"l7policy"`
		Rule     *Rule        `json:"rule"`
		Members  *[]Member    `json:"members"`
	}
	if err := json.Unmarshal([]byte(body+map[bool]string{true: "{}"}[body == ""]), &in); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	id := ""
	if len(path) > 1 {
		id = path[1]
	}
	for _, l := range e.lbs {
		w := &writer{estate: e, lb: l, method: method, id: id, body: body, members: len(path) > 2 && path[2] == "members"}
		var done bool
		switch path[0] {
		case "listeners":
			done = w.listener(in.Listener)
		case "pools":
			if in.Members != nil {
				in.Pool = &newPool{}
				in.Pool.Members = *in.Members
			}
			done = w.pool(in.Pool)
		case "healthmonitors":
			done = w.monitor(in.Monitor)
		case "l7policies":
			done = w.policy(in.Policy, in.Rule)
		}
		if done {
			return w.answer(path[0])
		}
	}
	return http.StatusNotFound, `{"faultstring":"not found"}`
}

// writer does a call to what is below one load balancer.
type writer struct {
	estate           *estate
	lb               *estateLB
	method, id, body string
	members          bool
	made, refused    string
}

func (w *writer) answer(kind string) (int, string) {
	switch {
	case w.refused != "":
		return http.StatusConflict, w.refused
	case w.method == http.MethodDelete:
		return http.StatusNoContent, ""
	case w.method == http.MethodPut:
		return http.StatusAccepted, "{}"
	}
	name := map[string]string{"listeners": "listener", "pools": "pool", "healthmonitors": "healthmonitor", "l7policies": "l7policy"}[kind]
	if w.made == "rule" {
		name = "rule"
	}

	return http.StatusCreated, fmt.Sprintf(`{%q:{"id":%q}}`, name, w.made)
}

// take reports whether the load balancer takes a call, and is at work from then on.
func (w *writer) take() bool {
	if w.lb.Provisioning != statusActive {
		w.refused = busy
		return false
	}
	w.lb.Provisioning, w.lb.ready = "PENDING_UPDATE", time.Now().Add(200*time.Millisecond)
	w.lb.Updated = w.estate.id("at")
	return true
}

func (w *writer) listener(in *newListener) bool {
	i := slices.IndexFunc(w.lb.listeners, func(x *estateListener) bool { return x.id == w.id })
	if w.method == http.MethodPost && in.LoadBalancerID == w.lb.ID && slices.ContainsFunc(w.lb.listeners,
		func(x *estateListener) bool { return x.Port == in.Port && carrier(x.Protocol) == carrier(in.Protocol) }) {
		w.refused = fmt.Sprintf(`{"faultstring":"Another Listener on this Load Balancer is already using port %d"}`, in.Port)
		return true
	}
	if i < 0 && (w.method != http.MethodPost || in.LoadBalancerID != w.lb.ID) || !w.take() {
		return i >= 0 || w.refused != ""
	}
	switch w.method {
	case http.MethodPost:
		w.made = w.estate.id("listener")
		x := &estateListener{id: w.made, Listener: in.Listener}
		if in.DefaultPoolID != nil {
			x.pool = *in.DefaultPoolID
		}
		w.lb.listeners = append(w.lb.listeners, x)
	case http.MethodPut:
		x := w.lb.listeners[i]
		protocol, port := x.Protocol, x.Port
		x.Listener, x.pool = in.Listener, ""
		x.Protocol, x.Port = protocol, port
		if in.DefaultPoolID != nil {
			x.pool = *in.DefaultPoolID
		}
	default:
		w.lb.listeners = slices.Delete(w.lb.listeners, i, i+1)
	}
	return true
}

func (w *writer) pool(in *newPool) bool {
	i := slices.IndexFunc(w.lb.pools, func(p *estatePool) bool { return p.id == w.id })
	if i < 0 && (w.method != http.MethodPost || in.LoadBalancerID != w.lb.ID) {
		return false
	}
	if w.method == http.MethodDelete {
		for _, x := range w.lb.listeners {
			if slices.ContainsFunc(x.policies, func(p *estatePolicy) bool { return p.pool == w.id }) {
				w.refused = `{"faultstring":"Pool is in use by L7 policy"}`
				return true
			}
		}
	}
	if !w.take() {
		return true
	}
	switch {
	case w.method == http.MethodPost:
		w.made = w.estate.id("pool")
		w.lb.pools = append(w.lb.pools, &estatePool{id: w.made, Pool: in.Pool})
	case w.members:
		w.lb.pools[i].Members = in.Members
	case w.method == http.MethodPut:
		p := w.lb.pools[i]
		p.Name, p.Method, p.Persistence, p.Tags = in.Name, in.Method, in.Persistence, in.Tags
	default:
		w.lb.pools = slices.Delete(w.lb.pools, i, i+1)
		for _, x := range w.lb.listeners {
			if x.pool == w.id {
				x.pool = ""
			}
		}
	}
	return true
}

func (w *writer) monitor(in *newMonitor) bool {
	i := slices.IndexFunc(w.lb.pools, func(p *estatePool) bool {
		return p.monitor == w.id && w.id != "" || w.method == http.MethodPost && p.id == in.PoolID
	})
	if i < 0 || !w.take() {
		return i >= 0
	}
	p := w.lb.pools[i]
	switch w.method {
	case http.MethodPost:
		w.made = w.estate.id("monitor")
		p.monitor, p.Monitor = w.made, &in.Monitor
	case http.MethodPut:
		kind := p.Monitor.Type
		p.Monitor = &in.Monitor
		p.Monitor.Type = kind
	default:
		p.monitor, p.Monitor = "", nil
	}
	return true
}

func (w *writer) policy(in *newPolicy, rule *Rule) bool {
	for _, x := range w.lb.listeners {
		i := slices.IndexFunc(x.policies, func(p *estatePolicy) bool { return p.id == w.id })
		fresh := w.method == http.MethodPost && rule == nil && in.ListenerID == x.id
		if i < 0 && !fresh {
			continue
		}
		if !w.take() {
			return true
		}
		switch {
		case fresh:
			w.made = w.estate.id("policy")
			at := min(in.Position-1, len(x.policies))
			x.policies = slices.Insert(x.policies, at, &estatePolicy{id: w.made, pool: in.PoolID, newPolicy: *in})
		case rule != nil:
			w.made = "rule"
			x.policies[i].rules = append(x.policies[i].rules, *rule)
		case w.method == http.MethodPut:
			x.policies[i].On = true
		default:
			x.policies = slices.Delete(x.policies, i, i+1)
		}
		return true
	}
	return false
}

func (e *estate) writeRoot(method string, path []string, body string) (int, string) {
	var in struct {
		LoadBalancer wholeLoadBalancer `json:"loadbalancer"`
	}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			return http.StatusBadRequest, err.Error()
		}
	}
	if method == http.MethodPost {
		l := e.create(in.LoadBalancer)
		_, text := encode(map[string]any{"loadbalancer": l.root})
		return http.StatusCreated, text
	}
	i := slices.IndexFunc(e.lbs, func(l *estateLB) bool { return l.ID == path[1] })
	switch {
	case i < 0:
		return http.StatusNotFound, `{"faultstring":"not found"}`
	case e.lbs[i].Provisioning != statusActive && !(method == http.MethodDelete && e.lbs[i].Provisioning == statusError):
		return http.StatusConflict, busy
	case method == http.MethodDelete:
		if e.neutron != nil {
			e.neutron.unplug(e.lbs[i].PortID)
		}
		e.lbs = slices.Delete(e.lbs, i, i+1)
		return http.StatusNoContent, ""
	}
	l := e.lbs[i]
	l.Name, l.Tags, l.Updated = in.LoadBalancer.Name, in.LoadBalancer.Tags, e.id("at")
	l.Provisioning, l.ready = "PENDING_UPDATE", time.Now().Add(200*time.Millisecond)
	return http.StatusAccepted, "{}"
}

// create makes a load balancer with all that is asked for.
func (e *estate) create(in wholeLoadBalancer) *estateLB {
	l := &estateLB{ready: time.Now().Add(time.Second), root: root{
		ID: e.id("lb"), Name: in.Name, Tags: in.Tags, Provisioning: "PENDING_CREATE", Updated: e.id("at"),
	}}
	l.PortID = "port-" + l.ID
	l.Address = orElse(in.Address, fmt.Sprintf("198.51.100.%d", e.made))
	pool := func(p *wholePool) string {
		if p == nil {
			return ""
		}
		out := &estatePool{id: e.id("pool"), Pool: p.Pool}
		out.Members = p.Members
		if p.Monitor != nil {
			out.monitor, out.Monitor = e.id("monitor"), p.Monitor
		}
		l.pools = append(l.pools, out)
		return out.id
	}
	for _, x := range in.Listeners {
		made := &estateListener{id: e.id("listener"), Listener: x.Listener, pool: pool(x.Pool)}
		for _, p := range x.Policies {
			made.policies = append(made.policies, &estatePolicy{
				id: e.id("policy"), pool: pool(p.Pool), newPolicy: newPolicy{Policy: p.Policy, On: true}, rules: p.Rules,
			})
		}
		l.listeners = append(l.listeners, made)
	}
	e.lbs = append(e.lbs, l)
	return l
}
