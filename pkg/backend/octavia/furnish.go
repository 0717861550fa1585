package octavia

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// sweepEvery is how often all that the cluster has in Barbican is looked at; the first time is soon after the start,
// for what a process has left that was killed.
const sweepEvery = time.Hour

// KeyPairs finds the certificate and the key of a Secret. It may be called from several goroutines at once.
type KeyPairs func(ctx context.Context, secret lb.Key) (certs.KeyPair, error)

// furnish sees to it that what the listeners' certificates are made of is in Barbican, and enters its URLs into the
// wish. It makes no calls where all of them are known. One that fails does not keep the others out.
func (s *stepper) furnish(ctx context.Context) error {
	w, pairs := &s.work, s.want.pairs()
	if len(pairs) == 0 {
		w.untidy = w.untidy || len(w.refs) > 0
		w.refs, w.lacks, w.waits = nil, nil, nil
		return nil
	}
	w.stores = true
	refs := make(map[string]string, len(pairs)) // the item has the old one, and others read it
	for _, p := range pairs {
		if ref := w.refs[p.Container]; ref != "" {
			refs[p.Container] = ref
		}
	}
	w.untidy = w.untidy || len(refs) < len(w.refs)
	lacks, had := map[string]lack{}, maps.Clone(w.had)
	if had == nil {
		had = map[lb.Key]bool{}
	}
	var first, last error
	for _, p := range pairs {
		if refs[p.Container] == "" {
			var ref string
			if last == nil || !hopeless(last) {
				ref, last = s.deposit(ctx, p)
			}
			if last != nil {
				first = cmp.Or(first, last)
				lacks[p.Container] = w.lacking(p, last, time.Now())
				continue
			}
			refs[p.Container] = ref
		}
		had[p.Secret] = true
	}
	w.refs, w.lacks, w.had, w.waits = refs, lacks, had, nil
	if first != nil {
		f := *understand(first) // a copy: a login's failure is of all who wait for that
		f.lacking = true
		return fmt.Errorf("certificate: %w", &f)
	}
	s.want = s.want.furnished(refs)
	return nil
}

// hopeless reports whether a failure with a certificate is that of all: a Barbican that does not answer costs its time
// only once.
func hopeless(err error) bool {
	f := understand(err)
	return f.absent || f.trouble == troubleLogin || errors.Is(err, context.DeadlineExceeded)
}

// deposit returns the URL of what a pair is in, after it has put it there if it was not.
func (s *stepper) deposit(ctx context.Context, p Pair) (string, error) {
	ref, err := s.engine.api.stored(ctx, p.Container)
	if err != nil || ref != "" {
		return ref, err
	}
	if s.engine.pairs == nil {
		return "", &failure{trouble: troubleRefused, aside: true, text: "nobody can read Secrets here"}
	}
	pair, err := s.engine.pairs(ctx, p.Secret)
	if err != nil {
		return "", &failure{trouble: troubleWeather, aside: true, text: fmt.Sprintf("Secret %s %s", p.Secret, err)}
	}
	if pair.Digest != p.Digest {
		return "", &failure{trouble: troubleWeather, aside: true, text: fmt.Sprintf("Secret %s has just changed", p.Secret)}
	}
	s.work.untidy = true // also where it fails half-way
	if ref, err = s.engine.api.store(ctx, p.Container, pair); err != nil {
		return "", err
	}
	s.engine.log.InfoContext(ctx, "certificate put into Barbican", "object", s.work.key.String(), "secret",
		p.Secret.String(), "url", ref)
	return ref, nil
}

// tidy deletes what the object has in Barbican and does not need any more. What fails is tried again by the sweep. As
// long as a sharer is barred, what that one needs is not known here, and needed again at the next try.
func (s *stepper) tidy(ctx context.Context) {
	w := &s.work
	if !w.untidy || w.bars.any() {
		return
	}
	err := s.clear(ctx, w.needs)
	if err != nil {
		s.engine.log.WarnContext(ctx, "old certificates are still in Barbican", "object", w.key.String(), "error", err)
		return
	}
	w.untidy = false
}

// needs reports whether the item needs a container, or a part of one that is not among those that are listed: it may
// have been made since then.
func (i *item) needs(name, ref string, listed map[string]bool) bool {
	container := i.refs[containerOf(name)]
	return container != "" && !listed[container] || slices.Contains(slices.Collect(maps.Values(i.refs)), ref)
}

// clear deletes what the object has in Barbican but for what is spared.
func (s *stepper) clear(ctx context.Context, spare spared) error {
	return s.engine.api.clear(ctx, storedName(s.engine.cluster, s.work.key, ""), spare)
}

// unfurnish deletes all that the object has in Barbican. A Barbican that is no more has nothing.
func (s *stepper) unfurnish(ctx context.Context) error {
	w := &s.work
	if !w.stores {
		return nil
	}
	err := s.clear(ctx, func(string, string, map[string]bool) bool { return false })
	if err != nil && !understand(err).absent {
		return fmt.Errorf("certificates: %w", err)
	}
	w.stores, w.untidy, w.refs = false, false, nil
	return nil
}

// spared reports whether something in Barbican stays, by its name and URL, and by the URLs of the containers that were
// listed before the secrets.
type spared func(name, ref string, listed map[string]bool) bool

// clear deletes what has a name that begins so, is not spared, and is no listener's.
func (a *api) clear(ctx context.Context, prefix string, spare spared) error {
	containers, err := a.containers(ctx, prefix+"%")
	if err != nil {
		return err
	}
	parts, err := a.parts(ctx, prefix+"%")
	if err != nil {
		return err
	}
	containers = slices.DeleteFunc(containers, func(c storedContainer) bool { return !strings.HasPrefix(c.Name, prefix) })
	parts = slices.DeleteFunc(parts, func(p storedPart) bool { return !strings.HasPrefix(p.Name, prefix) })
	if len(containers)+len(parts) == 0 {
		return nil
	}
	used, err := a.certificatesInUse(ctx)
	if err != nil {
		return err
	}
	listed := make(map[string]bool, len(containers))
	for _, c := range containers {
		listed[c.Ref] = true
	}
	for _, c := range containers {
		if used[idOf(c.Ref)] || spare(c.Name, c.Ref, listed) {
			for _, p := range c.Parts {
				used[idOf(p.Ref)] = true
			}
			continue
		}
		if err := a.unstore(ctx, kindContainers, c.Ref); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if used[idOf(p.Ref)] || spare(p.Name, p.Ref, listed) {
			continue
		}
		if err := a.unstore(ctx, kindSecrets, p.Ref); err != nil {
			return err
		}
	}
	return nil
}

// sweepOften sweeps from time to time, until the context is done.
func (e *engine) sweepOften(ctx context.Context) {
	// What a process that was killed has asked for must have come through.
	for wait := afterlife; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = sweepEvery
		if !e.briefed() {
			wait = afterlife
			continue
		}
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil && !understand(err).absent {
			e.log.InfoContext(ctx, "cannot look for certificates in Barbican that nobody needs", "error", err)
		}
	}
}

// briefed reports whether it is known which objects there are.
func (e *engine) briefed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.told
}

// sweep deletes what the cluster has in Barbican and nobody needs, and lets load balancers look again whose containers
// are gone, or a secret of them. It leaves to a load balancer that has a step coming what was made for that one.
func (e *engine) sweep(ctx context.Context) error {
	prefix := storedPrefix(e.cluster)
	containers, err := e.api.containers(ctx, prefix+"%")
	if err != nil {
		return err
	}
	parts, err := e.api.parts(ctx, prefix+"%") // after the containers: what is being made has all its parts then
	if err != nil {
		return err
	}
	e.miss(containers, parts)
	return e.api.clear(ctx, prefix, func(name, ref string, listed map[string]bool) bool {
		object, ours := storedFor(e.cluster, name)
		if !ours {
			return true
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		for key, it := range e.items {
			if storedObject(key) == object {
				return it.model == nil || it.settled != it.version || it.bars.any() || it.needs(name, ref, listed)
			}
		}
		return false
	})
}

// miss lets those load balancers look again that need a container which is not there any more, or not as a whole.
func (e *engine) miss(containers []storedContainer, parts []storedPart) {
	there := wholeOnes(containers, parts)
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, it := range e.items {
		lost := slices.ContainsFunc(slices.Collect(maps.Values(it.refs)), func(ref string) bool { return !there[ref] })
		if lost && it.model != nil && it.settled == it.version {
			it.refs, it.settled = nil, 0 // what the step is about to make is not to be swept
			e.queue.Add(key)
		}
	}
}
