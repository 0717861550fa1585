package plan

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// A scope is where an address is looked for.
type scope struct {
	family lb.Family
	pool   string
}

// unsupported says what the backend cannot do of a wish.
func unsupported(w *lb.Wish, families []lb.Family, can lb.Capabilities) []lb.Finding {
	var fs []lb.Finding
	add := func(field, format string, args ...any) {
		f := lb.Finding{Code: lb.CodeBackendCannot, Field: field, Message: fmt.Sprintf(format, args...)}
		if !slices.Contains(fs, f) {
			fs = append(fs, f)
		}
	}
	for _, l := range w.LoadBalancer.Listeners {
		unsupportedOf(l, w.Fields, can, add)
	}
	if !can.Cloud {
		for _, at := range w.Clouded {
			add(at, "only a load balancer of Octavia has this; remove the key, or set provider to octavia")
		}
	}
	if w.LoadBalancer.Share != "" && !can.Sharing {
		add(w.Fields.Share, "the backend cannot share addresses")
	}
	for _, f := range slices.DeleteFunc(slices.Clone(families), func(f lb.Family) bool {
		return slices.Contains(can.Families, f)
	}) {
		add(w.Fields.Families, "the backend cannot hold %s addresses; it can hold %s", f, list(can.Families))
	}
	return fs
}

// unsupportedOf adds what the backend cannot do of a listener.
func unsupportedOf(l lb.Listener, at lb.Fields, can lb.Capabilities, add func(field, format string, args ...any)) {
	if !slices.Contains(can.Protocols, l.Protocol) {
		add(at.Protocol, "the backend cannot serve protocol %s; it can serve %s", l.Protocol, list(can.Protocols))
	}
	if l.TLS != nil && !can.TLS {
		add(at.TLS, "the backend cannot terminate TLS; leave it to the Service and use protocol TCP")
	}
	if l.TLS != nil && l.TLS.Clients != nil && !can.ClientAuth {
		add(at.ClientCA, "the backend cannot ask clients for certificates")
	}
	unspread(l.Options.Upstream, at, can, add)
	if !l.Options.Nothing() {
		for _, o := range optional(at, can) {
			if o.asked(l.Options) && !o.can {
				add(o.field, "the backend cannot %s; remove the key", o.what)
			}
		}
	}
	for _, f := range ofRoutes(at, can) {
		if slices.ContainsFunc(l.Routes, f.asked) && !f.can {
			add(f.field, "the backend cannot %s", f.what)
		}
	}
}

// unspread adds the wishes about the choice of pods that a backend cannot fulfil which does not go to pods.
func unspread(u lb.Upstream, at lb.Fields, can lb.Capabilities, add func(field, format string, args ...any)) {
	if u.Endpoints || can.Spread {
		return
	}
	const why = "the pods are kube-proxy's to choose, and all that it sees of clients is a node's address; add " +
		"upstream: endpoints"
	if u.Affinity != "" {
		add(at.Affinity, why)
	}
	if u.Method != "" {
		add(at.Method, why)
	}
}

// tooLarge says that a wish is larger than the backend takes; zero takes everything. It has to be known before the wish
// gets an address, which it would only keep from others.
func tooLarge(w *lb.Wish, limit int) []lb.Finding {
	if limit == 0 || w.LoadBalancer.SizeBound() <= limit {
		return nil
	}
	text, err := json.Marshal(w.LoadBalancer)
	if err != nil || len(text) <= limit {
		return nil
	}
	return []lb.Finding{lb.TooLarge(len(text), limit)}
}

// unknownPool says that a wish names a pool that does not exist.
func (p *planner) unknownPool(w *lb.Wish) lb.Finding {
	return lb.Finding{Code: lb.CodePoolUnknown, Field: w.Fields.Pool,
		Message: fmt.Sprintf("there is no address pool %q; %s", w.Address.Pool, p.poolList())}
}

// noPool says that there is nothing to choose an address from.
func (p *planner) noPool(w *lb.Wish) lb.Finding {
	return lb.Finding{Code: lb.CodePoolExhausted, Field: w.Fields.Pool,
		Message: "there is no pool to take an address from; have one added to the controller's configuration" +
			p.manualHint()}
}

// manualHint names the pools that a wish could ask for.
func (p *planner) manualHint() string {
	var names []string
	for _, q := range p.pools {
		if q.Manual {
			names = append(names, fmt.Sprintf("%q", q.Name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; these give addresses only on request: " + strings.Join(names, ", ")
}

// outside says that a requested address is in no pool that the wish may use.
func (p *planner) outside(w *lb.Wish, a netip.Addr) lb.Finding {
	f := lb.Finding{Code: lb.CodeAddressOutside, Field: w.Fields.Requested}
	if q, ok := ipam.Named(p.pools, w.Address.Pool); ok {
		f.Message = fmt.Sprintf("%s is not in address pool %s; request an address of it", a, q)
	} else {
		f.Message = fmt.Sprintf("%s is in no address pool; %s", a, p.poolList())
	}
	return f
}

// occupied says who has a requested address.
func (p *planner) occupied(w *lb.Wish, a netip.Addr) lb.Finding {
	f := lb.Finding{Code: lb.CodeAddressTaken, Field: w.Fields.Requested}
	owner, ok := p.ledger.owners[a]
	if !ok {
		f.Message = fmt.Sprintf("%s is still being withdrawn from %s; it is free when no node holds it any more, "+
			"which needs no action", a, holders(p.ledger.holds[a]))
		return f
	}
	other := p.serving(owner)
	if other == nil {
		f.Message = fmt.Sprintf("%s is being withdrawn from the deleted %s; it is free when no node holds it any more, "+
			"which needs no action", a, owner)
		return f
	}
	if !slices.Contains(other.VIPs, a) && p.wishes[owner] != nil && !p.wishes[owner].failed() {
		f.Message = fmt.Sprintf("%s is being withdrawn from %s, which gets another address; it is free when no node "+
			"holds it any more, which needs no action", a, owner)
		return f
	}
	for _, l := range w.LoadBalancer.Listeners {
		if slices.ContainsFunc(other.Listeners, l.Clashes) {
			f.Code = lb.CodeAddressPortTaken
			f.Message = fmt.Sprintf("port %d of %s is served by %s; request another address", l.Port, a, owner)
			return f
		}
	}
	f.Message = fmt.Sprintf("%s belongs to %s; request another address", a, owner)
	return f
}

// serving returns a load balancer as it will be served, nil when it is to be withdrawn.
func (p *planner) serving(key lb.Key) *lb.LoadBalancer {
	if key.Namespace == "" {
		return p.shares.first(p, key, lb.Key{})
	}
	c := p.wishes[key]
	switch {
	case c == nil:
		return nil
	case c.failed() || c.vips == nil && c.current != nil:
		return c.lastGood()
	}
	l := c.wish.LoadBalancer
	l.VIPs = c.vips
	return &l
}

// noneLeft says that no address is left, and how many will be before long.
func (p *planner) noneLeft(w *lb.Wish, family lb.Family) lb.Finding {
	s := scope{family: family, pool: w.Address.Pool}
	f, known := p.exhausted[s]
	if !known {
		f = lb.Finding{Code: lb.CodePoolExhausted, Message: p.exhaustion(s)}
		p.exhausted[s] = f
	}
	f.Field = w.Fields.Pool
	return f
}

// exhaustion counts what is in a scope. By then every address of it is owned or on hold.
func (p *planner) exhaustion(s scope) string {
	var names []string
	var size, waiting uint64
	for _, q := range p.pools {
		if !q.Has(s.family) || s.pool != "" && q.Name != s.pool || s.pool == "" && q.Manual {
			continue
		}
		names = append(names, fmt.Sprintf("%q", q.Name))
		size += q.Size(s.family)
		waiting += p.waiting(q, s.family)
	}
	if len(names) == 0 && s.pool != "" {
		return fmt.Sprintf("address pool %q has no %s addresses", s.pool, s.family)
	}
	if len(names) == 0 {
		return fmt.Sprintf("no address pool has %s addresses%s", s.family, p.manualHint())
	}
	text := fmt.Sprintf("no %s address is free in address pool %s (%d in all", s.family, strings.Join(names, ", "), size)
	if waiting > 0 {
		text += fmt.Sprintf(", %d wait for their withdrawal from the nodes", waiting)
	}
	return text + "); delete load balancers that are not needed or have the pool extended"
}

// waiting counts the addresses of a pool that nobody has any more but a node may still hold.
func (p *planner) waiting(q ipam.Pool, f lb.Family) (n uint64) {
	for a := range p.ledger.holds {
		if _, owned := p.ledger.owners[a]; !owned && lb.FamilyOf(a) == f && q.Contains(a) {
			n++
		}
	}
	for a, owner := range p.ledger.owners {
		l := p.serving(owner)
		if (l == nil || !slices.Contains(l.VIPs, a)) && lb.FamilyOf(a) == f && q.Contains(a) {
			n++
		}
	}
	return n
}

// strays warns of addresses that a load balancer keeps although the pools say otherwise.
func (p *planner) strays(w *lb.Wish, vips []netip.Addr) []lb.Finding {
	var fs []lb.Finding
	for _, a := range vips {
		f := lb.Finding{Code: lb.CodeAddressStray}
		named, isNamed := ipam.Named(p.pools, w.Address.Pool)
		_, held := ipam.Holding(p.pools, a)
		switch {
		case !held:
			f.Message = fmt.Sprintf("%s is in no address pool any more; it is kept until the object is deleted or "+
				"requests another address", a)
		case isNamed && !named.Contains(a):
			f.Field = w.Fields.Pool
			f.Message = fmt.Sprintf("%s is not in address pool %q; it is kept until the object is deleted or requests "+
				"another address", a, named.Name)
		default:
			continue
		}
		fs = append(fs, f)
	}
	return fs
}

// poolList names the pools that there are.
func (p *planner) poolList() string {
	if len(p.pools) == 0 {
		return "the controller's configuration has no pools"
	}
	const shown = 8
	var texts []string
	for _, q := range p.pools[:min(shown, len(p.pools))] {
		texts = append(texts, q.String())
	}
	if more := len(p.pools) - shown; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return "the pools are " + strings.Join(texts, ", ")
}

// holders names who held an address, and the nodes that may do so still.
func holders(hs []Hold) string {
	var texts []string
	for _, h := range hs {
		t := h.Key.String()
		if len(h.Nodes) > 0 {
			t += " on node " + strings.Join(h.Nodes, ", ")
		}
		texts = append(texts, t)
	}
	return strings.Join(texts, " and ")
}

// list joins words with commas.
func list[T ~string](words []T) string {
	texts := make([]string, 0, len(words))
	for _, w := range words {
		texts = append(texts, string(w))
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}
