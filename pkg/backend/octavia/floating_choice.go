package octavia

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// staying are those that are not on their way out; all of them where there is no other.
func staying(found []root) []root {
	out := slices.DeleteFunc(slices.Clone(found), func(r root) bool { return r.Provisioning == statusPendingDelete })
	if len(out) == 0 {
		return found
	}
	return out
}

// ambiguous reports whether only Neutron can tell which of several load balancers with the item's tags clients use:
// none of them is known, or has the object's address itself, and some may have a floating IP.
func (i *item) ambiguous(found []root) bool {
	left := staying(found)
	return i.model != nil && len(left) > 1 &&
		!slices.ContainsFunc(left, func(r root) bool { return r.ID == i.id || i.recorded(r) }) &&
		slices.ContainsFunc(left, func(r root) bool { may, _ := floats(r.Tags); return may })
}

// choose is [item.choose] with Neutron's help where that is needed. Without an answer nothing is chosen: the wrong one
// would take the other one's place, and that one be deleted.
func (s *stepper) choose(ctx context.Context, found []root) error {
	port := ""
	if s.work.ambiguous(found) {
		var err error
		if port, err = s.used(ctx, staying(found)); err != nil {
			f := understand(err)
			f.aside = true
			return fmt.Errorf("which of two load balancers do clients use: %w", f)
		}
	}
	s.work.choose(found, time.Now(), port)
	return nil
}

// used returns the port of the load balancer to which the object's address leads, or the one that is asked for; else
// the only one to which a floating IP leads that was made for the object. It is empty where there is none.
func (s *stepper) used(ctx context.Context, found []root) (port string, err error) {
	ports := func(ips []floatingIP) (out []string) {
		for _, r := range found {
			if slices.ContainsFunc(ips, func(f floatingIP) bool { return r.PortID != "" && f.PortID == r.PortID }) {
				out = append(out, r.PortID)
			}
		}
		return out
	}
	var addresses []string
	for _, a := range s.model.Cloud.Recorded {
		if lb.FamilyOf(a) == lb.IPv4 {
			addresses = append(addresses, a.String())
		}
	}
	if f := s.want.Floating; f != nil && f.Address != "" {
		addresses = append(addresses, f.Address)
	}
	for _, a := range addresses {
		ips, err := s.engine.api.floatingAt(ctx, a)
		if err != nil {
			return "", err
		}
		if to := ports(ips); len(to) > 0 {
			return to[0], nil
		}
	}
	ips, err := s.engine.api.floatingOwned(ctx, floatingOwner(s.engine.cluster, s.work.key))
	if to := ports(ips); err == nil && len(to) == 1 {
		port = to[0]
	}
	return port, err
}
