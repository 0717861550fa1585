package octavia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// fakeBarbican answers as Barbican's API reference says, and refuses what that does not allow. Its pages are of two.
type fakeBarbican struct {
	made       int
	containers []storedContainer
	secrets    []fakeSecret
	// deny answers a call in place of doing it; a status of 0 lets it pass.
	deny func(method, path, body string) (status int, text string)
}

type fakeSecret struct {
	storedPart
	Payload string `json:"-"`
}

const fakeBarbicanURL = "http://barbican/v1/"

func (b *fakeBarbican) serve(r *http.Request, text []byte) (int, string) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if b.deny != nil {
		if status, answer := b.deny(r.Method, path, string(text)); status != 0 {
			return status, answer
		}
	}
	kind, id, single := strings.Cut(path, "/")
	switch {
	case r.Method == http.MethodGet && !single && kind == "containers":
		return pageAs(kind, b.containers, r.URL.Query(), func(c storedContainer) string { return c.Name })
	case r.Method == http.MethodGet && !single && kind == "secrets":
		return pageAs(kind, b.secrets, r.URL.Query(), func(s fakeSecret) string { return s.Name })
	case r.Method == http.MethodPost && kind == "containers":
		return b.makeContainer(text)
	case r.Method == http.MethodPost && kind == "secrets":
		return b.makeSecret(text)
	case r.Method == http.MethodDelete && single:
		before := len(b.containers) + len(b.secrets)
		b.containers = slices.DeleteFunc(b.containers, func(c storedContainer) bool { return c.Ref == fakeBarbicanURL+"containers/"+id })
		b.secrets = slices.DeleteFunc(b.secrets, func(s fakeSecret) bool { return s.Ref == fakeBarbicanURL+"secrets/"+id })
		if len(b.containers)+len(b.secrets) < before {
			return http.StatusNoContent, ""
		}
	}
	return http.StatusNotFound, `{"code":404,"title":"Not Found","description":"Sorry but the thing cannot be found."}`
}

// pageAs answers a list; "%" at the end of a name stands for anything (the name is compared by SQL's LIKE).
func pageAs[T any](kind string, all []T, q url.Values, nameOf func(T) string) (int, string) {
	var found []T
	for _, x := range all {
		prefix, open := strings.CutSuffix(q.Get("name"), "%")
		if nameOf(x) == prefix || open && strings.HasPrefix(nameOf(x), prefix) {
			found = append(found, x)
		}
	}
	offset, err := strconv.Atoi(q.Get("offset"))
	if err != nil || q.Get("limit") == "" {
		return http.StatusBadRequest, `{}`
	}
	page := found[min(offset, len(found)):min(offset+2, len(found))]
	return encode(map[string]any{kind: page, "total": len(found)})
}

func (b *fakeBarbican) makeSecret(text []byte) (int, string) {
	var body map[string]string
	if json.Unmarshal(text, &body) != nil || body["payload_content_type"] != "text/plain" || body["payload"] == "" ||
		body["name"] == "" || len(body) != 3 {
		return http.StatusBadRequest, `{"description":"Provided object does not match schema 'Secret': ` + body["payload"] + `"}`
	}
	b.made++
	ref := fmt.Sprintf("%ssecrets/s%d", fakeBarbicanURL, b.made)
	b.secrets = append(b.secrets, fakeSecret{storedPart{body["name"], ref}, body["payload"]})
	return http.StatusCreated, fmt.Sprintf(`{"secret_ref":%q}`, ref)
}

func (b *fakeBarbican) makeContainer(text []byte) (int, string) {
	var body struct {
		Type string
		storedContainer
	}
	if json.Unmarshal(text, &body) != nil || body.Type != "certificate" {
		return http.StatusBadRequest, `{"description":"no such type"}`
	}
	for _, p := range body.Parts {
		if !slices.ContainsFunc(b.secrets, func(s fakeSecret) bool { return s.Ref == p.Ref }) {
			return http.StatusNotFound, `{"description":"Not Found."}`
		}
	}
	b.made++
	c := body.storedContainer
	c.Ref = fmt.Sprintf("%scontainers/c%d", fakeBarbicanURL, b.made)
	b.containers = append(b.containers, c)
	return http.StatusCreated, fmt.Sprintf(`{"container_ref":%q}`, c.Ref)
}

// payload is what a container's part holds.
func (b *fakeBarbican) payload(ref, what string) string {
	for _, c := range b.containers {
		for _, p := range c.Parts {
			if i := slices.IndexFunc(b.secrets, func(s fakeSecret) bool { return s.Ref == p.Ref }); c.Ref == ref && p.Name == what && i >= 0 {
				return b.secrets[i].Payload
			}
		}
	}
	return ""
}

// safe is the Secrets of a cluster.
type safe struct {
	t     *testing.T
	mu    sync.Mutex
	pairs map[lb.Key]certs.KeyPair
}

func newSafe(t *testing.T) *safe { return &safe{t: t, pairs: map[lb.Key]certs.KeyPair{}} }

func (s *safe) read(_ context.Context, key lb.Key) (certs.KeyPair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.pairs[key]; ok {
		return p, nil
	}
	return certs.KeyPair{}, errors.New("is not there")
}

// renew makes another certificate for a Secret.
func (s *safe) renew(secret string) certs.KeyPair {
	s.t.Helper()
	made := certtest.New(s.t, "tea.example")
	p, err := certs.ParseKeyPair(made.Cert, made.Key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs[lb.Key{Namespace: "default", Name: secret}] = p
	return p
}

// https is a load balancer of HTTPS with the certificates of Secrets as they are.
func (s *safe) https(secrets ...string) lb.LoadBalancer {
	l := tcp(443, "192.0.2.11:30443")
	l.Listeners[0].Protocol, l.Listeners[0].TLS = lb.HTTP, &lb.TLS{}
	for _, name := range secrets {
		digest := s.pairs[lb.Key{Namespace: "default", Name: name}].Digest
		l.Listeners[0].TLS.Certificates = append(l.Listeners[0].TLS.Certificates,
			lb.Certificate{Secret: name, Material: lb.Material{Name: "any", Digest: digest}})
	}
	return l
}

// secured answers calls to Barbican, and those of Octavia's that are about certificates; a status of 0 is for others.
func (c *cloud) secured(r *http.Request) (int, string) {
	var text []byte
	if r.Body != nil && (r.URL.Host == "barbican" || r.Method == http.MethodPut) {
		var err error
		if text, err = io.ReadAll(r.Body); err != nil {
			return http.StatusBadRequest, err.Error()
		}
	}
	if r.URL.Host == "barbican" {
		c.calls = append(c.calls, "barbican "+r.Method+" "+r.URL.Path)
		return c.barbican.serve(r, text)
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2.0/lbaas/")
	switch {
	case path == "listeners":
		var all []any
		for _, l := range c.lbs {
			for _, x := range l.tree.Listeners {
				all = append(all, map[string]any{"id": x.Name, "default_tls_container_ref": x.Certificate,
					"sni_container_refs": x.Certificates})
			}
		}
		return encode(map[string]any{"listeners": all})
	case r.Method == http.MethodPut && strings.HasSuffix(path, "/members"):
		c.calls = append(c.calls, r.Method+" "+path)
		var body struct{ Members []Member }
		if err := json.Unmarshal(text, &body); err != nil {
			return http.StatusBadRequest, err.Error()
		}
		c.lbs[0].Updated += "+"
		c.lbs[0].tree.Listeners[0].Pool.Members = body.Members
		return encode(map[string]any{})
	case strings.HasPrefix(path, "listeners/"):
		c.calls = append(c.calls, r.Method+" "+path)
		var body struct{ Listener listenerChange }
		if err := json.Unmarshal(text, &body); err != nil {
			return http.StatusBadRequest, err.Error()
		}
		l := c.lbs[0]
		l.Updated += "+"
		l.tree.Listeners[0].Certificate, l.tree.Listeners[0].Certificates = body.Listener.Certificate, *body.Listener.Certificates
		return encode(map[string]any{})
	}
	return 0, ""
}

// encodeText is a string as JSON.
func encodeText(s string) (string, error) {
	text, err := json.Marshal(s)
	return string(text), err
}

// Each page comes with what was there when it was asked for: what goes meanwhile hides nothing behind it.
func TestPagesOfWhatGoes(t *testing.T) {
	t.Parallel()
	pair := newSafe(t).renew("one")
	for _, kind := range []string{kindContainers, kindSecrets} {
		for _, always := range []bool{false, true} {
			c := &cloud{barbican: &fakeBarbican{}}
			a, pages := fakeAPI(c.serve), 0
			for n := range 8 {
				if _, err := a.store(t.Context(), fmt.Sprintf("x %d", n), pair); err != nil {
					t.Fatal(err)
				}
			}
			c.barbican.deny = func(_, path, _ string) (int, string) {
				pages++
				if path == kind && (pages == 2 || always && pages < 50) {
					b := c.barbican
					b.containers, b.secrets = append(b.containers[1:], b.containers[0]), append(b.secrets[1:], b.secrets[0])
				}
				return 0, ""
			}
			var containers []storedContainer
			var parts []storedPart
			var err error
			if kind == kindContainers {
				containers, err = a.containers(t.Context(), "x%")
			} else {
				parts, err = a.parts(t.Context(), "x%")
			}
			refs := map[string]bool{}
			for _, x := range containers {
				refs[x.Ref] = true
			}
			for _, x := range parts {
				refs[x.Ref] = true
			}
			want := map[string]int{kindContainers: 8, kindSecrets: 16}[kind]
			if always && (err == nil || understand(err).trouble != troubleWeather) || !always && (err != nil || len(refs) != want) {
				t.Errorf("%s, always %v: %d of %d, %v", kind, always, len(refs), want, err)
			}
		}
	}
}
