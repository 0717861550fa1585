package octavia_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// safe is the Secrets of a site's cluster.
type safe struct {
	mu    sync.Mutex
	pairs map[string]certs.KeyPair
}

func (s *safe) read(_ context.Context, key lb.Key) (certs.KeyPair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pairs[key.Name], nil
}

// renew puts a new certificate into a Secret.
func (s *safe) renew(t *testing.T, secret string) {
	t.Helper()
	s.put(t, secret, certtest.Make(t, certtest.Options{Names: []string{secret + ".example"}, CommonName: secret + ".example"}))
}

func (s *safe) put(t *testing.T, secret string, made certtest.Pair, chain ...byte) {
	t.Helper()
	pair, err := certs.ParseKeyPair(append(made.Cert, chain...), made.Key)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs[secret] = pair
}

// https is a load balancer with the certificates of Secrets as they are.
func (s *safe) https(name string, nodes int, secrets ...string) lb.LoadBalancer {
	l := web(name, nodes, 443)
	l.Listeners[0].Protocol, l.Listeners[0].TLS = lb.HTTP, &lb.TLS{}
	for _, secret := range secrets {
		l.Listeners[0].TLS.Certificates = append(l.Listeners[0].TLS.Certificates,
			lb.Certificate{Secret: secret, Material: lb.Material{Name: "any", Digest: s.pairs[secret].Digest}})
	}
	return l
}

// newSafe starts a site whose cluster has Secrets.
func newSafe(t *testing.T, change ...func(*octavia.Options)) (*site, *safe) {
	t.Helper()
	x := &safe{pairs: map[string]certs.KeyPair{}}
	change = append(change, func(o *octavia.Options) { o.KeyPairs = x.read })
	return newSite(t, change...), x
}

// vault is what Barbican's database has of the site's cluster: the containers' IDs, and how many secrets.
func (s *site) vault() (containers []string, secrets int) {
	s.t.Helper()
	like := " where deleted=0 and name like 'kubectl-lb " + s.options.Cluster + " %'"
	return s.query("select id from barbican.containers" + like + " order by id"), len(s.query("select id from barbican.secrets" + like))
}

// shown are the IDs of the containers that the one listener has: the default, and then the others.
func (s *site) shown() (ids []string) {
	s.t.Helper()
	const from = " from listener i join load_balancer l on i.load_balancer_id=l.id "
	for _, ref := range append(s.query("select i.tls_certificate_id"+from+"where "+s.mine()),
		s.query("select s.tls_container_id"+from+"join sni s on s.listener_id=i.id where "+s.mine())...) {
		ids = append(ids, ref[strings.LastIndexByte(ref, '/')+1:])
	}
	return ids
}

// holds waits until Barbican has just the containers that are shown, and this many secrets.
func (s *site) holds(secrets int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d secrets, and no container but those in use", secrets), func() bool {
		shown := s.shown()
		slices.Sort(shown)
		containers, n := s.vault()
		return slices.Equal(containers, shown) && n == secrets
	})
}

// TestCertificates puts the certificates of two Secrets into a real Barbican, from where Octavia takes them; one is
// renewed, and changes without the old one ever missing; then all goes.
func TestCertificates(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	secrets.renew(t, "one")
	authority, key := certtest.Authority(t, "An Authority"), rsaKey(t)
	secrets.put(t, "two", certtest.Make(t, certtest.Options{Names: []string{"two.example"}, CommonName: "two.example", Signer: &authority,
		Key: key}), authority.Cert...)
	l := secrets.https("web", 1, "one", "two")
	s.apply(l)
	s.ready(l)
	before := s.shown()
	if len(before) != 2 {
		t.Fatalf("%v", before)
	}
	s.holds(5) // one has intermediates
	if got := s.tree(); !slices.ContainsFunc(got, func(x string) bool { return strings.Contains(x, "TERMINATED_HTTPS 443") }) {
		t.Errorf("%v", got)
	}

	s.restart()
	s.gate.Reset()
	s.apply(l)
	s.ready(l)
	for _, c := range s.gate.Calls() {
		if c.Method != http.MethodGet && c.Service != "identity" {
			t.Errorf("nothing is new: %s", c)
		}
	}

	secrets.renew(t, "one")
	l = secrets.https("web", 1, "one", "two")
	s.gate.Reset()
	s.apply(l)
	s.until("the new certificate", func() bool { x := s.shown(); return len(x) == 2 && x[0] != before[0] && x[1] == before[1] })
	s.ready(l)
	s.holds(5)
	calls := s.gate.Calls()
	moved := slices.IndexFunc(calls, func(c lab.Call) bool { return c.Method == http.MethodPut && strings.Contains(c.Path, "/listeners/") })
	gone := slices.IndexFunc(calls, func(c lab.Call) bool { return c.Service == "key-manager" && c.Method == http.MethodDelete })
	if moved < 0 || gone < moved {
		t.Errorf("%v", calls)
	}

	s.apply()
	s.until("everything is gone", func() bool { return s.Released(l.Origin.Key) })
	if containers, n := s.vault(); len(containers)+n != 0 || s.count("") != 0 {
		t.Errorf("%v, %d secrets", containers, n)
	}
}

// TestCertificatesDenied is about a user that may make load balancers, but not secrets.
func TestCertificatesDenied(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t, func(o *octavia.Options) { o.Credentials.Cloud = "nosecrets" })
	secrets.renew(t, "one")
	l := secrets.https("web", 1, "one")
	s.apply(l)
	text := s.finding(l, lb.CodeCloudDenied)
	t.Log(text)
	if !strings.Contains(text, "needs the role creator, for Barbican,") || s.count("") != 0 {
		t.Errorf("%s; %d load balancers", text, s.count(""))
	}
}

// TestCertificatesUnfit is about certificates that Octavia 11 does not take.
func TestCertificatesUnfit(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]certtest.Options{
		"nameless": {Names: []string{"tea.example"}}, "ed25519": {CommonName: "tea.example", Names: []string{"tea.example"}, Key: ed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, secrets := newSafe(t)
			secrets.put(t, "one", certtest.Make(t, o))
			l := secrets.https("web", 1, "one")
			s.apply(l)
			text := s.finding(l, lb.CodeCloudRefused)
			t.Log(text)
			if !strings.Contains(text, "wants a common name in it, and a key of RSA or ECDSA") || s.count("") != 0 {
				t.Errorf("%s; %d load balancers", text, s.count(""))
			}
			secrets.renew(t, "one")
			l = secrets.https("web", 1, "one")
			s.apply(l)
			s.ready(l)
			s.holds(2)
		})
	}
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestNoBarbican is about a cloud without one: it says so before anything is made, and an object without certificates
// does not need it.
func TestNoBarbican(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	s.gate.Hide("key-manager")
	secrets.renew(t, "one")
	l, other := secrets.https("web", 1, "one"), web("other", 1, 80)
	s.apply(l, other)
	s.ready(other)
	text := s.finding(l, lb.CodeBackendCannot)
	t.Log(text)
	if !strings.Contains(text, "no Barbican") || s.count("") != 1 {
		t.Errorf("%s; %d load balancers", text, s.count(""))
	}
	s.apply(other)
	s.until("it is gone", func() bool { return s.Released(l.Origin.Key) })
}

// TestBarbicanDown renews a certificate while Barbican is away: members change all the same, and the certificate does
// once Barbican is back.
func TestBarbicanDown(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	secrets.renew(t, "one")
	l := secrets.https("web", 1, "one")
	s.apply(l)
	s.ready(l)
	before := s.shown()
	s.gate.Break(lab.Fault{KeyManager: true, Status: http.StatusServiceUnavailable})
	secrets.renew(t, "one")
	s.apply(secrets.https("web", 3, "one"))
	members := func() int {
		return len(s.query("select m.id from member m join pool p on m.pool_id=p.id join load_balancer l on p.load_balancer_id=l.id where " +
			s.mine()))
	}
	s.until("three members", func() bool { return members() == 3 })
	if !slices.Equal(s.shown(), before) || !s.healths()[l.Origin.Key].Ready {
		t.Errorf("%v, %+v", s.shown(), s.healths())
	}
	s.gate.Mend()
	s.until("the new certificate", func() bool { return !slices.Equal(s.shown(), before) })
	s.holds(2)
}

// TestCertificatesKilled kills the backend at each call to Barbican and Octavia that changes something, the call being
// done. What it leaves is taken up by the next one; where the object has gone meanwhile, it is deleted.
func TestCertificatesKilled(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		for _, stays := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d-%v", n, stays), func(t *testing.T) {
				t.Parallel()
				s, secrets := newSafe(t)
				secrets.renew(t, "one")
				l := secrets.https("web", 1, "one")
				killed := make(chan struct{})
				fault := lab.Fault{KeyManager: true, Writes: true, After: n, Times: 1, Reset: true, Lost: true,
					Done: sync.OnceFunc(func() { close(killed) })}
				if n == 3 { // two secrets and a container are there
					fault.KeyManager, fault.After = false, 0
				}
				s.gate.Break(fault)
				s.apply(l)
				<-killed
				s.restart()
				if stays {
					s.apply(l)
					s.ready(l)
					s.holds(2)
					return
				}
				s.options.DeleteOrphans = true // the object's finalizer would ask for as much
				s.restart()
				s.apply()
				s.until("nothing is left", func() bool {
					containers, n := s.vault()
					return len(containers)+n == 0 && s.count("") == 0
				})
			})
		}
	}
}

// TestForeignUse spares a container that a listener of somebody else has.
func TestForeignUse(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	secrets.renew(t, "one")
	l := secrets.https("web", 1, "one")
	s.apply(l)
	s.ready(l)
	ref := s.query("select i.tls_certificate_id from listener i join load_balancer l on i.load_balancer_id=l.id where " + s.mine())[0]
	other := newSite(t)
	foreign := secrets.https("foreign", 1, "one")
	foreign.Cloud.Certificates = []string{ref}
	other.apply(foreign)
	other.ready(foreign)
	s.apply()
	s.until("the load balancer is gone", func() bool { return s.Released(l.Origin.Key) })
	if containers, n := s.vault(); len(containers) != 1 || n != 2 {
		t.Errorf("%v, %d secrets", containers, n)
	}
	other.apply()
	other.until("the other one is gone", func() bool { return other.Released(foreign.Origin.Key) })
	s.restart() // its first sweep is soon
	s.apply()
	time.Sleep(time.Second)
	s.until("nothing is left", func() bool { containers, n := s.vault(); return len(containers)+n == 0 })
}
