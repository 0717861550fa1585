package feed

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// materialPatience is how long a configuration waits for the material that it names. The controller writes the material
// first, but two watches need not tell in the order of the writes.
const materialPatience = time.Second

// handout is what the Secrets amount to.
type handout struct {
	keyring.Material
	// digests are the versions, by name.
	digests map[string]string
}

func handoutOf(store cache.Store) handout {
	h := handout{
		Material: keyring.Material{Certificates: map[string][]byte{}, Bundles: map[string][]byte{}},
		digests:  map[string]string{},
	}
	for _, object := range store.List() {
		s, ok := object.(*corev1.Secret)
		if !ok {
			continue
		}
		h.digests[s.Name] = s.Annotations[nodeconfig.AnnotationDigest]
		if text, ok := s.Data[nodeconfig.KeyCertificate]; ok {
			h.Certificates[s.Name] = text
		}
		if text, ok := s.Data[nodeconfig.KeyBundle]; ok {
			h.Bundles[s.Name] = text
		}
		if s.Name == nodeconfig.TicketsName {
			h.Tickets = nil
			for _, key := range nodeconfig.TicketKeys() {
				h.Tickets = append(h.Tickets, s.Data[key])
			}
		}
	}
	return h
}

// patience decides how long a configuration waits for its material.
type patience struct {
	// given are the materials that were waited for in vain.
	given map[lb.Material]bool
	// until ends the wait, nil while there is none.
	until <-chan time.Time
	lacks []lb.Material
}

// wait reports whether a configuration is to wait for its material.
func (p *patience) wait(c *nodeconfig.Config, h handout) bool {
	p.lacks = nil
	if c != nil {
		p.lacks = slices.DeleteFunc(named(*c), func(m lb.Material) bool {
			return h.digests[m.Name] == m.Digest || p.given[m]
		})
	}
	switch {
	case len(p.lacks) == 0:
		p.until = nil
	case p.until == nil:
		p.until = time.After(materialPatience)
	}
	return len(p.lacks) > 0
}

// giveUp ends a wait.
func (p *patience) giveUp() {
	p.until = nil
	if p.given == nil {
		p.given = map[lb.Material]bool{}
	}
	for _, m := range p.lacks {
		p.given[m] = true
	}
}

// named returns the materials that a configuration names.
func named(c nodeconfig.Config) []lb.Material {
	var out []lb.Material
	for _, s := range c.Shards {
		for i := range s.LoadBalancers {
			for _, c := range s.LoadBalancers[i].Certificates() {
				out = append(out, c.Material)
			}
			for _, b := range s.LoadBalancers[i].CABundles() {
				out = append(out, b.Material)
			}
		}
	}
	return out
}
