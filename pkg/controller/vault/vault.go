package vault

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Options are what a vault works with.
type Options struct {
	// Cache has the Secrets of [certs.TypeTLS] of all namespaces, and the copies.
	Cache client.Reader
	// API is the API server itself.
	API client.Reader
	// Writer writes the copies.
	Writer client.Client
	// Namespace is where the copies are.
	Namespace string
	// Owner is the field manager of what is written.
	Owner string
	Log   *slog.Logger
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Vault looks at certificates and hands copies out. Its methods must not run at the same time.
type Vault struct {
	cache, api client.Reader
	copies     copies
	log        *slog.Logger
	now        func() time.Time

	readings map[source]*reading
	// most is [lookMost].
	most int
	// next is when something may change that nobody tells of.
	next time.Time
}

var _ certs.Library = (*Vault)(nil)

// New returns a vault.
func New(o Options) *Vault {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Vault{
		cache: o.Cache, api: o.API, log: o.Log, now: o.Now, readings: map[source]*reading{}, most: lookMost,
		copies: copies{
			cache: o.Cache, writer: o.Writer, namespace: o.Namespace, owner: o.Owner,
			written: map[string]written{}, unused: map[string]time.Time{},
		},
	}
}

// Resolve begins a pass: it fills in what the wishes' certificates are made of, and says what is wrong with them.
func (v *Vault) Resolve(ctx context.Context, wishes []lb.Wish) error {
	v.next = time.Time{}
	v.takeTurns()
	var errs []error
	for i := range wishes {
		errs = append(errs, certs.Resolve(ctx, &wishes[i], v, v.now()))
	}
	return errors.Join(errs...)
}

// HandOut sees to it that there are copies of what load balancers need, and fills in which versions those are, also for
// those that are not served as they were wished. Every copy gets its turn, whatever happens to others.
func (v *Vault) HandOut(ctx context.Context, all []lb.LoadBalancer) error {
	have, err := v.copies.list(ctx, v.now())
	if err != nil {
		return err
	}
	var errs []error
	needed := map[string]bool{}
	terminates := false
	for i := range all {
		namespace := all[i].Origin.Namespace
		for _, c := range all[i].Certificates() {
			terminates = true
			errs = append(errs, v.handCertificate(ctx, lb.Key{Namespace: namespace, Name: c.Secret}, c, have))
			needed[c.Material.Name] = true
		}
		for _, b := range all[i].CABundles() {
			errs = append(errs, v.handBundle(ctx, lb.Key{Namespace: namespace, Name: b.Name}, b, have))
			needed[b.Material.Name] = true
		}
	}
	if terminates {
		errs = append(errs, v.handTickets(ctx, have))
		needed[ticketsName] = true
	}
	again, err := v.copies.collect(ctx, have, needed, v.now())
	v.wake(again)
	maps.DeleteFunc(v.readings, func(_ source, r *reading) bool { return !r.used })
	return errors.Join(append(errs, err)...)
}

// handCertificate makes a copy of a good source.
func (v *Vault) handCertificate(ctx context.Context, key lb.Key, c *lb.Certificate, have map[string]content) error {
	pair, err := v.KeyPair(ctx, key)
	if err != nil {
		return nil //nolint:nilerr // it is the wish's finding; the last good copy stays
	}
	now := v.now()
	p := certs.Validity(pair, now)
	if p != nil && p.Code == lb.CodeCertExpired && have[certs.CertificateName(key)] != nil {
		if now.Before(pair.NotBefore) {
			v.wake(pair.NotBefore)
		}
		return nil
	}
	*c = certs.Fill(*c, key, pair)
	for _, at := range []time.Time{certs.Warning(pair), pair.NotAfter} {
		if at.After(now) {
			v.wake(at.Add(time.Second))
		}
	}
	return v.copies.write(ctx, have, certificateCopy(c.Material, key, pair))
}

func (v *Vault) handBundle(ctx context.Context, key lb.Key, b *lb.CABundle, have map[string]content) error {
	bundle, err := v.Bundle(ctx, b.Kind, key)
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	b.Material = lb.Material{Name: certs.BundleName(b.Kind, key), Digest: bundle.Digest}
	return v.copies.write(ctx, have, bundleCopy(b.Material, b.Kind, key, bundle))
}

// Next returns when the next pass has to be made although nobody asks for it; zero for never.
func (v *Vault) Next() time.Time { return v.next }

// wake asks for a pass at a time, zero for none.
func (v *Vault) wake(at time.Time) {
	if !at.IsZero() && (v.next.IsZero() || at.Before(v.next)) {
		v.next = at
	}
}
