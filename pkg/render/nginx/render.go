package nginx

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// Render returns the configuration. It fails only where no configuration at all can be made, as by a bad RunDir; what
// is wrong with one load balancer refuses that one.
func Render(in Input) (Result, error) {
	in = withDefaults(in)
	if err := check(in); err != nil {
		return Result{}, fmt.Errorf("render nginx: %w", err)
	}
	b := builder{in: in, owners: make(map[string]lb.Key), ranges: make(map[string]rangeSet), sockets: 2}
	served, refused, listening := sift(in.LoadBalancers)
	b.listening = listening
	for _, l := range served {
		b.add(*l)
	}
	if len(b.ranges) > 0 {
		b.files = append(b.files, b.rangesFile())
	}
	b.files = append(b.files, render.File{Path: "nginx.conf", Data: mainConfig(in, b)})
	generation, err := b.seal()
	if err != nil {
		return Result{}, fmt.Errorf("render nginx: %w", err)
	}
	files, err := render.NewFiles(b.files...)
	if err != nil {
		return Result{}, fmt.Errorf("render nginx: %w", err)
	}
	return Result{Files: files, Generation: generation, Refused: refused, owners: b.owners}, nil
}

func withDefaults(in Input) Input {
	in.User = cmp.Or(in.User, "www-data")
	in.TLSDir = cmp.Or(in.TLSDir, DefaultTLSDir)
	in.WorkerConnections = cmp.Or(in.WorkerConnections, DefaultWorkerConnections)
	in.ShutdownTimeout = cmp.Or(in.ShutdownTimeout, DefaultShutdownTimeout)
	return in
}

// sift parts the load balancers that can be rendered from those that cannot, both sorted by key. Of two that want the
// same socket or have the same key, the first has it; the plan lets neither happen.
func sift(all []lb.LoadBalancer) (served []*lb.LoadBalancer, refused []Refusal, at map[socket]*occupants) {
	sorted := make([]*lb.LoadBalancer, 0, len(all)) // for they are large, and sorting moves them about
	for i := range all {
		sorted = append(sorted, &all[i])
	}
	slices.SortStableFunc(sorted, func(a, b *lb.LoadBalancer) int { return a.Origin.Key.Compare(b.Origin.Key) })
	c := checker{listening: make(map[socket]*occupants, len(all))}
	for i, l := range sorted {
		var f lb.Finding
		bad := i > 0 && sorted[i-1].Origin.Key == l.Origin.Key
		if bad {
			f = finding(lb.CodeConflictingKeys, "", "%q occurs twice", l.Origin.Key)
		} else {
			f, bad = c.check(l)
		}
		if bad {
			refused = append(refused, Refusal{Key: l.Origin.Key, Finding: f})
			continue
		}
		served = append(served, l)
	}
	return served, refused, c.listening
}

// builder gathers the files of all load balancers and what nginx.conf must know of them.
type builder struct {
	in     Input
	files  []render.File
	owners map[string]lb.Key
	// listening says who is at each socket.
	listening map[socket]*occupants
	// sockets is the number of listening sockets, the probe's among them.
	sockets int
	// stream says whether there is a listener of TCP, UDP or passthrough.
	stream bool
	// sni says whether there is a passthrough listener, and so the socket that rejects.
	sni bool
	// https and tls say whether TLS is terminated in http{} and in stream{}.
	https, tls bool
	// trusting says whether some listener believes X-Forwarded-For.
	trusting bool
	// ranges are what listeners look addresses up in, by the names of their variables.
	ranges map[string]rangeSet
	// sticky says whether some listener knows its clients by a cookie.
	sticky bool
}

// add renders a load balancer that has passed the check.
func (b *builder) add(l lb.LoadBalancer) {
	var http, stream render.Text
	for _, s := range l.Listeners {
		switch {
		case s.Protocol == lb.HTTP:
			httpListener(&http, b.in, l, s, b.leads(l, s))
			b.https = b.https || s.TLS != nil
			b.trusting = b.trusting || trusts(s)
			b.needs(s)
			b.sticky = b.sticky || s.Options.Upstream.Affinity == lb.Cookie
		case s.Protocol == lb.Passthrough:
			sniListener(&stream, b.in, l, s)
			b.stream = true
			if !b.sni {
				b.sockets++
			}
			b.sni = true
		case len(upstreamServers(s, s.Routes[0].Targets())) == 0:
			// Nothing listens, so that clients are refused at once and can go elsewhere.
			continue
		default:
			streamListener(&stream, b.in, l, s)
			b.stream, b.tls = true, b.tls || s.TLS != nil
		}
		b.sockets += len(l.VIPs)
	}
	b.file("http", l.Origin.Key, &http)
	b.file("stream", l.Origin.Key, &stream)
}

// leads finds the virtual IPs at which a load balancer has the default server of a listener's socket: the only one at
// it, or of several that share the address the one with a route for every host, or else the first.
func (b *builder) leads(l lb.LoadBalancer, s lb.Listener) lead {
	out := lead{alone: true}
	for _, a := range l.VIPs {
		all := b.listening[socket{netip.AddrPortFrom(a, s.Port), s.Transport()}]
		out.alone = out.alone && all.n == 1
		out.at = append(out.at, all.leader().Origin.Key == l.Origin.Key)
	}
	return out
}

// file adds a load balancer's file of a kind, unless it is empty.
func (b *builder) file(kind string, k lb.Key, t *render.Text) {
	if len(t.Bytes()) == 0 {
		return
	}
	path := kind + "/" + stem(k) + ".conf"
	b.files = append(b.files, render.File{Path: path, Data: t.Bytes()})
	b.owners[path] = k
}

// seal adds the generation probe and returns the generation: the hash of all files, the probe's among them while it
// answers nothing yet.
func (b *builder) seal() (string, error) {
	unsealed, err := render.NewFiles(append(slices.Clone(b.files), probe(b.in, ""))...)
	if err != nil {
		return "", err
	}
	generation := unsealed.Hash()
	b.files = append(b.files, probe(b.in, generation))
	return generation, nil
}
