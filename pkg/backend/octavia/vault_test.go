package octavia

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// away makes every call to Barbican fail as long as it says so.
func (c *cloud) away(left *int) {
	c.barbican.deny = func(string, string, string) (int, string) {
		if *left == 0 {
			return 0, ""
		}
		*left--
		return http.StatusServiceUnavailable, ""
	}
}

// While Barbican is away a listener keeps what it has and all else goes on; afterwards the listener changes, and only then
// the old certificate goes. At whatever call Barbican comes back, none is forgotten.
func TestBarbicanAway(t *testing.T) {
	for calls := 1; calls < 5; calls++ {
		synctest.Test(t, func(t *testing.T) {
			c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
			s.renew("one")
			b := vaulted(t, c, s)
			apply(t, b, s.https("one"))
			time.Sleep(20 * time.Second)
			before, left := c.refs(t), 1000
			c.away(&left)
			s.renew("one")
			l := s.https("one")
			l.Listeners[0].Routes[0].Target = endpoints("192.0.2.11:30443", "192.0.2.12:30443")
			c.calls = nil
			apply(t, b, l)
			time.Sleep(5 * time.Second)
			if !slices.Equal(c.refs(t), before) || c.left() != [2]int{1, 2} || c.count("PUT") != 1 || !healthOf(t, b).Ready {
				t.Errorf("%v, %v, %v, %+v", c.refs(t), c.left(), c.calls, healthOf(t, b))
			}
			l.Listeners[0].Routes[0].Target = endpoints("192.0.2.12:30443")
			left, c.calls = calls, nil
			apply(t, b, l)
			time.Sleep(time.Minute)
			moved := slices.IndexFunc(c.calls, func(x string) bool { return strings.HasPrefix(x, "PUT listeners/") })
			gone := slices.IndexFunc(c.calls, func(x string) bool { return strings.HasPrefix(x, "barbican DELETE") })
			if slices.Equal(c.refs(t), before) || moved < 0 || gone < moved || c.left() != [2]int{1, 2} {
				t.Errorf("back after %d calls: %v, %v, %v", calls, c.refs(t), c.left(), c.calls)
			}
		})
	}
}

// A container that somebody has deleted is made again, and the listener follows.
func TestContainerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("one")
		b := vaulted(t, c, s)
		apply(t, b, s.https("one"))
		time.Sleep(20 * time.Second)
		before := c.refs(t)
		c.mu.Lock()
		c.barbican.containers = nil
		c.mu.Unlock()
		time.Sleep(sweepEvery + time.Minute)
		if after := c.refs(t); slices.Equal(after, before) || c.barbican.payload(after[0], partKey) == "" {
			t.Errorf("%v, %+v", after, c.barbican.containers)
		}
		time.Sleep(sweepEvery)
		if c.left() != [2]int{1, 2} {
			t.Errorf("%v are left", c.left())
		}
	})
}

// A secret that somebody has deleted beneath its container is missed as the container would be.
func TestSecretLostBeneath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("one")
		b := vaulted(t, c, s)
		apply(t, b, s.https("one"))
		time.Sleep(20 * time.Second)
		before := c.refs(t)
		c.mu.Lock()
		c.barbican.secrets = c.barbican.secrets[1:]
		c.mu.Unlock()
		time.Sleep(sweepEvery + time.Minute)
		after := c.refs(t)
		if slices.Equal(after, before) || c.barbican.payload(after[0], partCertificate) == "" ||
			c.barbican.payload(after[0], partKey) == "" || c.left() != [2]int{1, 2} {
			t.Errorf("%v, then %v; %v are left", before, after, c.left())
		}
		c.calls = nil
		time.Sleep(sweepEvery)
		if n := c.count("barbican POST"); n > 0 {
			t.Errorf("%d more were stored", n)
		}
	})
}

// A container of which a secret is gone counts for nothing.
func TestSecretLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
		pair := s.renew("one")
		b := vaulted(t, c, s)
		name := storedName("c", lb.Key{Namespace: "default", Name: "web"}, pair.Digest)
		lost, err := b.engine.api.store(t.Context(), name, pair)
		if err != nil {
			t.Fatal(err)
		}
		c.barbican.secrets = c.barbican.secrets[1:]
		apply(t, b, s.https("one"))
		time.Sleep(20 * time.Second)
		if got := c.refs(t)[0]; got == lost || c.barbican.payload(got, partCertificate) == "" || c.left() != [2]int{1, 2} {
			t.Errorf("%s, %v", got, c.left())
		}
	})
}

// Whatever Barbican, or a proxy before it, answers to a key: no word of it is in what is said and logged.
func TestKeyStaysSecret(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503} {
		synctest.Test(t, func(t *testing.T) {
			c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
			pair := s.renew("one")
			c.barbican.deny = func(method, path, body string) (int, string) {
				if method != http.MethodPost || path != kindSecrets {
					return 0, ""
				}
				text, _ := encodeText(body)
				return status, `{"description":` + text + `,"error":{"message":` + text + `}}`
			}
			var log bytes.Buffer
			b := c.begin(t, func(o *Options) {
				o.KeyPairs, o.Log = s.read, slog.New(slog.NewTextHandler(&log, nil))
			})
			apply(t, b, s.https("one"))
			time.Sleep(time.Minute)
			h := healthOf(t, b)
			said := h.Reason + log.String()
			for _, f := range h.Findings {
				said += f.Message
			}
			for line := range strings.Lines(string(pair.PEM)) {
				if strings.Contains(said, strings.TrimSpace(line)) {
					t.Fatalf("%d: %s", status, said)
				}
			}
			if said == "" || c.made != 0 {
				t.Errorf("%d: nothing is said, %d made", status, c.made)
			}
		})
	}
}

// A port that is new waits for Barbican, and the others do not.
func TestBorrowedNewPort(t *testing.T) {
	tree := Tree{Listeners: []Listener{
		{Port: 80, Protocol: protocolHTTP}, {Port: 443, Protocol: protocolHTTPS, Pairs: []Pair{{Container: "new"}}},
	}}
	have := grown(Tree{Listeners: tree.Listeners[:1]})
	if got := tree.borrowed(have, nil); len(got.Listeners) != 1 || got.Listeners[0].Port != 80 {
		t.Errorf("%+v", got.Listeners)
	}
	have = grown(Tree{Listeners: []Listener{{Port: 443, Protocol: "TCP", Tags: []string{tagObject + "a/b"}}}})
	for tag, want := range map[string]int{tagObject + "a/b": 2, tagObject + "a/c": 1} {
		tree.Listeners[1].Tags = []string{tag}
		if got := tree.borrowed(have, nil); len(got.Listeners) != want || want == 2 && got.Listeners[1].Protocol != "TCP" {
			t.Errorf("%s: %+v", tag, got.Listeners)
		}
	}
}

// TLS without a certificate is never served in the clear: Octavia refuses such a listener.
func TestNoCertificateNoClearText(t *testing.T) {
	l := tcp(443, "192.0.2.11:30443")
	l.Listeners[0].Protocol, l.Listeners[0].TLS = lb.HTTP, &lb.TLS{Certificates: []lb.Certificate{{Secret: "s"}}}
	if got := plant(l, Settings{}).Listeners[0]; got.Protocol != protocolHTTPS || got.Certificate != "" {
		t.Errorf("%+v", got)
	}
}

// The catalogue may name the version of the API, or not.
func TestKeyManagerBase(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://b:9311/": "http://b:9311/v1/", "http://b:9311/v1/": "http://b:9311/v1/", "http://b/key-manager/": "http://b/key-manager/v1/",
	} {
		if got := keyManagerBase(endpoint); got != want {
			t.Errorf("%s: %s, not %s", endpoint, got, want)
		}
	}
}

// A login that fails does so for all who wait for it, and is nobody's alone.
func TestLoginFailureIsShared(t *testing.T) {
	shared := &failure{trouble: troubleLogin, text: "no"}
	a := &api{readLimit: time.Minute, writeLimit: time.Minute}
	a.arrival = fly(func() (*session, error) { return nil, shared })
	err := a.barbican(t.Context(), http.MethodGet, kindSecrets, nil, nil)
	if f := understand(err); f.service != "Barbican" || shared.aside || shared.service != "" {
		t.Errorf("%+v, %+v", f, shared)
	}
}
