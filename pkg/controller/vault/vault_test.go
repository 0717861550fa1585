package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// desk is a vault over a store of objects, with a clock.
type desk struct {
	t     *testing.T
	vault *Vault
	store client.Client
	now   time.Time
	// gets counts the objects that were asked of the API server itself, writes what was written.
	gets, writes int
}

func newDesk(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Now(), store: fake.NewClientBuilder().WithObjects(objects...).Build()}
	d.vault = New(Options{
		Cache: onlyTLS{d.store}, API: counting{d}, Writer: noting{d.store, d}, Namespace: "system", Owner: "test",
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return d.now },
	})
	return d
}

// onlyTLS shows what the controller's cache holds.
type onlyTLS struct{ client.Reader }

func (r onlyTLS) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, o, options...)
	if s, ok := o.(*corev1.Secret); err == nil && (!ok || s.Type != certs.TypeTLS) {
		return errors.New("it is not in the cache")
	}
	return err
}

type counting struct{ *desk }

func (c counting) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	c.gets++
	return c.store.Get(ctx, key, o, options...)
}

func (c counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return c.store.List(ctx, list, options...)
}

// noting counts what is written.
type noting struct {
	client.Client
	desk *desk
}

//nolint:wrapcheck // it is the store's
func (n noting) Apply(ctx context.Context, o runtime.ApplyConfiguration, options ...client.ApplyOption) error {
	n.desk.writes++
	return n.Client.Apply(ctx, o, options...)
}

// pass makes a pass over load balancers, fills them in, and returns when the next is due; zero for never.
func (d *desk) pass(all ...lb.LoadBalancer) time.Duration {
	d.t.Helper()
	wishes := make([]lb.Wish, len(all))
	for i, l := range all {
		wishes[i].LoadBalancer = l
	}
	if err := d.vault.Resolve(d.t.Context(), wishes); err != nil {
		d.t.Fatal(err)
	}
	if err := d.vault.HandOut(d.t.Context(), all); err != nil {
		d.t.Fatal(err)
	}
	if d.vault.Next().IsZero() {
		return 0
	}
	return d.vault.Next().Sub(d.now)
}

func (d *desk) data(name string) map[string][]byte {
	var s corev1.Secret
	_ = d.store.Get(d.t.Context(), client.ObjectKey{Namespace: "system", Name: name}, &s)
	return s.Data
}

func secretOf(name string, p certtest.Pair, more ...[]byte) *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{certs.KeyCert: p.Cert, certs.KeyKey: p.Key},
	}
	for _, ca := range more {
		s.Data[certs.KeyCA] = ca
	}
	return s
}

// balancer terminates TLS with the certificate of a Secret.
func balancer(name, secret string, bundle lb.CABundle) lb.LoadBalancer {
	l := lb.LoadBalancer{Listeners: []lb.Listener{{TLS: &lb.TLS{Certificates: []lb.Certificate{{Secret: secret}}}}}}
	l.Origin.Key = lb.Key{Namespace: "web", Name: name}
	if bundle.Name != "" {
		l.Listeners[0].TLS.Clients = &lb.ClientAuth{CA: bundle}
	}
	return l
}

// A certificate that has expired while it was served is no reason to look again and again.
func TestExpiredIsLeftAlone(t *testing.T) {
	now := time.Now()
	d := newDesk(t, secretOf("cert", certtest.Make(t, certtest.Options{From: now.Add(-time.Hour), To: now.Add(time.Hour)})))
	l := balancer("a", "cert", lb.CABundle{})
	if wait := d.pass(l); wait <= 0 {
		t.Errorf("the next pass is due in %s", wait)
	}
	d.now = now.Add(2 * time.Hour)
	if wait := d.pass(l); wait <= 0 {
		t.Errorf("with an expired certificate the next pass is due in %s", wait)
	}
	// One that is not valid yet is looked at when it is.
	early := secretOf("cert", certtest.Make(t, certtest.Options{From: d.now.Add(time.Minute), To: d.now.Add(time.Hour)}))
	if err := d.store.Update(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	if wait := d.pass(l); wait <= 0 || wait > time.Minute {
		t.Errorf("with one that will be valid in a minute the next pass is due in %s", wait)
	}
}

// cert-manager puts a certificate and its authority into one Secret. They are two materials.
func TestCertificateAndBundleOfOneSecret(t *testing.T) {
	ca, pair := certtest.Authority(t, "ca"), certtest.New(t, "a.b")
	d := newDesk(t, secretOf("both", pair, ca.Cert))
	l := balancer("a", "both", lb.CABundle{Kind: lb.KindSecret, Name: "both"})
	d.pass(l)
	certificate, bundle := l.Certificates()[0].Material, l.CABundles()[0].Material
	if certificate.Name == bundle.Name {
		t.Errorf("both are %s", certificate.Name)
	}
	if len(d.data(certificate.Name)[nodeconfig.KeyCertificate]) == 0 || len(d.data(bundle.Name)[nodeconfig.KeyBundle]) == 0 {
		t.Error("a copy is missing")
	}
	before := d.writes
	for range 3 {
		d.pass(l)
	}
	if d.writes != before {
		t.Errorf("%d copies were written for nothing", d.writes-before)
	}
}

// What nobody watches is asked for within a budget, however much of it there is, and each of it gets its turn.
func TestManyBundles(t *testing.T) {
	const many, most = 8, 2
	ca := certtest.Authority(t, "ca")
	objects := []client.Object{secretOf("cert", certtest.New(t, "a.b"))}
	var all []lb.LoadBalancer
	for i := range many {
		name := fmt.Sprintf("ca%d", i)
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: name},
			Data: map[string]string{certs.KeyCA: string(ca.Cert)}})
		all = append(all, balancer(name, "cert", lb.CABundle{Kind: lb.KindConfigMap, Name: name}))
	}
	d := newDesk(t, objects...)
	d.vault.most = most
	d.pass(slices.Clone(all)...)
	if d.gets != many {
		t.Errorf("%d of %d were asked for", d.gets, many)
	}
	next := certtest.Authority(t, "next")
	for _, o := range objects[1:] {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: o.GetName()},
			Data: map[string]string{certs.KeyCA: string(next.Cert)}}
		if err := d.store.Update(t.Context(), cm); err != nil {
			t.Fatal(err)
		}
	}
	d.now = d.now.Add(lookAgain)
	for range many / most {
		before := d.gets
		wait := d.pass(slices.Clone(all)...)
		if d.gets-before > most {
			t.Errorf("a pass asked for %d", d.gets-before)
		}
		if wait < lookPause {
			t.Errorf("the next pass is due in %s", wait)
		}
		d.now = d.now.Add(wait)
	}
	want, err := certs.ParseBundle(next.Cert)
	if err != nil {
		t.Fatal(err)
	}
	again := slices.Clone(all)
	d.pass(again...)
	for i := range again {
		if m := again[i].CABundles()[0].Material; m.Digest != want.Digest {
			t.Fatalf("number %d had no turn", i)
		}
	}
}
