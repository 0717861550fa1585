package certs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// warnWithin is how long before its end a certificate is a finding. One that lives shorter than three times that is one
// for its last third, or it would be one all its life.
const warnWithin = 21 * 24 * time.Hour

// Library finds what a load balancer's certificates are made of.
type Library interface {
	// KeyPair returns that of a Secret. Its error is a [*ProblemError] where the user can mend it.
	KeyPair(ctx context.Context, secret lb.Key) (KeyPair, error)
	// Bundle returns that of an object of [lb.KindSecret] or [lb.KindConfigMap]; its error is likewise.
	Bundle(ctx context.Context, kind string, key lb.Key) (Bundle, error)
}

// Resolve fills in what the certificates and bundles of a wish are made of, and adds what is wrong with them to its
// findings. It fails where the library does for reasons that are not the user's.
func Resolve(ctx context.Context, w *lb.Wish, lib Library, now time.Time) error {
	r := resolving{wish: w, library: lib, now: now, namespace: w.LoadBalancer.Origin.Namespace}
	for _, c := range w.LoadBalancer.Certificates() {
		r.certificate(ctx, c)
	}
	for i := range w.LoadBalancer.Listeners {
		l := &w.LoadBalancer.Listeners[i]
		if l.TLS != nil && l.TLS.Clients != nil {
			r.bundle(ctx, &l.TLS.Clients.CA, w.Fields.ClientCA)
		}
		if b := l.Options.BackendTLS; b != nil && b.CA.Name != "" {
			r.bundle(ctx, &b.CA, w.Fields.BackendTLS)
		}
	}
	if r.err == nil && !w.Failed() {
		r.uncovered()
	}
	return r.err
}

type resolving struct {
	wish      *lb.Wish
	library   Library
	now       time.Time
	namespace string
	err       error
}

func (r *resolving) certificate(ctx context.Context, c *lb.Certificate) {
	key := lb.Key{Namespace: r.namespace, Name: c.Secret}
	pair, err := r.library.KeyPair(ctx, key)
	if r.failed(err, r.wish.Fields.Certificates, lb.KindSecret, key) {
		return
	}
	*c = Fill(*c, key, pair)
	problem := Validity(pair, r.now)
	if problem != nil {
		r.add(problem.Code, r.wish.Fields.Certificates, lb.KindSecret, key, problem.Text)
	}
	if pair.Omitted > 0 {
		r.add(lb.CodeCertNames, r.wish.Fields.Certificates, lb.KindSecret, key, fmt.Sprintf(
			"has a certificate for %d names, of which the first %d by the alphabet count, up to %q; put the others into "+
				"certificates of their own", len(pair.Names)+pair.Omitted, len(pair.Names), pair.Names[len(pair.Names)-1]))
	}
}

// Fill returns a certificate with what its key pair says.
func Fill(c lb.Certificate, key lb.Key, pair KeyPair) lb.Certificate {
	c.Material = lb.Material{Name: CertificateName(key), Digest: pair.Digest}
	c.Names, c.Expires = pair.Names, pair.NotAfter
	return c
}

// Validity says whether a certificate is not valid at a time, or will soon be no more; nil if neither.
func Validity(pair KeyPair, now time.Time) *ProblemError {
	const day = time.DateOnly
	switch {
	case now.After(pair.NotAfter):
		return problemf(lb.CodeCertExpired, "has a certificate that expired on %s; renew it", pair.NotAfter.Format(day))
	case now.Before(pair.NotBefore):
		return problemf(lb.CodeCertExpired, "has a certificate that is not valid before %s; wait, or check the clocks",
			pair.NotBefore.Format(time.RFC3339))
	case now.After(Warning(pair)):
		return problemf(lb.CodeCertExpiring, "has a certificate that expires on %s; renew it", pair.NotAfter.Format(day))
	}
	return nil
}

// Warning returns the time from which on a certificate's end is a finding.
func Warning(pair KeyPair) time.Time {
	return pair.NotAfter.Add(-min(warnWithin, pair.NotAfter.Sub(pair.NotBefore)/3))
}

func (r *resolving) bundle(ctx context.Context, b *lb.CABundle, field string) {
	key := lb.Key{Namespace: r.namespace, Name: b.Name}
	bundle, err := r.library.Bundle(ctx, b.Kind, key)
	if r.failed(err, field, b.Kind, key) {
		return
	}
	b.Material = lb.Material{Name: BundleName(b.Kind, key), Digest: bundle.Digest}
}

// failed notes an error, and reports whether there is one.
func (r *resolving) failed(err error, field, kind string, key lb.Key) bool {
	if err == nil {
		return false
	}
	if p, ok := errors.AsType[*ProblemError](err); ok {
		r.add(p.Code, field, kind, key, p.Text)
	} else if r.err == nil {
		r.err = fmt.Errorf("%s %s of %s: %w", kind, key, r.wish.LoadBalancer.Origin.Key, err)
	}
	return true
}

func (r *resolving) add(code lb.Code, field, kind string, key lb.Key, text string) {
	f := lb.Finding{Code: code, Field: field, Message: fmt.Sprintf("%s %s %s", kind, key, text)}
	if !slices.Contains(r.wish.Findings, f) {
		r.wish.Findings = append(r.wish.Findings, f)
	}
}

// uncovered warns of hosts that no certificate of their listener is for.
func (r *resolving) uncovered() {
	for _, l := range r.wish.LoadBalancer.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, route := range l.Routes {
			if route.Host == "" || slices.ContainsFunc(l.TLS.Certificates, func(c lb.Certificate) bool {
				return Covers(c.Names, route.Host)
			}) {
				continue
			}
			f := lb.Finding{Code: lb.CodeHostUncovered, Field: r.wish.Fields.Certificates, Message: fmt.Sprintf(
				"no certificate is for host %q; clients will refuse the connection until one is added", route.Host)}
			if !slices.Contains(r.wish.Findings, f) {
				r.wish.Findings = append(r.wish.Findings, f)
			}
		}
	}
}

// Covers reports whether one of the names is a host's, as clients compare them (RFC 9525, 6.3): a wildcard stands for
// one label. A wildcard host is covered by the same wildcard only.
func Covers(names []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.Contains(names, host) || parent != "" && slices.Contains(names, "*."+parent)
}
