package octavia

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// lack is a certificate that is not to be had. It is a matter of those of the sharers of a load balancer who want it.
type lack struct {
	since time.Time
	// text says why, and finding is for the user; without a code it is too early for one.
	text    string
	finding lb.Finding
	// fresh says that no version of the certificate has been had so far, so that nothing of its own serves.
	fresh bool
}

// same compares what users are told.
func (l lack) same(o lack) bool {
	return l.text == o.text && l.finding == o.finding && l.fresh == o.fresh
}

// lacking returns what it means that a certificate is not to be had.
func (i *item) lacking(p Pair, err error, now time.Time) lack {
	f, l := understand(err), lack{since: now, fresh: !i.had[p.Secret]}
	if old, ok := i.lacks[p.Container]; ok {
		l.since = old.since
	}
	l.text = fmt.Sprintf("the certificate of Secret %s is not to be had: %s", p.Secret, f.text)
	switch {
	case f.stays():
		l.finding = f.finding()
	case now.Sub(l.since) >= lateAfter:
		l.finding = lb.Finding{Code: lb.CodeCloudLate, Message: l.text + "; what was there before it serves, if anything"}
	}
	return l
}

// borrow makes do with what there is in place of the certificates that are not to be had, and notes which ports have to
// wait for them.
func (s *stepper) borrow(have Seen) {
	wanted := s.want.Listeners
	s.want = s.want.borrowed(have, s.work.refs)
	s.work.waits = nil
	for _, l := range wanted {
		if !slices.ContainsFunc(s.want.Listeners, func(o Listener) bool {
			return o.Port == l.Port && o.Protocol == l.Protocol
		}) {
			s.work.waits = append(s.work.waits, l.Port)
		}
	}
}

// makeDo notes that nothing differs but for certificates that are not to be had. Of several who share the load balancer
// the others have all that they want. The floating IP does not wait for Barbican.
func (s *stepper) makeDo(ctx context.Context, short error) error {
	w, err := &s.work, s.anchor(ctx)
	if !isShare(w.key) {
		return errors.Join(short, err)
	}
	if err == nil {
		err = s.detail(ctx)
	}
	if err == nil {
		w.ready, w.reason, w.findings = true, "", append(w.weakness(), s.misplaced()...)
	}
	return errors.Join(err, short)
}

// lacked enters into how a sharer fares what certificates that are not to be had mean for it.
func (i *item) lacked(h *backend.Health, p Part, cluster string) {
	id := Identity{Cluster: cluster, Origin: lb.Origin{Key: i.key}}
	wait := func(reason string) {
		if h.Ready {
			h.Ready, h.Reason = false, reason
		}
	}
	for _, l := range p.Model.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, pair := range id.pairs(l, p.Model.Origin.Namespace) {
			x, ok := i.lacks[pair.Container]
			if !ok || len(p.Model.Cloud.Certificates) > 0 {
				continue
			}
			if x.finding.Code != "" && !slices.Contains(h.Findings, x.finding) {
				h.Findings = append(h.Findings, x.finding)
			}
			if x.fresh {
				wait(x.text)
			}
		}
		if slices.Contains(i.waits, l.Port) {
			wait(fmt.Sprintf("port %d waits for the certificate of the oldest who shares it", l.Port))
		}
	}
}

// sameLacks compares what users are told.
func sameLacks(a, b *item) bool {
	return maps.EqualFunc(a.lacks, b.lacks, lack.same) && slices.Equal(a.waits, b.waits)
}
