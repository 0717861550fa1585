package octavia

import (
	"context"
	"time"
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
			return err
		}
		old[i].PortID = ""
	}
	err := api.attach(ctx, ip.ID, port)
	if err == nil {
		return nil
	}
	for _, o := range old {
		if back := api.attach(ctx, o.ID, port); back != nil {
			s.engine.log.WarnContext(ctx, "floating IP is lost", "object", describe(s.work.key), "address", o.Address,
				"error", back)
		}
	}
	f, pause := understand(err), balkFault
	if f.stays() {
		pause = balkRefused
	}
	s.work.buoy.balk = balk{id: ip.ID, port: port, err: f, until: time.Now().Add(pause)}
	return err
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
