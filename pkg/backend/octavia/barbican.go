package octavia

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
)

// storedContainer is a container of Barbican's: what Octavia is told of a certificate. Its parts are secrets.
type storedContainer struct {
	Name  string       `json:"name"`
	Ref   string       `json:"container_ref"`
	Parts []storedPart `json:"secret_refs"`
}

// storedPart is a secret of Barbican's. In a container its name is what it is there for.
type storedPart struct {
	Name string `json:"name"`
	Ref  string `json:"secret_ref"`
}

// What a part of a container is there for (Barbican's API, containers of type certificate).
const (
	partCertificate   = "certificate"
	partKey           = "private_key"
	partIntermediates = "intermediates"
)

// The kinds of things in Barbican.
const (
	kindContainers = "containers"
	kindSecrets    = "secrets"
)

// barbicanPage is the largest page that a Barbican gives, unless its operator allows more (max_limit_paging).
const barbicanPage = 100

// keyManager finds Barbican in the catalogue. That makes a call, and nobody waits for another one's.
func (s *session) keyManager() (*gophercloud.ServiceClient, error) {
	s.mu.Lock()
	known := s.barbican
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	client, err := openstack.NewKeyManagerV1(s.octavia.ProviderClient, s.endpoint)
	if err != nil {
		f := &failure{trouble: loginTrouble(err), text: "no Barbican in the catalogue: " + words(err), err: err}
		if _, missing := errors.AsType[*gophercloud.ErrEndpointNotFound](err); missing {
			f.trouble, f.absent = troubleRefused, true
			f.text = "this OpenStack has no Barbican (key-manager), which is where Octavia takes certificates from; leave TLS " +
				"to the Service with protocol TCP, or choose provider software"
		}
		return nil, f
	}
	client.ResourceBase = keyManagerBase(client.Endpoint)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.barbican = client
	return client, nil
}

// keyManagerBase is where Barbican's API begins, whether or not the catalogue's URL names the version already.
func keyManagerBase(endpoint string) string { return strings.TrimSuffix(endpoint, "v1/") + "v1/" }

// barbican makes one call to Barbican.
func (a *api) barbican(ctx context.Context, method, path string, body, answer any) error {
	to := func(s *session) (*gophercloud.ServiceClient, string, error) {
		client, err := s.keyManager()
		if err != nil {
			return nil, "", err
		}
		return client, client.ServiceURL() + path, nil
	}
	err := a.send(ctx, to, method, body, answer)
	if err == nil {
		return nil
	}
	f := *understand(err) // a copy: a login's failure is of all who wait for that
	f.aside, f.service = true, "Barbican"
	if f.trouble == troubleWeather || f.trouble == troubleGone {
		f.text = "Barbican: " + f.text // the user shall not look for it in Octavia
	}
	return &f
}

// containers returns those whose names are like this one, "%" standing for anything. Barbican's own filter is generous:
// whoever asks looks at the names again.
func (a *api) containers(ctx context.Context, like string) ([]storedContainer, error) {
	ref := func(c storedContainer) string { return c.Ref }
	return paged(kindContainers, ref, func(offset int) ([]storedContainer, int, error) {
		var page struct {
			Containers []storedContainer `json:"containers"`
			Total      int               `json:"total"`
		}
		err := a.barbican(ctx, http.MethodGet, pageOf(kindContainers, like, offset), nil, &page)
		return page.Containers, page.Total, err
	})
}

// parts returns the secrets whose names are like this one, likewise.
func (a *api) parts(ctx context.Context, like string) ([]storedPart, error) {
	ref := func(p storedPart) string { return p.Ref }
	return paged(kindSecrets, ref, func(offset int) ([]storedPart, int, error) {
		var page struct {
			Secrets []storedPart `json:"secrets"`
			Total   int          `json:"total"`
		}
		err := a.barbican(ctx, http.MethodGet, pageOf(kindSecrets, like, offset), nil, &page)
		return page.Secrets, page.Total, err
	})
}

// pagedTries is how often a list is begun whose pages do not fit together.
const pagedTries = 5

// paged puts the pages of a list together. They are told by how much is before them: where something of that goes
// meanwhile, all behind it moves up, and would be missed. So each page begins with the last one of the page before it;
// where that is another one, the list is begun anew.
func paged[T any](kind string, ref func(T) string, page func(offset int) ([]T, int, error)) ([]T, error) {
	for range pagedTries {
		all, whole, err := pages(ref, page)
		if err != nil {
			return nil, fmt.Errorf("list the %s: %w", kind, err)
		}
		if whole {
			return all, nil
		}
	}
	return nil, &failure{trouble: troubleWeather, aside: true, service: "Barbican",
		text: "Barbican: its list of " + kind + " does not hold still"}
}

// pages is one try at that; false where something may be missing.
func pages[T any](ref func(T) string, page func(offset int) ([]T, int, error)) (all []T, whole bool, err error) {
	for {
		next, total, err := page(max(len(all)-1, 0))
		if err != nil {
			return nil, false, err
		}
		if n := len(all); n > 0 {
			if len(next) == 0 || ref(next[0]) != ref(all[n-1]) {
				return nil, false, nil
			}
			next = next[1:]
		}
		all = append(all, next...)
		if len(all) >= total {
			return all, true, nil
		}
		if len(next) == 0 {
			return nil, false, nil
		}
	}
}

// pageOf is the path of a page. Containers come in the order of their creation; secrets do so only if asked.
func pageOf(kind, like string, offset int) string {
	q := url.Values{"name": {like}, "limit": {strconv.Itoa(barbicanPage)}, "offset": {strconv.Itoa(offset)}}
	if kind == kindSecrets {
		q.Set("sort", "created:asc")
	}
	return kind + "?" + q.Encode()
}

// stored returns the URL of the oldest container of the name that has all that Octavia needs; empty for none.
func (a *api) stored(ctx context.Context, name string) (string, error) {
	all, err := a.containers(ctx, name)
	if err != nil || len(all) == 0 {
		return "", err
	}
	parts, err := a.parts(ctx, name+" %")
	if err != nil {
		return "", err
	}
	whole := wholeOnes(all, parts)
	for _, c := range all {
		if c.Name == name && whole[c.Ref] {
			return c.Ref, nil
		}
	}
	return "", nil
}

// wholeOnes returns the URLs of those containers that have all that Octavia needs.
func wholeOnes(containers []storedContainer, parts []storedPart) map[string]bool {
	there, whole := map[string]bool{}, map[string]bool{}
	for _, p := range parts {
		there[p.Ref] = true
	}
	for _, c := range containers {
		whole[c.Ref] = c.whole(there)
	}
	return whole
}

// whole reports whether all that a container names is there, with a certificate and a key among it.
func (c storedContainer) whole(there map[string]bool) bool {
	named := map[string]bool{}
	for _, p := range c.Parts {
		if !there[p.Ref] {
			return false
		}
		named[p.Name] = true
	}
	return named[partCertificate] && named[partKey]
}

// store puts a pair into Barbican, in the form that every Octavia reads (its barbican_legacy.py):
// a secret for each of certificate, key and intermediates, in PEM, and a container around them, which comes last. It
// returns the container's URL.
func (a *api) store(ctx context.Context, name string, pair certs.KeyPair) (string, error) {
	texts := partsOf(pair.PEM)
	var parts []storedPart
	for _, what := range []string{partCertificate, partKey, partIntermediates} {
		if texts[what] == "" {
			continue
		}
		ref, err := a.storePart(ctx, name+" "+what, texts[what])
		if err != nil {
			return "", err
		}
		parts = append(parts, storedPart{Name: what, Ref: ref})
	}
	var answer struct {
		Ref string `json:"container_ref"`
	}
	body := map[string]any{"type": "certificate", "name": name, "secret_refs": parts}
	if err := a.barbican(ctx, http.MethodPost, kindContainers, body, &answer); err != nil {
		return "", fmt.Errorf("store %s: %w", name, err)
	}
	return answer.Ref, nil
}

// storePart stores one secret. What Barbican, or a proxy before it, says of a body that it does not take may hold the
// body: it goes no further, but for the words about roles and quotas.
func (a *api) storePart(ctx context.Context, name, text string) (string, error) {
	var answer struct {
		Ref string `json:"secret_ref"`
	}
	body := map[string]string{"name": name, "payload": text, "payload_content_type": "text/plain"}
	err := a.barbican(ctx, http.MethodPost, kindSecrets, body, &answer)
	if err == nil {
		return answer.Ref, nil
	}
	return "", fmt.Errorf("store %s: %w", name, muffled(*understand(err), name, text))
}

// muffled returns a failure to store a secret without what may be the secret.
func muffled(f failure, name, text string) *failure {
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(f.err, &code) {
		return &f // it has never been answered
	}
	f.err = nil // the answer's body is in it
	switch {
	case f.trouble == troubleRefused:
		f.text = fmt.Sprintf("%s, of %d bytes, is refused; is it too large?", name, len(text))
	case f.trouble != troubleDenied && f.trouble != troubleQuota, strings.Contains(f.text, "-----"):
		f.text = fmt.Sprintf("Barbican has not taken %s: %d %s", name, code.Actual, http.StatusText(code.Actual))
	}
	return &f
}

// partsOf splits the text of a pair: the first certificate, the others, and the key.
func partsOf(text []byte) map[string]string {
	out := map[string]string{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		what := partKey
		switch {
		case block.Type == "CERTIFICATE" && out[partCertificate] == "":
			what = partCertificate
		case block.Type == "CERTIFICATE":
			what = partIntermediates
		}
		out[what] += string(pem.EncodeToMemory(block))
	}
	return out
}

// unstore deletes a container or a secret; one that is gone already is as good.
func (a *api) unstore(ctx context.Context, kind, ref string) error {
	err := a.barbican(ctx, http.MethodDelete, kind+"/"+idOf(ref), nil, nil)
	if err != nil && understand(err).trouble == troubleGone {
		return nil
	}
	return err
}

// idOf returns the ID that a URL of Barbican's ends with. What is before it depends on the way in.
func idOf(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// certificatesInUse returns the IDs of all that the listeners of the project have as certificates.
func (a *api) certificatesInUse(ctx context.Context) (map[string]bool, error) {
	used, marker := map[string]bool{}, ""
	for {
		var page struct {
			Listeners []struct {
				ID           string   `json:"id"`
				Certificate  string   `json:"default_tls_container_ref"`
				Certificates []string `json:"sni_container_refs"`
			} `json:"listeners"`
			Links []struct {
				Rel string `json:"rel"`
			} `json:"listeners_links"`
		}
		path := "listeners?fields=id&fields=default_tls_container_ref&fields=sni_container_refs" + marker
		if err := a.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, l := range page.Listeners {
			for _, ref := range append(l.Certificates, l.Certificate) {
				used[idOf(ref)] = true
			}
		}
		more := false
		for _, l := range page.Links {
			more = more || l.Rel == "next"
		}
		if !more || len(page.Listeners) == 0 {
			return used, nil
		}
		marker = "&marker=" + url.QueryEscape(page.Listeners[len(page.Listeners)-1].ID)
	}
}
