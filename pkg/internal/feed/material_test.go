package feed

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// secureShard names a certificate.
func secureShard(revision int64, digest string) nodeconfig.Shard {
	s := shardOf(revision, 1)
	s.LoadBalancers[0].Listeners = []lb.Listener{{Port: 443, Protocol: lb.HTTP, TLS: &lb.TLS{Certificates: []lb.Certificate{
		{Secret: "web", Material: lb.Material{Name: "lb-tls-web", Digest: digest}},
	}}}}
	return s
}

// secret is one of the controller's.
func secret(name, digest string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppTLS},
		Annotations: map[string]string{nodeconfig.AnnotationDigest: digest},
	}, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func TestHandout(t *testing.T) {
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	for _, s := range []*corev1.Secret{
		secret("one", "a", map[string]string{nodeconfig.KeyCertificate: "cert"}),
		secret("two", "b", map[string]string{nodeconfig.KeyBundle: "bundle"}),
		secret(nodeconfig.TicketsName, "", map[string]string{"now": "1", "next": "2", "before": "3"}),
		secret("other", "", map[string]string{"x": "y"}),
	} {
		if err := store.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	h := handoutOf(store)
	if len(h.Certificates) != 1 || string(h.Certificates["one"]) != "cert" || len(h.Bundles) != 1 ||
		string(h.Bundles["two"]) != "bundle" || fmt.Sprintf("%s", h.Tickets) != "[1 2 3]" || h.digests["two"] != "b" {
		t.Errorf("%+v", h)
	}
}

// A configuration waits for its material, but not for ever, and not twice.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := func(digest string) *nodeconfig.Config {
			return &nodeconfig.Config{Shards: map[string]nodeconfig.Shard{"s": secureShard(1, digest)}}
		}
		has := func(digest string) handout { return handout{digests: map[string]string{"lb-tls-web": digest}} }
		var p patience
		if p.wait(nil, has("")) || p.wait(config("aa"), has("aa")) || p.until != nil {
			t.Error("it waits for nothing")
		}
		begun := time.Now()
		if !p.wait(config("bb"), has("aa")) {
			t.Error("it does not wait for a newer version")
		}
		time.Sleep(materialPatience / 2)
		if !p.wait(config("bb"), has("aa")) { // as after any other news: the wait goes on, and does not begin anew
			t.Error("it does not wait on")
		}
		<-p.until
		if d := time.Since(begun); d != materialPatience {
			t.Errorf("it waited %s", d)
		}
		p.giveUp()
		if p.wait(config("bb"), has("aa")) {
			t.Error("it waits again")
		}
		if !p.wait(config("cc"), has("aa")) {
			t.Error("it does not wait for another one")
		}
		if p.wait(config("cc"), has("cc")) || p.until != nil {
			t.Error("it waits for what is there")
		}
	})
}

// handOut writes a Secret where they belong.
func (c *Client) handOut(t *testing.T, name, digest, text string) {
	t.Helper()
	c.handOutIn(t, certificates, name, digest, text)
}

func (c *Client) handOutIn(t *testing.T, namespace, name, digest, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","type":%q,"metadata":{"name":%q,"labels":{%q:%q},"annotations":{%q:%q}},"data":{%q:%q}}`,
		nodeconfig.TypeTLS, name, nodeconfig.LabelApp, nodeconfig.AppTLS, nodeconfig.AnnotationDigest, digest,
		nodeconfig.KeyCertificate, base64.StdEncoding.EncodeToString([]byte(text)))
	err := c.rest.Patch(types.ApplyPatchType).Namespace(namespace).Resource("secrets").Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: "test", Force: new(true)}, c.params).Body([]byte(body)).
		Do(t.Context()).Error()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatchMaterial hears of Secrets, of the project's alone, beside the configuration.
func TestWatchMaterial(t *testing.T) {
	_, config := apiServer(t)
	c, err := NewClient(config, both())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var in inbox
	go c.Watch(ctx, slog.New(slog.DiscardHandler), nil, in.put)
	await := func(what string, ok func(u Update) bool) {
		t.Helper()
		deadline := time.Now().Add(15 * time.Second)
		for {
			in.mu.Lock()
			got := in.got
			in.mu.Unlock()
			if got != nil && ok(*got) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: got %+v", what, got)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	await("no material yet", func(u Update) bool { return u.Material != nil && len(u.Material.Certificates) == 0 })
	c.handOutIn(t, namespace, "lb-tls-elsewhere", "aa", "beside the documents")
	c.handOut(t, "lb-tls-web", "aa", "first")
	c.write(t, "lb-shard-000", encode(t, secureShard(1, "aa")))
	c.write(t, nodeconfig.FleetName, encode(t, fleet(1)))
	shows := func(revision int64, text string) func(u Update) bool {
		return func(u Update) bool {
			return u.Config != nil && u.Config.Shards["lb-shard-000"].Revision == revision &&
				string(u.Material.Certificates["lb-tls-web"]) == text && len(u.Material.Certificates) == 1
		}
	}
	await("both", shows(1, "first"))
	c.handOut(t, "lb-tls-web", "bb", "second")
	await("a new version, of which no document knows", shows(1, "second"))
	c.write(t, "lb-shard-000", encode(t, secureShard(2, "cc")))
	await("what never comes", shows(2, "second"))
}
