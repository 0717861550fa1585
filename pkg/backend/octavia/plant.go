package octavia

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Plant makes the tree that a load balancer of the model shall be in Octavia. It is pure: equal input gives an equal
// tree, in an order that has nothing to do with that of the input.
func Plant(l lb.LoadBalancer, id Identity, s Settings) Tree {
	t := Tree{
		Name: id.Name(), Tags: id.Tags(), Placement: s.Placement,
		Description: "Made by kubectl-lb for " + shorten(l.Origin.Key.String()),
	}
	if len(l.VIPs) > 0 {
		t.Placement.Address = l.VIPs[0].String()
	}
	p := planter{settings: s, tags: id.ChildTags()}
	for _, listener := range l.Listeners {
		made, pools := p.listener(listener)
		t.Listeners = append(t.Listeners, made)
		t.Pools = append(t.Pools, pools...)
	}
	slices.SortFunc(t.Listeners, func(a, b Listener) int { return cmp.Compare(a.Port, b.Port) })
	slices.SortFunc(t.Pools, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return t
}

type planter struct {
	settings Settings
	tags     []string
}

func (p planter) listener(l lb.Listener) (Listener, []Pool) {
	s := p.settings
	out := Listener{
		Name: fmt.Sprintf("%s-%d", strings.ToLower(string(l.Protocol)), l.Port), Protocol: string(l.Protocol), Port: l.Port,
		ConnectionLimit: orElse(s.ConnectionLimit, -1),
		ClientTimeout:   orElse(s.ClientTimeout, 50000), ConnectTimeout: orElse(s.ConnectTimeout, 5000),
		MemberTimeout: orElse(s.MemberTimeout, 50000), InspectTimeout: s.InspectTimeout,
		Tags: p.tags,
	}
	for _, c := range s.AllowedCIDRs {
		out.AllowedCIDRs = append(out.AllowedCIDRs, c.Masked().String())
	}
	slices.Sort(out.AllowedCIDRs)
	if s.ForwardedFor && l.Protocol == lb.HTTP {
		out.InsertHeaders = map[string]string{
			"X-Forwarded-For": "true", "X-Forwarded-Port": "true", "X-Forwarded-Proto": "true",
		}
	}
	var pools []Pool
	routes := slices.Clone(l.Routes)
	slices.SortFunc(routes, bySpecificity)
	for _, r := range routes {
		rules := rulesOf(r)
		pool := p.pool(l, r, rules)
		pools = append(pools, pool)
		if len(rules) == 0 {
			out.DefaultPool = pool.Name
			continue
		}
		out.Policies = append(out.Policies, Policy{Name: pool.Name, Pool: pool.Name, Rules: rules, Tags: p.tags})
	}
	return out, pools
}

// bySpecificity orders routes as they are tried: those of a host first, longer paths before shorter. It is an order of
// the routes themselves, so that adding one never changes the order of the others.
func bySpecificity(a, b lb.Route) int {
	if (a.Host == "") != (b.Host == "") {
		return strings.Compare(b.Host, a.Host) // the empty one last
	}
	return cmp.Or(cmp.Compare(len(b.Path), len(a.Path)), strings.Compare(a.Host, b.Host), strings.Compare(a.Path, b.Path))
}

func rulesOf(r lb.Route) (rules []Rule) {
	if r.Host != "" {
		rules = append(rules, Rule{Type: "HOST_NAME", Compare: "EQUAL_TO", Value: r.Host})
	}
	if r.Path != "" && r.Path != "/" {
		rules = append(rules, Rule{Type: "PATH", Compare: "STARTS_WITH", Value: r.Path})
	}
	return rules
}

// pool makes a route's pool. Octavia wants names that are unique in the load balancer.
func (p planter) pool(l lb.Listener, r lb.Route, rules []Rule) Pool {
	s := p.settings
	out := Pool{Protocol: string(l.Protocol), Method: orElse(s.Method, methodDefault), Tags: p.tags}
	if l.Protocol == lb.TCP && s.ProxyProtocol != "" {
		out.Protocol = map[string]string{"v1": "PROXY", "v2": "PROXYV2"}[s.ProxyProtocol]
	}
	out.Name = fmt.Sprintf("%s-%d", strings.ToLower(out.Protocol), l.Port)
	if len(rules) > 0 {
		out.Name += "-" + digest(r.Host+" "+r.Path)
	}
	if s.Persistence != "" {
		out.Persistence = &Persistence{Type: s.Persistence}
	}
	for _, e := range r.Target.Endpoints {
		out.Members = append(out.Members, p.member(e))
	}
	// The same address and port twice would lock Octavia up for good (up to 14.0).
	slices.SortFunc(out.Members, Member.compare)
	out.Members = slices.Compact(out.Members)
	if m := s.Monitor.complete(); m.Type != monitorNone {
		out.Monitor = &Monitor{
			Name: out.Name, Type: m.Type, Delay: m.Delay, Timeout: m.Timeout, Retries: m.Retries, RetriesDown: m.RetriesDown,
			Path: m.Path, Codes: m.Codes, Tags: p.tags,
		}
		if m.Path != "" {
			out.Monitor.Method = "GET"
		}
	}
	return out
}

func (p planter) member(e netip.AddrPort) Member {
	return Member{Address: e.Addr().Unmap().String(), Port: e.Port(), SubnetID: p.settings.MemberSubnetID}
}
