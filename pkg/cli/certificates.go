package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// errUnknown says that nothing can be said about a certificate.
var errUnknown = errors.New("it is not known")

// certificates are what load balancers' certificates are judged by: the Secrets and ConfigMaps of files, and of the
// cluster as far as they may be read.
type certificates struct {
	// cluster is nil without one.
	cluster    *cluster
	secrets    map[lb.Key]*corev1.Secret
	configMaps map[lb.Key]*corev1.ConfigMap
	// unknown says why nothing is said about some.
	unknown map[string]string
}

var _ certs.Library = (*certificates)(nil)

func newCertificates(c *cluster) *certificates {
	return &certificates{
		cluster: c, secrets: map[lb.Key]*corev1.Secret{}, configMaps: map[lb.Key]*corev1.ConfigMap{},
		unknown: map[string]string{},
	}
}

// judge adds to a wish what is wrong with its certificates, as far as they are known.
func (c *certificates) judge(ctx context.Context, w *lb.Wish, now time.Time) error {
	if err := certs.Resolve(ctx, w, c, now); err != nil && !errors.Is(err, errUnknown) {
		return err
	}
	return nil
}

// notes say what was not looked at.
func (c *certificates) notes() []string {
	var out []string
	for what, why := range c.unknown {
		out = append(out, fmt.Sprintf("%s was not checked: %s", what, why))
	}
	slices.Sort(out)
	return out
}

// KeyPair implements [certs.Library].
func (c *certificates) KeyPair(ctx context.Context, key lb.Key) (certs.KeyPair, error) {
	s, err := c.secret(ctx, key)
	if err != nil {
		return certs.KeyPair{}, err
	}
	if s.Type != certs.TypeTLS {
		return certs.KeyPair{}, certs.WrongType(string(s.Type))
	}
	return certs.ParseKeyPair(s.Data[certs.KeyCert], s.Data[certs.KeyKey])
}

// Bundle implements [certs.Library].
func (c *certificates) Bundle(ctx context.Context, kind string, key lb.Key) (certs.Bundle, error) {
	if kind == lb.KindSecret {
		s, err := c.secret(ctx, key)
		if err != nil {
			return certs.Bundle{}, err
		}
		return certs.ParseBundle(s.Data[certs.KeyCA])
	}
	cm, ok := c.configMaps[key]
	if !ok {
		var err error
		if cm, err = fetched(c, "configmap "+key.String(), func(cl *cluster) (*corev1.ConfigMap, error) {
			return cl.CoreV1().ConfigMaps(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
		}); err != nil {
			return certs.Bundle{}, err
		}
	}
	return certs.ParseBundle([]byte(cm.Data[certs.KeyCA]))
}

func (c *certificates) secret(ctx context.Context, key lb.Key) (*corev1.Secret, error) {
	if s, ok := c.secrets[key]; ok {
		return s, nil
	}
	return fetched(c, "secret "+key.String(), func(cl *cluster) (*corev1.Secret, error) {
		return cl.CoreV1().Secrets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	})
}

// fetched asks the cluster for an object.
func fetched[T any](c *certificates, what string, get func(*cluster) (*T, error)) (*T, error) {
	if c.cluster == nil {
		c.unknown[what] = "it is not among the files"
		return nil, errUnknown
	}
	object, err := get(c.cluster)
	switch {
	case apierrors.IsNotFound(err):
		return nil, certs.NotFound()
	case apierrors.IsForbidden(err):
		c.unknown[what] = "you may not read it"
		return nil, errUnknown
	}
	return object, err
}

// add takes a Secret of a file, with what it says in plain text.
func (c *certificates) add(s *corev1.Secret) {
	for key, text := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[key] = []byte(text)
	}
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	c.secrets[lb.Key{Namespace: s.Namespace, Name: s.Name}] = s
}
