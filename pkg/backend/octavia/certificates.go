package octavia

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Pair is a certificate with its key that has to be put into Barbican before Octavia can take it from there.
type Pair struct {
	// Secret is where it is in the cluster, Digest which version of it is meant.
	Secret lb.Key
	Digest string
	// Container is the name of what holds it in Barbican. It says whose it is and which version, for Barbican has no tags.
	Container string
}

// tagStored is on load balancers that have, or had, certificates of ours in Barbican, so that nobody else needs a call
// to find out what there is to delete with them. It stays on a load balancer for good.
const tagStored = "kubectl-lb-certificates=barbican"

// The longest that a cluster and an object may be in a name of Barbican's, which takes 255 characters in all.
const (
	maxStoredCluster = 64
	maxStoredObject  = 100
)

// storedPrefix is what the names of all that a cluster has in Barbican begin with.
func storedPrefix(cluster string) string {
	return "kubectl-lb " + shortenTo(cluster, maxStoredCluster) + " "
}

// storedObject is what stands for an object there. It has no spaces.
func storedObject(key lb.Key) string {
	return strings.ReplaceAll(shortenTo(key.String(), maxStoredObject), " ", ":") // a share's has one
}

// storedName is the name of a container. Those of its parts go on after another space.
func storedName(cluster string, key lb.Key, digest string) string {
	return storedPrefix(cluster) + storedObject(key) + " " + digest
}

// containerOf is the name of the container that a part of that name is made for.
func containerOf(part string) string { return part[:max(strings.LastIndexByte(part, ' '), 0)] }

// storedFor returns what stands for the object that something in Barbican was made for; false where it is not the
// cluster's.
func storedFor(cluster, name string) (object string, ours bool) {
	rest, ours := strings.CutPrefix(name, storedPrefix(cluster))
	object, _, whole := strings.Cut(rest, " ")
	return object, ours && whole
}

// pairs returns what a listener of an object of the namespace terminates TLS with, where that is in Secrets.
func (i Identity) pairs(l lb.Listener, namespace string) (out []Pair) {
	if l.TLS == nil {
		return nil
	}
	for _, c := range l.TLS.Certificates {
		p := Pair{Secret: lb.Key{Namespace: namespace, Name: c.Secret}, Digest: c.Material.Digest}
		p.Container = storedName(i.Cluster, i.Origin.Key, p.Digest)
		// Two Secrets may hold the same.
		if p.Digest != "" && !slices.ContainsFunc(out, func(o Pair) bool { return o.Container == p.Container }) {
			out = append(out, p)
		}
	}
	return out
}

// pairs returns those of all listeners.
func (t Tree) pairs() (out []Pair) {
	for _, l := range t.Listeners {
		out = append(out, l.Pairs...)
	}
	return out
}

// furnished returns the tree with the URLs of what its pairs are in, by the names of that.
func (t Tree) furnished(refs map[string]string) Tree {
	t.Listeners = slices.Clone(t.Listeners)
	for i, l := range t.Listeners {
		if full, ok := l.furnished(refs); ok {
			t.Listeners[i] = full
		}
	}
	return t
}

// furnished returns the listener with the URLs of what its pairs are in; false where one is not known.
func (l Listener) furnished(refs map[string]string) (Listener, bool) {
	out := l
	for i, p := range l.Pairs {
		ref := refs[p.Container]
		if ref == "" {
			return l, false
		}
		if i == 0 {
			out.Certificate = cmp.Or(out.Certificate, ref)
		}
		out.certify(ref)
	}
	return out, true
}

// beside returns the listener with the certificates that are known of it, and with those that it has now: which of
// these are of the missing one nobody knows.
func (l Listener) beside(have Listener, refs map[string]string) Listener {
	l.Certificate = cmp.Or(l.Certificate, refs[l.Pairs[0].Container], have.Certificate)
	for _, p := range l.Pairs {
		l.certify(refs[p.Container])
	}
	l.certify(append([]string{have.Certificate}, have.Certificates...)...)
	return l
}

// borrowed returns the tree with what is known of the wanted certificates. A listener of which not all are known has
// those beside them that it has now. One that is not there yet is made as soon as its default is known; until then it
// is left out, and what those have at its port who want it stays.
func (t Tree) borrowed(have Seen, refs map[string]string) Tree {
	all := t.Listeners
	t.Listeners = nil
	for _, l := range all {
		full, ok := l.furnished(refs)
		h := have.listener(l.Protocol, l.Port)
		switch {
		case ok:
		case h != nil && h.Protocol == l.Protocol && h.Certificate != "":
			full = l.beside(h.Listener, refs)
		case cmp.Or(l.Certificate, refs[l.Pairs[0].Container]) != "":
			full = l.beside(Listener{}, refs)
		case h != nil:
			if full, ok = t.former(l, *h, have); !ok {
				continue
			}
		default:
			continue
		}
		t.Listeners = append(t.Listeners, full)
	}
	return t
}

// former returns what those who want a listener have at its port now, just as it is; what others have there who do not
// want it is not in it. The tree gets the pools that it needs. It is false where there is nothing of theirs.
func (t *Tree) former(l Listener, h SeenListener, have Seen) (Listener, bool) {
	out := h.Listener
	out.Tags = slices.DeleteFunc(sorted(slices.Clone(h.Tags)), func(t string) bool { return !slices.Contains(l.Tags, t) })
	out.AllowedCIDRs, out.Certificates = sorted(slices.Clone(h.AllowedCIDRs)), sorted(slices.Clone(h.Certificates))
	out.Policies, out.DefaultPool = nil, ""
	theirs := func(name string) bool {
		p := have.pool(name)
		if p == nil || !sameObject(p.Tags, l.Tags) {
			return false
		}
		if t.pool(name) == nil {
			t.Pools = append(slices.Clone(t.Pools), p.Pool)
		}
		return true
	}
	if theirs(h.DefaultPool) {
		out.DefaultPool = h.DefaultPool
	}
	for _, p := range h.Policies {
		if !p.Off && theirs(p.Name) { // a policy has the name of its pool
			rules := make([]Rule, p.Rules)
			out.Policies = append(out.Policies, Policy{Name: p.Name, Pool: p.Name, Rules: rules, Tags: l.Tags})
		}
	}
	slices.SortFunc(t.Pools, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return out, sameObject(h.Tags, l.Tags) || out.DefaultPool != "" || len(out.Policies) > 0
}

// sameObject reports whether two things have to do with the same object.
func sameObject(a, b []string) bool {
	return slices.ContainsFunc(a, func(tag string) bool {
		return strings.HasPrefix(tag, tagObject) && slices.Contains(b, tag)
	})
}
