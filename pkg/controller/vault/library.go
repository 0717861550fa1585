package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// lookAgain is how old what was read from the API server itself may grow. It concerns what is not watched: bundles, and
// Secrets that are missing or of the wrong type.
const lookAgain = 10 * time.Second

// lookMost is how many of these are read again in one pass, and lookPause how soon the next pass is for others that are
// due: a pass is about all load balancers, and must not wait for thousands of answers.
const (
	lookMost  = 100
	lookPause = 2 * time.Second
)

// source is an object that material is made from.
type source struct {
	kind string
	key  lb.Key
}

// reading is what came of a source.
type reading struct {
	// version tells when it has to be read again: by the object's version, or by the time where it is not watched.
	version string
	until   time.Time
	pair    certs.KeyPair
	bundle  certs.Bundle
	err     error
	// used says that the pass that is going on has asked for it, turn that this pass may read it again.
	used, turn bool
}

// KeyPair implements [certs.Library].
func (v *Vault) KeyPair(ctx context.Context, secret lb.Key) (certs.KeyPair, error) {
	at := source{lb.KindSecret, secret}
	var s corev1.Secret
	err := v.cache.Get(ctx, client.ObjectKey{Namespace: secret.Namespace, Name: secret.Name}, &s,
		client.UnsafeDisableDeepCopy) // it is only read
	if err == nil {
		r := v.read(at, string(s.UID)+"/"+s.ResourceVersion, time.Time{}, func(r *reading) {
			r.pair, r.err = certs.ParseKeyPair(s.Data[certs.KeyCert], s.Data[certs.KeyKey])
		})
		return r.pair, r.err
	}
	// It is not there, or of another type, or has just been made.
	r := v.readLive(at, func(r *reading) {
		if r.err = v.live(ctx, at, &s); r.err != nil {
			return
		}
		if s.Type != certs.TypeTLS {
			r.err = certs.WrongType(string(s.Type))
			return
		}
		r.pair, r.err = certs.ParseKeyPair(s.Data[certs.KeyCert], s.Data[certs.KeyKey])
	})
	return r.pair, r.err
}

// Bundle implements [certs.Library].
func (v *Vault) Bundle(ctx context.Context, kind string, key lb.Key) (certs.Bundle, error) {
	at := source{"bundle in " + kind, key}
	r := v.readLive(at, func(r *reading) {
		var text []byte
		switch kind {
		case lb.KindSecret:
			var s corev1.Secret
			r.err = v.live(ctx, at, &s)
			text = s.Data[certs.KeyCA]
		case lb.KindConfigMap:
			var cm corev1.ConfigMap
			r.err = v.live(ctx, at, &cm)
			text = []byte(cm.Data[certs.KeyCA])
		default:
			r.err = fmt.Errorf("a bundle cannot be in a %s", kind)
		}
		if r.err == nil {
			r.bundle, r.err = certs.ParseBundle(text)
		}
	})
	return r.bundle, r.err
}

// live reads an object from the API server. That it cannot be read is its load balancer's trouble and nobody else's.
func (v *Vault) live(ctx context.Context, at source, into client.Object) error {
	err := v.api.Get(ctx, client.ObjectKey{Namespace: at.key.Namespace, Name: at.key.Name}, into)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return certs.NotFound()
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		v.log.Warn("certificates cannot be read", "what", at.kind, "key", at.key, "error", err)
		return certs.Unreadable(string(apierrors.ReasonForError(err)))
	}
}

// read returns what came of a version of a source, and makes it anew only for another version.
func (v *Vault) read(at source, version string, until time.Time, fill func(*reading)) *reading {
	r := v.readings[at]
	if r == nil || r.version != version || v.due(r) && r.turn {
		r = &reading{version: version, until: until}
		fill(r)
		v.readings[at] = r
	}
	r.used = true
	return r
}

// readLive is read for what is not watched. An error that nobody can mend is not kept.
func (v *Vault) readLive(at source, fill func(*reading)) *reading {
	r := v.read(at, "", v.now().Add(lookAgain), fill)
	if v.due(r) {
		v.wake(v.now().Add(lookPause))
	} else {
		v.wake(r.until)
	}
	if _, ok := errors.AsType[*certs.ProblemError](r.err); r.err != nil && !ok {
		delete(v.readings, at)
	}
	return r
}

// due reports whether what was read is too old.
func (v *Vault) due(r *reading) bool { return !r.until.IsZero() && !v.now().Before(r.until) }

// takeTurns begins a pass: it chooses those that are read again, the oldest first.
func (v *Vault) takeTurns() {
	var due []*reading
	for _, r := range v.readings {
		r.used, r.turn = false, false
		if v.due(r) {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b *reading) int { return a.until.Compare(b.until) })
	for _, r := range due[:min(len(due), v.most)] {
		r.turn = true
	}
}
