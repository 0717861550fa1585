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
	return plantAll([]Part{{Model: l, Settings: s}}, id)
}

// plantAll makes the tree that the load balancer of all parts shall be. The first one says what can be said only once.
func plantAll(parts []Part, id Identity) Tree {
	l, s := parts[0].Model, parts[0].Settings
	s = s.with(l.Cloud)
	floating := s.floating(l)
	if floating != nil {
		l.VIPs = inside(l.VIPs)
	}
	t := Tree{
		Name: id.Name(), Tags: id.Tags(), Placement: place(l, s), Floating: floating,
		Description: "Made by kubectl-lb for " + shorten(describe(id.Origin.Key)), Left: leftOf(parts),
	}
	for _, socket := range sockets(parts, id) {
		made, pools := plantSocket(socket)
		t.Listeners = append(t.Listeners, made)
		t.Pools = append(t.Pools, pools...)
	}
	slices.SortFunc(t.Listeners, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(carrier(a.Protocol), carrier(b.Protocol)))
	})
	slices.SortFunc(t.Pools, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return t
}

// place says where the virtual IPs are: of the family that is wanted, or one of each.
func place(l lb.LoadBalancer, s Settings) Placement {
	p := s.Placement
	var four, six string
	for _, a := range l.VIPs {
		if lb.FamilyOf(a) == lb.IPv6 {
			six = a.String()
		} else {
			four = a.String()
		}
	}
	p.Address = orElse(four, six)
	switch {
	case s.SubnetIPv6 == "" || !l.Cloud.IPv6 && p.SubnetID != "":
	case l.Cloud.IPv4:
		p.Address, p.Additional = four, []Additional{{SubnetID: s.SubnetIPv6, Address: six}}
	case p.NetworkID == "" && p.PortID == "":
		p.SubnetID = s.SubnetIPv6
	}
	return p
}

const (
	protocolHTTP  = "HTTP"
	protocolHTTPS = "TERMINATED_HTTPS"
)

// planter makes what comes of a listener of the model.
type planter struct {
	listener lb.Listener
	settings Settings
	tags     []string
	// certificates are Barbican's URLs of those of HTTPS; without any, pairs are what has to be put there.
	certificates []string
	pairs        []Pair
}

// plantSocket makes the listener of those who share a socket, whose first says what can be said only once, and the
// pools of all.
func plantSocket(all []planter) (Listener, []Pool) {
	out := all[0].plant()
	type way struct {
		planter
		route lb.Route
	}
	var ways []way
	for _, p := range all {
		out.join(p)
		for _, r := range p.listener.Routes {
			ways = append(ways, way{p, r})
		}
	}
	slices.SortFunc(ways, func(a, b way) int { return bySpecificity(a.route, b.route) })
	var pools []Pool
	for _, w := range ways {
		rules := rulesOf(w.route, out.Port, out.Protocol == protocolHTTPS)
		pool := w.pool(w.listener, w.route, rules)
		pools = append(pools, pool)
		if len(rules) == 0 {
			out.DefaultPool = pool.Name
			continue
		}
		out.Policies = append(out.Policies, Policy{Name: pool.Name, Pool: pool.Name, Rules: rules, Tags: w.tags})
	}
	return out, pools
}

// plant makes a listener without what it does with requests.
func (p planter) plant() Listener {
	l, s := p.listener, p.settings
	out := Listener{
		Name: fmt.Sprintf("%s-%d", strings.ToLower(string(l.Protocol)), l.Port), Protocol: string(l.Protocol), Port: l.Port,
		ConnectionLimit: orElse(s.ConnectionLimit, -1),
		ClientTimeout:   orElse(s.ClientTimeout, 50000), ConnectTimeout: orElse(s.ConnectTimeout, 5000),
		MemberTimeout: orElse(s.MemberTimeout, 50000), InspectTimeout: s.InspectTimeout,
		Tags: p.tags,
	}
	if p.secure() {
		out.Name, out.Protocol, out.Pairs = fmt.Sprintf("https-%d", l.Port), protocolHTTPS, p.pairs
	}
	if p.secure() && len(p.certificates) > 0 {
		out.Certificate, out.Certificates = p.certificates[0], sorted(slices.Clone(p.certificates[1:]))
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
	return out
}

// secure reports whether TLS ends at the listener, also without a certificate: Octavia refuses that, and nothing is
// served in the clear.
func (p planter) secure() bool { return p.listener.TLS != nil }

// pool makes a route's pool. Octavia wants names that are unique in the load balancer.
func (p planter) pool(l lb.Listener, r lb.Route, rules []Rule) Pool {
	s := p.settings
	out := Pool{Protocol: string(l.Protocol), Method: orElse(s.Method, methodDefault), Tags: p.tags}
	if l.Protocol == lb.TCP && s.ProxyProtocol != "" {
		out.Protocol = map[string]string{"v1": "PROXY", "v2": "PROXYV2"}[s.ProxyProtocol]
	}
	out.Name = fmt.Sprintf("%s-%d", strings.ToLower(out.Protocol), l.Port)
	if len(rules) > 0 {
		out.Name += "-" + digest(r.Host+" "+r.Path+map[bool]string{true: " exact"}[r.Exact])
	}
	check := r.Target.Check
	if s.Monitor.Type == monitorNone {
		check = lb.Check{}
	}
	if check.Port > 0 {
		// No reading shows where members are checked, so that it must be in the name.
		out.Name += fmt.Sprintf("-checked-at-%d", check.Port)
	}
	if s.Persistence != "" {
		out.Persistence = &Persistence{Type: s.Persistence, Cookie: s.Cookie}
	}
	for _, e := range r.Target.Endpoints {
		out.Members = append(out.Members, p.member(e, check))
	}
	// The same address and port twice would lock Octavia up for good (up to 14.0).
	slices.SortFunc(out.Members, Member.compare)
	out.Members = slices.Compact(out.Members)
	monitor := s.Monitor
	if check.Port > 0 {
		monitor.Type, monitor.Path, monitor.Codes = monitorHTTP, check.Path, ""
	}
	if m := monitor.complete(out.Protocol); m.Type != monitorNone {
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

func (p planter) member(e netip.AddrPort, c lb.Check) Member {
	return Member{
		Address: e.Addr().Unmap().String(), Port: e.Port(), SubnetID: p.settings.MemberSubnetID, MonitorPort: c.Port,
	}
}
