package lb

import "net/netip"

// What JSON makes of the parts of a load balancer, at most and in bytes, without their texts: the names of all fields,
// numbers, times and what stands between them. A byte of a text can become six.
const (
	frameBalancer = 512
	frameListener = 2048
	frameRoute    = 256
	frameTarget   = 256
	framePart     = 128
	perByte       = len(`\u003c`)
	// longestPrefix is that of an address with a port, or a prefix of one, in quotes; a zone comes on top.
	longestPrefix = 64
)

// SizeBound returns a number of bytes that the load balancer takes no more than as JSON. It is soon found, and enough
// to tell what is far from a limit; most are.
func (l *LoadBalancer) SizeBound() int {
	o := &l.Origin
	n := frameBalancer + texts(o.Kind, o.Namespace, o.Name, o.UID, l.Share) + addresses(l.VIPs)
	for i := range l.Listeners {
		s := &l.Listeners[i]
		n += frameListener + texts(string(s.Protocol)) + s.TLS.sizeBound() + s.Options.sizeBound()
		for j := range s.Routes {
			r := &s.Routes[j]
			n += frameRoute + texts(r.Host, r.Path, r.Rewrite) + r.Target.sizeBound()
			for k := range r.Others {
				n += r.Others[k].sizeBound()
			}
		}
	}
	return n
}

func (t *Target) sizeBound() int {
	n := frameTarget + texts(t.Service.Namespace, t.Service.Name)
	for _, e := range t.Endpoints {
		n += longestPrefix + perByte*len(e.Addr().Zone())
	}
	return n
}

func (t *TLS) sizeBound() int {
	if t == nil {
		return 0
	}
	n := 0
	for i := range t.Certificates {
		c := &t.Certificates[i]
		n += 2*framePart + texts(c.Secret, c.Material.Name, c.Material.Digest) + lists(c.Names)
	}
	if t.Clients != nil {
		n += framePart + t.Clients.CA.sizeBound()
	}
	return n
}

func (b *CABundle) sizeBound() int {
	return framePart + texts(b.Kind, b.Name, b.Material.Name, b.Material.Digest)
}

func (o *Options) sizeBound() int {
	n := longestPrefix*(len(o.Sources)+len(o.TrustedProxies)) + texts(string(o.Upstream.Method), string(o.Upstream.Affinity))
	for _, c := range []*HeaderChanges{&o.HTTP.Request, &o.HTTP.Response} {
		for _, h := range c.Set {
			n += framePart + texts(h.Name, h.Value)
		}
		n += lists(c.Remove)
	}
	if b := o.BackendTLS; b != nil {
		n += framePart + texts(b.ServerName) + b.CA.sizeBound()
	}
	return n
}

// texts returns what texts take.
func texts(all ...string) int {
	n := 0
	for _, t := range all {
		n += perByte * len(t)
	}
	return n
}

// lists returns what a list of texts takes.
func lists(all []string) int { return len(`"",`)*len(all) + texts(all...) }

// addresses returns what a list of addresses takes.
func addresses(all []netip.Addr) int {
	n := 0
	for _, a := range all {
		n += longestPrefix + perByte*len(a.Zone())
	}
	return n
}
