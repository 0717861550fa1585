package octavia

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

const (
	// balkRefused is how long a floating IP that Neutron has refused to let lead to a port is not tried again, where each
	// try takes another one from its clients, and balkFault is the same after a fault of Neutron's.
	balkRefused = time.Hour
	balkFault   = 5 * time.Minute
)

// balk is a floating IP that could not take another one's place at a port. It is forgotten when anything else is done.
type balk struct {
	id, port string
	err      *failure
	until    time.Time
}

// swap lets a floating IP lead to the load balancer's port in place of the old ones. Those that were made for the
// object go then, unless they are to be kept.
//
// It is tried first while the old ones are there: where the networks are others, a port can have one of each, so that
// no client notices; and Neutron looks for the way to the port before it looks for others there, so that one that can't
// lead there takes nothing away.
func (s *stepper) swap(ctx context.Context, old []floatingIP, ip *floatingIP, owner string) error {
	b, port := &s.work.buoy.balk, s.work.last.PortID
	if b.id == ip.ID && b.port == port && time.Now().Before(b.until) {
		return b.err
	}
	err := s.engine.api.attach(ctx, ip.ID, port)
	if err != nil && len(old) > 0 && understand(err).taken {
		err = s.displace(ctx, old, ip)
	}
	if err != nil {
		return err
	}
	ip.PortID = port
	return s.retire(ctx, old, owner)
}

// displace takes the old ones from the port, so that another one can lead there. Where it cannot, they come back.
func (s *stepper) displace(ctx context.Context, old []floatingIP, ip *floatingIP) error {
	api, port := s.engine.api, s.work.last.PortID
	for i := range old {
		if err := api.attach(ctx, old[i].ID, ""); err != nil {
			s.restore(ctx, old[:i+1]) // the last one, too: an answer that says no may be of a call that was done
			return err
		}
		old[i].PortID = ""
	}
	err := api.attach(ctx, ip.ID, port)
	if err == nil || !s.restore(ctx, old) {
		return err
	}
	f, pause := understand(err), balkFault
	if f.stays() {
		pause = balkRefused
	}
	s.work.buoy.balk = balk{id: ip.ID, port: port, err: f, until: time.Now().Add(pause)}
	return err
}

// restoreLimit is how long it may take to bring a floating IP back, also where the program ends meanwhile.
const restoreLimit = 10 * time.Second

// restore lets floating IPs lead to the port again, and reports whether they do. Else the object has none for now, and
// all is looked at anew.
func (s *stepper) restore(ctx context.Context, old []floatingIP) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
	defer cancel()
	back := true
	for _, o := range old {
		err := s.engine.api.attach(ctx, o.ID, s.work.last.PortID)
		if err == nil || o.PortID != "" && understand(err).taken { // it has never been away
			continue
		}
		back, s.work.lost = false, append(slices.Clone(s.work.lost), o.Address)
		s.engine.log.WarnContext(ctx, "floating IP is lost", "object", describe(s.work.key), "address", o.Address,
			"error", err)
	}
	if !back {
		s.work.buoy, s.work.ready, s.work.reason = buoy{}, false, "its floating IP does not lead to it"
	}
	return back
}

// fallBack lets a floating IP lead to the load balancer's port, which has none, while the one that is wanted cannot be
// had: one that was taken from there for that, and could not be brought back. It is the object's until the next try.
func (s *stepper) fallBack(ctx context.Context, want Floating, owner string) {
	for _, ip := range s.former(ctx, owner) {
		if ip.PortID != "" || want.fits(ip) || s.engine.api.attach(ctx, ip.ID, s.work.last.PortID) != nil {
			continue // the trouble with the one that is wanted is what the user is told of
		}
		s.engine.log.InfoContext(ctx, "floating IP is back", "object", describe(s.work.key), "address", ip.Address)
		ip.PortID = s.work.last.PortID
		s.work.buoy = buoy{ip: &ip}
		return
	}
}

// former returns the floating IPs that may have led to the load balancer before: those with the address that the object
// says that it has, or that this process has lost, which its user may have made; and those that were made for it.
func (s *stepper) former(ctx context.Context, owner string) (all []floatingIP) {
	addresses := slices.Clone(s.work.lost)
	for _, a := range s.model.Cloud.Recorded {
		if lb.FamilyOf(a) == lb.IPv4 && !slices.Contains(addresses, a.String()) {
			addresses = append(addresses, a.String())
		}
	}
	for _, a := range addresses {
		ips, err := s.engine.api.floatingAt(ctx, a)
		if err != nil {
			return nil
		}
		all = append(all, slices.DeleteFunc(ips, func(f floatingIP) bool { return s.others(f, owner) })...)
	}
	ips, err := s.engine.api.floatingOwned(ctx, owner)
	if err != nil {
		return nil
	}
	return append(all, ips...)
}

// others reports whether a floating IP was made for another object.
func (s *stepper) others(ip floatingIP, owner string) bool {
	return strings.HasPrefix(ip.Description, floatingMark) && !s.made(ip, owner)
}

// retire makes floating IPs go that another one has taken the place of. One of somebody else's, or one that is to be
// kept, only leads nowhere from then on.
func (s *stepper) retire(ctx context.Context, old []floatingIP, owner string) error {
	_, keep := floats(s.work.last.Tags)
	for _, o := range old {
		var err error
		switch {
		case s.made(o, owner) && !keep:
			err = s.engine.api.drop(ctx, o.ID)
		case o.PortID != "":
			err = s.engine.api.attach(ctx, o.ID, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
