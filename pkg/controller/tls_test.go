package controller

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/controller/vault"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// secret makes a Secret of default with a certificate, or gives it another one.
func (r *rig) secret(name string, p certtest.Pair) {
	r.t.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{certs.KeyCert: p.Cert, certs.KeyKey: p.Key},
	}
	if err := r.client.Create(r.t.Context(), s); !apierrors.IsAlreadyExists(err) {
		r.must(err)
		return
	}
	r.must(r.client.Update(r.t.Context(), s))
}

// secure makes a ConfigMap that terminates TLS.
func (r *rig) secure(name, secret string, more ...string) *corev1.ConfigMap {
	r.t.Helper()
	data := map[string]string{"target-service-name": "coffee", "protocol": "HTTPS", "tls-secret-name": secret}
	for i := 0; i < len(more); i += 2 {
		data[more[i]] = more[i+1]
	}
	return r.configMap("default", name, data)
}

// copyOf returns what the nodes are handed of a certificate, nil for nothing.
func (r *rig) copyOf(secret string) *corev1.Secret {
	r.t.Helper()
	return r.handedOut(certs.CertificateName(lb.Key{Namespace: "default", Name: secret}))
}

// bundleOf returns what they are handed of a bundle.
func (r *rig) bundleOf(kind, name string) *corev1.Secret {
	r.t.Helper()
	return r.handedOut(certs.BundleName(kind, lb.Key{Namespace: "default", Name: name}))
}

func (r *rig) handedOut(name string) *corev1.Secret {
	r.t.Helper()
	var s corev1.Secret
	err := r.client.Get(r.t.Context(), client.ObjectKey{Namespace: r.config.TLSNamespace, Name: name}, &s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	r.must(err)
	return &s
}

// waitCopy waits until the nodes are handed a certificate, and told which version it is.
func (r *rig) waitCopy(secret string, p certtest.Pair) {
	r.t.Helper()
	pair, err := certs.ParseKeyPair(p.Cert, p.Key)
	r.must(err)
	r.eventually(func() string {
		s := r.copyOf(secret)
		if s == nil || !bytes.Equal(s.Data[nodeconfig.KeyCertificate], pair.PEM) {
			return "the copy is another one"
		}
		for _, e := range r.desired(r.t.Context()).LoadBalancers() {
			for _, c := range e.LoadBalancer.Certificates() {
				if c.Secret == secret && c.Material != (lb.Material{Name: s.Name, Digest: pair.Digest}) {
					return fmt.Sprintf("the shard names %+v", c.Material)
				}
			}
		}
		return ""
	})
}

// TestCertificates: copies follow good Secrets, each fault is a finding that harms nobody, and no key is anywhere else.
func TestCertificates(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	neighbour := r.waitStatus(r.coffee("a"), "SUCCESS")
	good := certtest.New(t, "a.example.com")
	r.secret("web", good)
	cm := r.waitStatus(r.secure("secure", "web", "host", "a.example.com"), "SUCCESS")
	r.waitCopy("web", good)
	var tickets corev1.Secret
	r.must(r.client.Get(t.Context(), client.ObjectKey{Namespace: r.config.TLSNamespace, Name: nodeconfig.TicketsName}, &tickets))
	if len(tickets.Data) != 3 || len(tickets.Data["now"]) != 80 || tickets.Labels["app"] != nodeconfig.AppTLS {
		t.Errorf("tickets: %d keys", len(tickets.Data))
	}
	next := certtest.New(t, "a.example.com")
	r.secret("web", next)
	r.waitCopy("web", next)

	for name, tt := range map[string]struct {
		pair certtest.Pair
		want string
	}{
		"mismatch":  {certtest.Pair{Cert: good.Cert, Key: next.Key}, "LB0504"},
		"malformed": {certtest.Pair{Cert: []byte("x"), Key: next.Key}, "LB0503"},
		"expired": {certtest.Make(t, certtest.Options{From: time.Now().AddDate(0, 0, -9), To: time.Now().AddDate(0, 0, -1)}),
			"LB0505"},
	} {
		r.secret("web", tt.pair)
		now := r.waitStatus(cm, "ERROR : "+tt.want+" data[tls-secret-name]: Secret default/web ")
		t.Log(name, now.Data["status"])
		r.waitCopy("web", next)
	}
	r.must(r.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}))
	r.waitStatus(cm, "ERROR : LB0501")
	opaque := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "opaque"},
		Data: map[string][]byte{certs.KeyCert: good.Cert, certs.KeyKey: good.Key}}
	r.must(r.client.Create(t.Context(), opaque))
	r.waitStatus(r.secure("second", "opaque"), `ERROR : LB0502 data[tls-secret-name]: Secret default/opaque is of type "Opaque"`)
	r.waitCopy("web", next)
	if got := r.desired(t.Context()).LoadBalancers(); len(got) != 2 {
		t.Errorf("%d load balancers are served", len(got))
	}

	soon := certtest.Make(t, certtest.Options{Names: []string{"b"}, From: time.Now().AddDate(0, 0, -90), To: time.Now().AddDate(0, 0, 20)})
	r.secret("web", soon)
	now := r.waitStatus(cm, "SUCCESS")
	r.waitEvent(now, "Warning", "Warning", "LB0506")
	r.waitEvent(now, "Warning", "Warning", `LB0507 data[tls-secret-name]: no certificate is for host "a.example.com"`)
	r.waitCopy("web", soon)
	if after := r.get(neighbour); after.ResourceVersion != neighbour.ResourceVersion {
		t.Errorf("the neighbour was touched: %v", after.Data)
	}
	r.noKeys(good, next, soon)
}

// noKeys looks for keys where none may be.
func (r *rig) noKeys(pairs ...certtest.Pair) {
	r.t.Helper()
	var configMaps corev1.ConfigMapList
	r.must(r.client.List(r.t.Context(), &configMaps))
	var events corev1.EventList
	r.must(r.client.List(r.t.Context(), &events))
	text := fmt.Sprintf("%+v %+v", configMaps, events)
	for _, p := range pairs {
		block, _ := pem.Decode(p.Key)
		secret := base64.StdEncoding.EncodeToString(block.Bytes)
		if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, secret[20:60]) {
			r.t.Error("a key is in a ConfigMap or an Event")
		}
	}
}

// TestBundles: those of ConfigMaps and Secrets are copied, and followed though nobody watches them.
func TestBundles(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	first, second := certtest.Authority(t, "first"), certtest.Authority(t, "second")
	r.secret("web", certtest.New(t, "a.b"))
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "staff"},
		Data: map[string]string{"ca.crt": string(first.Cert)}}
	r.must(r.client.Create(t.Context(), ca))
	t.Cleanup(func() { _ = r.client.Delete(t.Context(), ca) })
	inside := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "inside"},
		Data: map[string][]byte{"ca.crt": second.Cert}}
	r.must(r.client.Create(t.Context(), inside))
	cm := r.waitStatus(r.secure("secure", "web", "tls-client-ca", "configmap/staff", "backend-protocol", "HTTPS",
		"backend-tls-ca", "secret/inside"), "SUCCESS")
	if got := r.bundleOf(lb.KindSecret, "inside"); got == nil || !bytes.Equal(got.Data[nodeconfig.KeyBundle], second.Cert) {
		t.Errorf("the copy is %+v", got)
	}
	l := r.desired(t.Context()).LoadBalancers()[0].LoadBalancer
	before := l.Listeners[0].TLS.Clients.CA.Material
	ca.Data["ca.crt"] = string(slices.Concat(first.Cert, second.Cert))
	r.must(r.client.Update(t.Context(), ca))
	r.eventually(func() string {
		l := r.desired(t.Context()).LoadBalancers()[0].LoadBalancer
		if now := l.Listeners[0].TLS.Clients.CA.Material; now.Digest == before.Digest || now.Name != before.Name {
			return fmt.Sprintf("the shard names %+v", now)
		}
		return ""
	})
	ca.Data["ca.crt"] = "rubbish"
	r.must(r.client.Update(t.Context(), ca))
	r.waitStatus(cm, "ERROR : LB0508 data[tls-client-ca]: ConfigMap default/staff has no certificate")
	if got := r.bundleOf(lb.KindConfigMap, "staff"); got == nil || !bytes.Contains(got.Data[nodeconfig.KeyBundle], second.Cert) {
		t.Error("the last good bundle is gone")
	}
}

// TestVaultOverTime: ticket keys are rotated so that the next is known before it is used, and a copy that nobody names
// any more goes after a while.
func TestVaultOverTime(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.stop()
	now := time.Now()
	v := vault.New(vault.Options{
		Cache: r.client, API: r.client, Writer: r.client, Namespace: r.config.TLSNamespace, Owner: fieldManager,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	r.secret("web", certtest.Make(t, certtest.Options{From: now, To: now.AddDate(1, 0, 0)}))
	w := lb.Wish{}
	w.LoadBalancer.Origin.Key = lb.Key{Namespace: "default", Name: "x"}
	w.LoadBalancer.Listeners = []lb.Listener{{TLS: &lb.TLS{Certificates: []lb.Certificate{{Secret: "web"}}}}}
	pass := func(wishes ...lb.Wish) {
		t.Helper()
		r.must(v.Resolve(t.Context(), wishes))
		var all []lb.LoadBalancer
		for _, w := range wishes {
			all = append(all, w.LoadBalancer)
		}
		r.must(v.HandOut(t.Context(), all))
	}
	keys := func() map[string][]byte {
		var s corev1.Secret
		r.must(client.IgnoreNotFound(r.client.Get(t.Context(),
			client.ObjectKey{Namespace: r.config.TLSNamespace, Name: nodeconfig.TicketsName}, &s)))
		return s.Data
	}
	pass(w)
	first := keys()
	if next := v.Next(); next.Before(now.Add(12*time.Hour-time.Minute)) || next.After(now.Add(12*time.Hour)) {
		t.Errorf("the next pass is at %s", next)
	}
	now = now.Add(11 * time.Hour)
	pass(w)
	if again := keys(); !bytes.Equal(again["now"], first["now"]) {
		t.Error("rotated too early")
	}
	now = now.Add(time.Hour + time.Minute)
	pass(w)
	second := keys()
	if !bytes.Equal(second["now"], first["next"]) || !bytes.Equal(second["before"], first["now"]) ||
		bytes.Equal(second["next"], first["next"]) || len(second["next"]) != 80 {
		t.Error("rotated wrongly")
	}
	pass()
	if r.copyOf("web") == nil || len(keys()) == 0 {
		t.Error("gone at once")
	}
	if v.Next().IsZero() {
		t.Error("nobody will look again")
	}
	now = now.Add(2 * time.Minute)
	pass()
	if r.copyOf("web") != nil || len(keys()) != 0 {
		t.Error("they are left for ever")
	}
}
