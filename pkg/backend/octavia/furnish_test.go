package octavia

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// vaulted starts a backend before a cloud with a Barbican.
func vaulted(t *testing.T, c *cloud, s *safe) *Backend {
	t.Helper()
	return c.begin(t, func(o *Options) { o.KeyPairs = s.read })
}

// refs are what the one listener of the cloud shows: the default, and then the others.
func (c *cloud) refs(t *testing.T) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.lbs) != 1 || len(c.lbs[0].tree.Listeners) != 1 {
		t.Fatalf("not one listener: %+v", c.lbs)
	}
	l := c.lbs[0].tree.Listeners[0]
	return append([]string{l.Certificate}, l.Certificates...)
}

// left is how many containers and secrets there are.
func (c *cloud) left() [2]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return [2]int{len(c.barbican.containers), len(c.barbican.secrets)}
}

// A Secret's certificate is put into Barbican before the load balancer is made, changes with the Secret, and goes with
// the load balancer.
func TestCertificatesOfSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
		first := s.renew("one")
		s.renew("two")
		b := vaulted(t, c, s)
		apply(t, b, s.https("one", "two"))
		time.Sleep(20 * time.Second)
		before := c.refs(t)
		if h := healthOf(t, b); !h.Ready || len(before) != 2 || c.left() != [2]int{2, 4} {
			t.Fatalf("%+v, %v, %v", h, before, c.left())
		}
		pem := c.barbican.payload(before[0], partCertificate) + c.barbican.payload(before[0], partKey)
		if pem != string(first.PEM) {
			t.Error("the default is not the first Secret's")
		}
		if l := c.lbs[0]; !slices.Contains(l.Tags, tagStored) || l.tree.Listeners[0].Protocol != protocolHTTPS {
			t.Errorf("%v, %s", l.Tags, l.tree.Listeners[0].Protocol)
		}

		c.calls = nil
		apply(t, b, s.https("one", "two"))
		time.Sleep(20 * time.Second)
		if n := c.count("POST") + c.count("PUT") + c.count("barbican"); n != 0 {
			t.Errorf("nothing is new: %v", c.calls)
		}

		s.renew("one")
		apply(t, b, s.https("one", "two"))
		time.Sleep(20 * time.Second)
		after := c.refs(t)
		if !healthOf(t, b).Ready || after[0] == before[0] || after[1] != before[1] || c.left() != [2]int{2, 4} || c.made != 1 {
			t.Errorf("renewed: %v, %v", after, c.left())
		}

		apply(t, b)
		time.Sleep(20 * time.Second)
		if c.left() != [2]int{} || !b.Released(tcp(443).Origin.Key) {
			t.Errorf("deleted: %v are left", c.left())
		}
	})
}

// What a call leaves that fails half-way, or whose answer is lost, is gone in the end.
func TestCertificateStoredHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := range 3 {
			c, s, posts := &cloud{barbican: &fakeBarbican{}}, newSafe(t), 0
			s.renew("one")
			c.barbican.deny = func(method, path, body string) (int, string) {
				if method != http.MethodPost {
					return 0, ""
				}
				posts++
				if posts != n+1 {
					return 0, ""
				}
				made := c.barbican.makeSecret // it happens, but nobody hears of it
				if path == "containers" {
					made = c.barbican.makeContainer
				}
				_, _ = made([]byte(body))
				return http.StatusBadGateway, ""
			}
			b := vaulted(t, c, s)
			apply(t, b, s.https("one"))
			time.Sleep(time.Minute)
			if h := healthOf(t, b); !h.Ready || c.left() != [2]int{1, 2} || c.made != 1 {
				t.Errorf("failing call %d: %+v, %v, %d made", n+1, h, c.left(), c.made)
			}
		}
	})
}

// What a killed process has left goes by the sweep, but nothing of another cluster, and nothing that a listener has.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
		pair := s.renew("one")
		b := vaulted(t, c, s)
		gone, foreign := lb.Key{Namespace: "default", Name: "gone"}, storedName("other", lb.Key{Namespace: "a", Name: "b"}, "d")
		for _, name := range []string{storedName("c", gone, pair.Digest), foreign} {
			if _, err := b.engine.api.store(t.Context(), name, pair); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.engine.api.storePart(t.Context(), storedName("c", gone, "old")+" "+partKey, "half"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if c.left() != [2]int{2, 5} {
			t.Errorf("nobody has said which objects there are, and %v are left", c.left())
		}
		apply(t, b, s.https("one"))
		time.Sleep(2 * time.Minute)
		if c.left() != [2]int{2, 4} || !strings.HasPrefix(c.barbican.containers[0].Name, "kubectl-lb other ") {
			t.Errorf("%v are left: %+v", c.left(), c.barbican.containers)
		}
		c.lbs[0].Tags, c.lbs[0].Name = nil, "somebody's"
		_, err := b.engine.api.storePart(t.Context(), "kubectl-lb c  x", "not of our making")
		if err != nil || b.engine.sweep(t.Context()) != nil || c.left()[0] != 2 {
			t.Errorf("%v; %v are left", err, c.left())
		}
	})
}

// A sweep leaves alone what was made while it looked around: the container is not in its list, and the parts are.
func TestSweepSparesNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, lists := &cloud{barbican: &fakeBarbican{}}, newSafe(t), 0
		s.renew("one")
		b := vaulted(t, c, s)
		apply(t, b, s.https("one"))
		time.Sleep(time.Minute)
		var late []storedContainer
		c.barbican.deny = func(method, path, _ string) (int, string) {
			switch {
			case method == http.MethodGet && path == kindContainers:
				lists++
				if lists == 2 { // the first one is looked through for what is lost
					late, c.barbican.containers = c.barbican.containers, nil
				}
			case late != nil:
				c.barbican.containers, late = late, nil
			}
			return 0, ""
		}
		if err := b.engine.sweep(t.Context()); err != nil || lists != 2 || c.left() != [2]int{1, 2} {
			t.Errorf("%v; %d lists, %v are left", err, lists, c.left())
		}
	})
}

// What Barbican refuses is said before anything is made, and without a word of the key.
func TestBarbicanRefuses(t *testing.T) {
	const denied = `{"code":403,"title":"Forbidden","description":"Secret creation attempt not allowed - please review your user/project privileges"}`
	for _, x := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"no role", http.StatusForbidden, denied, "LB0603 Secret creation attempt not allowed - please review your user/project " +
			"privileges. The controller's user needs the role creator, for Barbican, in its project."},
		{"quota", http.StatusForbidden, `{"description":"Quota reached for project x. Only 3 secrets are allowed."}`,
			"LB0602 Quota reached for project x. Only 3 secrets are allowed. Delete what is not needed, or have the quota raised."},
		{"absent", 0, "", "LB0401 this OpenStack has no Barbican (key-manager), which is where Octavia takes certificates from; " +
			"leave TLS to the Service with protocol TCP, or choose provider software"},
		{"too large", http.StatusRequestEntityTooLarge, "", "LB0601 Barbican refuses: "},
		{"malformed", http.StatusBadRequest, "its own", "LB0601 Barbican refuses: "},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := &cloud{barbican: &fakeBarbican{}}, newSafe(t)
				s.renew("one")
				c.barbican.deny = func(method, _, body string) (int, string) {
					if method != http.MethodPost {
						return 0, ""
					}
					return x.status, strings.ReplaceAll(x.body, "its own", body)
				}
				b := vaulted(t, c, s)
				if x.status == 0 {
					in := b.engine.api.session
					in.barbican = nil
					in.octavia.ProviderClient.EndpointLocator = func(gophercloud.EndpointOpts) (string, error) {
						return "", &gophercloud.ErrEndpointNotFound{}
					}
				}
				apply(t, b, s.https("one"))
				time.Sleep(time.Minute)
				h := healthOf(t, b)
				if len(h.Findings) != 1 || !strings.HasPrefix(h.Findings[0].String(), x.want) || c.made != 0 || h.Ready {
					t.Errorf("%+v, %d made", h, c.made)
				}
				if len(h.Findings) == 1 && strings.Contains(h.Findings[0].Message, "BEGIN") {
					t.Error("the finding holds the key")
				}
			})
		})
	}
}

// A listener keeps what it has as long as it is not known what the new is in.
func TestBorrowed(t *testing.T) {
	tree := Tree{Listeners: []Listener{{Port: 443, Protocol: protocolHTTPS, Pairs: []Pair{{Container: "new"}}}}}
	if got := tree.borrowed(Seen{}, nil); len(got.Listeners) != 0 {
		t.Error("there is nothing to borrow")
	}
	have := grown(tree)
	have.Listeners[0].Certificate, have.Listeners[0].Certificates = "old", []string{"z", "a"}
	got := tree.borrowed(have, nil)
	if l := got.Listeners[0]; l.Certificate != "old" || !slices.Equal(l.Certificates, []string{"a", "z"}) {
		t.Errorf("%+v", got)
	}
	if tree.Listeners[0].Certificate != "" {
		t.Error("the wish itself has changed")
	}
}

// Names fit into Barbican, whatever they are of, and say whose they are.
func TestStoredName(t *testing.T) {
	long := lb.Key{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("m", 253)}
	for _, key := range []lb.Key{long, {Namespace: "a", Name: "b"}} {
		name := storedName(strings.Repeat("c", 200), key, strings.Repeat("d", 32)) + " " + partIntermediates
		if len(name) > maxText {
			t.Errorf("%s has %d bytes", name, len(name))
		}
		if object, ours := storedFor(strings.Repeat("c", 200), name); !ours || object != storedObject(key) {
			t.Errorf("%s is %q's", name, object)
		}
	}
	if _, ours := storedFor("c", storedName("d", long, "x")); ours {
		t.Error("another cluster's counts as ours")
	}
}

// A port whose certificate is not to be had does not keep an object's others waiting, and comes when it is.
func TestCertificateMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("one")
		l := s.https("one")
		l.Listeners = append(l.Listeners, tcp(80, "192.0.2.11:30080").Listeners...)
		away := true
		e.barbican.deny = func(string, string, string) (int, string) {
			return map[bool]int{true: http.StatusServiceUnavailable}[away], ""
		}
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		apply(t, b, l)
		time.Sleep(time.Minute)
		if got := e.text(); !strings.Contains(got, "listener tcp-80") || strings.Contains(got, "listener https") ||
			healthOf(t, b).Ready {
			t.Errorf("%+v: %s", healthOf(t, b), got)
		}
		e.mu.Lock()
		away = false
		e.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if got := e.text(); !strings.Contains(got, "listener https-443") || !healthOf(t, b).Ready || len(e.lbs) != 1 {
			t.Errorf("%+v: %s", healthOf(t, b), got)
		}
	})
}
