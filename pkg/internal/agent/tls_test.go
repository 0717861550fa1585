package agent_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// handOut gives the nodes material.
func (l *lab) handOut(m keyring.Material) {
	l.t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, n := range l.nodes {
		path := filepath.Join(n.dir, "material.json")
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			l.t.Fatal(err)
		}
	}
}

// issue makes a certificate and what the controller hands out of it.
func issue(t *testing.T) (certtest.Pair, []byte) {
	t.Helper()
	p := certtest.New(t, "a.b")
	pair, err := certs.ParseKeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return p, pair.PEM
}

// handshake returns the number of the certificate that is shown at an address.
func handshake(to netip.AddrPort) (string, error) {
	conn, err := net.DialTimeout("tcp", to.String(), time.Second)
	if err != nil {
		return "", err
	}
	c := tls.Client(conn, &tls.Config{ServerName: "a.b", InsecureSkipVerify: true}) //nolint:gosec // a test's
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	if err := c.Handshake(); err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// shows waits until an address shows a certificate, at least twice two seconds in a row: in both slots.
func (l *lab) shows(to netip.AddrPort, p certtest.Pair) {
	l.t.Helper()
	var err error
	l.within("c", func() {
		var since time.Time
		err = eventually(patience, func() error {
			got, err := handshake(to)
			if err != nil || got != p.Serial() {
				since = time.Time{}
				return fmt.Errorf("certificate %s, %w", got, errors.Join(err, errors.New("another one")))
			}
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) < 2100*time.Millisecond {
				return errors.New("not for long enough")
			}
			return nil
		})
	})
	l.must(patience, err)
}

// hammer shakes hands from several clients until the returned function is called, which returns how many handshakes
// there were and which failed.
func (l *lab) hammer(to netip.AddrPort) func() (int64, []string) {
	var asked atomic.Int64
	var mu sync.Mutex
	var failures []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			l.within("c", func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					asked.Add(1)
					if _, err := handshake(to); err != nil {
						mu.Lock()
						failures = append(failures, time.Now().Format(time.StampMilli)+" "+err.Error())
						mu.Unlock()
					}
				}
			})
		})
	}
	return func() (int64, []string) {
		close(stop)
		wg.Wait()
		return asked.Load(), failures
	}
}

// TestCertificates: they are waited for, replaced without a reload or a lost handshake, never made worse, and outlive
// the daemon, nginx and the controller.
func TestCertificates(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	secure := load(1, lb.HTTP, 443)
	secure.Listeners[0].TLS = &lb.TLS{Certificates: []lb.Certificate{{Secret: "s", Material: lb.Material{Name: "one", Digest: "aa"}}}}
	l.want(l.config(1, secure, load(2, lb.TCP, 80)))
	n.start()
	n.runs(1)
	l.answers(at(2, 80))
	l.eventually(patience, func() error {
		for _, f := range n.status().Findings {
			if f.Key == secure.Origin.Key && strings.Contains(f.Message, "has not got its certificates") {
				return nil
			}
		}
		return fmt.Errorf("findings %v", n.status().Findings)
	})
	first, text := issue(t)
	l.handOut(keyring.Material{Certificates: map[string][]byte{"one": text}})
	l.shows(at(1, 443), first)
	l.eventually(patience, func() error {
		if fs := n.status().Findings; len(fs) > 0 {
			return fmt.Errorf("findings %v", fs)
		}
		return nil
	})

	generation, master := n.status().Running.Generation, n.process("nginx")
	stop := l.hammer(at(1, 443))
	var last certtest.Pair
	for range 3 {
		last, text = issue(t)
		l.handOut(keyring.Material{Certificates: map[string][]byte{"one": text}})
		l.shows(at(1, 443), last)
	}
	l.handOut(keyring.Material{Certificates: map[string][]byte{"one": []byte("rubbish")}})
	l.eventually(patience, func() error {
		if fs := n.status().Findings; len(fs) != 1 || !strings.Contains(fs[0].Message, "certificate one has no certificate") {
			return fmt.Errorf("findings %v", fs)
		}
		return nil
	})
	l.shows(at(1, 443), last)
	asked, failures := stop()
	t.Logf("%d handshakes", asked)
	if len(failures) > 0 || asked < 100 {
		l.dump()
		t.Errorf("%d of %d handshakes failed: %q", len(failures), asked, failures)
	}
	if s := n.status().Running; s.Generation != generation || n.process("nginx") != master {
		t.Errorf("generation %s became %s", generation, s.Generation)
	}

	// A node that comes back without a word of the controller.
	n.terminate()
	if err := os.Remove(filepath.Join(n.dir, "material.json")); err != nil {
		t.Fatal(err)
	}
	n.start()
	l.shows(at(1, 443), last)
	if err := syscall.Kill(n.process("nginx"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.shows(at(1, 443), last)
	for name, mode := range map[string]os.FileMode{"one.0.pem": 0o440, "one.1.pem": 0o440, "": os.ModeDir | 0o710} {
		if info, err := os.Stat(filepath.Join(n.dir, "state", "tls", name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// TestSpoiltBundle: a bundle whose file nginx does not take costs those that name it, and nobody else. nginx says neither
// a place of the configuration nor whose it is.
func TestSpoiltBundle(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	pair, text := issue(t)
	ca := certtest.Authority(t, "ca")
	bundle, err := certs.ParseBundle(ca.Cert)
	if err != nil {
		t.Fatal(err)
	}
	staff := load(1, lb.HTTP, 443)
	staff.Listeners[0].TLS = &lb.TLS{
		Certificates: []lb.Certificate{{Secret: "s", Material: lb.Material{Name: "one", Digest: "aa"}}},
		Clients: &lb.ClientAuth{CA: lb.CABundle{Kind: lb.KindSecret, Name: "ca",
			Material: lb.Material{Name: "ca", Digest: bundle.Digest}}},
	}
	public := load(2, lb.HTTP, 443)
	public.Listeners[0].TLS = &lb.TLS{Certificates: staff.Listeners[0].TLS.Certificates}
	dir := filepath.Join(n.dir, "state", "tls")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the daemon knows better
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"one.0.pem": text, "one.1.pem": text, "ca-" + bundle.Digest + ".pem": []byte("spoilt")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "one.0.pem"), 0o440); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "one.1.pem"), 0o440); err != nil {
		t.Fatal(err)
	}
	l.want(l.config(1, staff, public, load(3, lb.TCP, 80)))
	n.start()
	n.runs(1)
	l.answers(at(3, 80))
	l.shows(at(2, 443), pair)
	l.eventually(5*time.Second, func() error {
		if fs := n.status().Findings; len(fs) != 1 || fs[0].Key != staff.Origin.Key || !strings.Contains(fs[0].Message, "refuses it") {
			return fmt.Errorf("findings %v", fs)
		}
		return nil
	})
}

// TestTicketKeys: new keys are a reload of those who terminate TLS, and of nobody else.
func TestTicketKeys(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	secure := load(1, lb.HTTP, 443)
	secure.Listeners[0].TLS = &lb.TLS{Certificates: []lb.Certificate{{Secret: "s", Material: lb.Material{Name: "one", Digest: "aa"}}}}
	pair, text := issue(t)
	keys := func(letters string) keyring.Material {
		m := keyring.Material{Certificates: map[string][]byte{"one": text}}
		for _, c := range letters {
			m.Tickets = append(m.Tickets, []byte(strings.Repeat(string(c), 80)))
		}
		return m
	}
	l.handOut(keys("abc"))
	l.want(l.config(1, load(2, lb.HTTP, 80)))
	n.start()
	n.runs(1)
	plain := n.status().Running.Generation
	l.handOut(keys("dab"))
	l.want(l.config(2, load(2, lb.HTTP, 80)))
	n.runs(2)
	if g := n.status().Running.Generation; g != plain {
		t.Errorf("the keys of tickets that nobody gets have changed generation %s to %s", plain, g)
	}
	l.want(l.config(3, secure, load(2, lb.HTTP, 80)))
	n.runs(3)
	l.shows(at(1, 443), pair)
	before := n.status().Running.Generation
	l.handOut(keys("eda"))
	l.eventually(10*time.Second, func() error {
		if n.status().Running.Generation == before {
			return errors.New("the new keys are not in use")
		}
		return nil
	})
	l.shows(at(1, 443), pair)
	left, err := filepath.Glob(filepath.Join(n.dir, "state", "tls", "tickets-*"))
	if err != nil || len(left) != 3 {
		t.Errorf("ticket keys %q, %v", left, err)
	}
}
