package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const ticketsName = nodeconfig.TicketsName

const (
	// keepUnused is how long a copy that nobody names stays: a daemon that is behind may be about to ask for it.
	keepUnused = time.Minute
	// lag is how long the cache may lack what was written before that counts as deleted.
	lag = 5 * time.Second
)

// content is the data of a copy; nil for none.
type content map[string][]byte

// copies are the Secrets with the copies.
type copies struct {
	cache     client.Reader
	writer    client.Client
	namespace string
	owner     string
	// written is what was written last, by name: the cache may not show it yet.
	written map[string]written
	// unused says since when nobody has named a copy.
	unused map[string]time.Time
	// rotated is when the ticket keys were, as the cache says it.
	rotated string
}

type written struct {
	version string
	content content
	rotated string
	at      time.Time
}

// secret is a copy to be.
type secret struct {
	name        string
	data        content
	annotations map[string]string
}

func certificateCopy(m lb.Material, key lb.Key, pair certs.KeyPair) secret {
	return secret{m.Name, content{nodeconfig.KeyCertificate: pair.PEM}, annotations(m, lb.KindSecret, key)}
}

func bundleCopy(m lb.Material, kind string, key lb.Key, b certs.Bundle) secret {
	return secret{m.Name, content{nodeconfig.KeyBundle: b.PEM}, annotations(m, kind, key)}
}

func annotations(m lb.Material, kind string, key lb.Key) map[string]string {
	return map[string]string{nodeconfig.AnnotationSource: kind + " " + key.String(), nodeconfig.AnnotationDigest: m.Digest}
}

// list returns what there is, by name. It is never older than what was written through here.
func (c *copies) list(ctx context.Context, now time.Time) (map[string]content, error) {
	var list corev1.SecretList
	err := c.cache.List(ctx, &list, client.InNamespace(c.namespace),
		client.MatchingLabels{nodeconfig.LabelApp: nodeconfig.AppTLS}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the copies of certificates: %w", err)
	}
	have, cached := map[string]content{}, map[string]string{}
	c.rotated = ""
	for i := range list.Items {
		s := &list.Items[i]
		have[s.Name], cached[s.Name] = s.Data, s.ResourceVersion
		if s.Name == ticketsName {
			c.rotated = s.Annotations[nodeconfig.AnnotationRotated]
		}
	}
	for name, w := range c.written {
		version, there := cached[name]
		behind := !there && now.Sub(w.at) < lag
		if there {
			order, err := resourceversion.CompareResourceVersion(version, w.version)
			behind = err == nil && order < 0
		}
		if !behind {
			delete(c.written, name)
			continue
		}
		if have[name] = w.content; name == ticketsName {
			c.rotated = w.rotated
		}
	}
	return have, nil
}

// write makes a copy, or replaces one that differs.
func (c *copies) write(ctx context.Context, have map[string]content, s secret) error {
	if old, ok := have[s.name]; ok && maps.EqualFunc(old, s.data, bytes.Equal) {
		return nil
	}
	ac := corev1ac.Secret(s.name, c.namespace).WithType(nodeconfig.TypeTLS).WithData(s.data).
		WithLabels(map[string]string{nodeconfig.LabelApp: nodeconfig.AppTLS}).WithAnnotations(s.annotations)
	if err := c.writer.Apply(ctx, ac, client.FieldOwner(c.owner), client.ForceOwnership); err != nil {
		return fmt.Errorf("copy of %s: %w", s.annotations[nodeconfig.AnnotationSource], err)
	}
	have[s.name] = s.data
	w := written{content: s.data, rotated: s.annotations[nodeconfig.AnnotationRotated], at: time.Now()}
	if ac.ResourceVersion != nil {
		w.version = *ac.ResourceVersion
	}
	c.written[s.name] = w
	return nil
}

// collect takes away the copies that nobody has named for a while, and returns when there will be more of them.
func (c *copies) collect(
	ctx context.Context, have map[string]content, needed map[string]bool, now time.Time,
) (again time.Time, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(have)) {
		since, known := c.unused[name]
		switch {
		case needed[name]:
			delete(c.unused, name)
		case !known:
			c.unused[name] = now
			again = earlier(again, now.Add(keepUnused))
		case now.Sub(since) < keepUnused:
			again = earlier(again, since.Add(keepUnused))
		default:
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
			if err := c.writer.Delete(ctx, s); err != nil && !apierrors.IsNotFound(err) {
				errs = append(errs, fmt.Errorf("delete the unused copy %s: %w", name, err))
				continue
			}
			delete(c.written, name)
		}
	}
	maps.DeleteFunc(c.unused, func(name string, _ time.Time) bool { return have[name] == nil })
	return again, errors.Join(errs...)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
