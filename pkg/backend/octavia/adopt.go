package octavia

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// adopt makes a load balancer the object's own that somebody else has made, as its user has asked for by its ID. It
// gets our name and tags at once, so that nobody else can have it; what it has beside the ports of the object stays.
func (s *stepper) adopt(ctx context.Context, id string) error {
	w := &s.work
	r, err := s.engine.api.get(ctx, id)
	if err != nil {
		f := understand(err)
		if f.trouble == troubleGone || f.trouble == troubleDenied {
			text := "there is no load balancer " + id + " to adopt in this project"
			f = &failure{trouble: troubleRefused, text: text, err: err}
		}
		return f
	}
	if err := adoptable(r, []string{tagCluster + s.engine.cluster, objectTag(w.key)}); err != nil {
		return err
	}
	if r.Provisioning == statusError {
		return &failure{trouble: troubleRefused, text: "load balancer " + id + " cannot be adopted: it is in ERROR"}
	}
	seen, name := Seen{ID: id, Name: r.Name, Tags: r.Tags}, r.Name
	op := Op{Verb: Update, Kind: KindLoadBalancer, Name: s.want.Name, ID: id}
	if err := s.engine.api.do(ctx, op, s.want, &seen); err != nil {
		return fmt.Errorf("adopt %s: %w", id, err)
	}
	r.Name, r.Tags = seen.Name, seen.Tags
	w.take(r, time.Now())
	w.changed(time.Now())
	s.engine.log.InfoContext(ctx, "load balancer adopted", "object", describe(w.key), "id", r.ID, "name", name,
		"address", r.Address)
	return nil
}

// adoptable says why a load balancer cannot be adopted by who has these tags: another object has it.
func adoptable(r root, mine []string) error {
	others := slices.ContainsFunc(r.Tags, func(t string) bool {
		return !isForeign(t) && !strings.HasPrefix(t, tagUID) && !slices.Contains(mine, t)
	})
	if !others {
		return nil
	}
	return &failure{trouble: troubleRefused, text: "load balancer " + r.ID + " cannot be adopted: it was made for " +
		ownerOf(r) + "; take the tags that begin with kubectl-lb- from it if that is gone for good"}
}

// ownerOf names the object that a load balancer was made for.
func ownerOf(r root) string {
	if key, ok := shareKeyOf(r.Tags); ok {
		return "ConfigMaps that " + describe(key) + ", perhaps of another cluster"
	}
	if key, ok := keyOf(r.Tags); ok {
		return "ConfigMap " + describe(key) + ", perhaps of another cluster"
	}
	return "another object"
}
