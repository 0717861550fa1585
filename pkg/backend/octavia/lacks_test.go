package octavia

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// shut makes Barbican answer nothing good as long as it is away.
func (e *estate) shut(away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.barbican.deny = func(string, string, string) (int, string) {
		return map[bool]int{true: http.StatusServiceUnavailable}[away], ""
	}
}

// certified names the Secrets whose certificates a listener shows, the default first.
func (e *estate) certified(s *safe, name string) (secrets []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lbs[0].listeners {
		if l.Name != name {
			continue
		}
		for _, ref := range append([]string{l.Certificate}, l.Certificates...) {
			for key, pair := range s.pairs {
				if e.barbican.payload(ref, partCertificate) == partsOf(pair.PEM)[partCertificate] {
					secrets = append(secrets, key.Name)
				}
			}
		}
	}
	slices.Sort(secrets[min(1, len(secrets)):])
	return secrets
}

// TestProtocolWithoutCertificate: a port that is to become one of HTTPS serves on as it is until its certificate is to
// be had, and all else goes on meanwhile. Then it is without a listener for no more than one call.
func TestProtocolWithoutCertificate(t *testing.T) {
	for _, before := range []lb.Protocol{lb.TCP, lb.HTTP} {
		synctest.Test(t, func(t *testing.T) {
			e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
			s.renew("one")
			b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
			old := tcp(443, "192.0.2.11:30443")
			old.Listeners[0].Protocol = before
			if before == lb.HTTP {
				old = web(old, "a.example")
			}
			old.Listeners = append(old.Listeners, tcp(80, "192.0.2.11:30080").Listeners...)
			move(t, b, nil, old)
			was, lines := e.text(), 0
			e.shut(true)
			next := s.https("one")
			next.Listeners = append(next.Listeners, tcp(80, "192.0.2.12:30080").Listeners...)
			next.Listeners = append(next.Listeners, tcp(81, "192.0.2.11:30081").Listeners...)
			move(t, b, nil, next)
			now := e.text()
			for line := range strings.Lines(was) {
				if strings.Contains(line, "-443") && !strings.Contains(line, "pool http-443 ") {
					lines++
					if !strings.Contains(now, strings.TrimSpace(line)) {
						t.Errorf("gone: %s", line)
					}
				}
			}
			if lines == 0 || strings.Contains(now, "https-443") || !strings.Contains(now, "192.0.2.12:30080") ||
				!strings.Contains(now, "listener tcp-81") {
				t.Errorf("%s\nthen:\n%s", was, now)
			}
			if got := told(t, b); !strings.Contains(got, "LB0607") {
				t.Errorf("%q", got)
			}
			e.mu.Lock()
			e.calls = nil
			e.mu.Unlock()
			e.shut(false)
			move(t, b, nil, next)
			n := slices.IndexFunc(e.calls, func(c string) bool { return strings.HasPrefix(c, "DELETE listeners/") })
			if n < 0 || len(e.calls) < n+2 || e.calls[n+1] != "POST listeners" {
				t.Errorf("%q", e.calls)
			}
			if now = e.text(); !strings.Contains(now, "listener https-443") || strings.Contains(now, "listener "+
				strings.ToLower(string(before))+"-443") || strings.Contains(now, "example") || strings.Contains(told(t, b), "!") {
				t.Errorf("%q\n%s", told(t, b), now)
			}
		})
	}
}

// TestProtocolRefused: the same where Octavia cannot read the certificate, also of one who shares.
func TestProtocolRefused(t *testing.T) {
	for _, share := range []string{"", "default/edge"} {
		synctest.Test(t, func(t *testing.T) {
			e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
			s.renew("a")
			b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
			first, second := sharer("a", 443), sharer("b", 82)
			first.Share = share
			move(t, b, nil, first, second)
			before, bad := e.text(), true
			e.refuse = func(_, path, body string) (int, string) {
				if bad && path == "listeners" && strings.Contains(body, "https-443") {
					return http.StatusBadRequest, `{"faultstring":"Could not retrieve certificate"}`
				}
				return 0, ""
			}
			first = secret(first, s)
			move(t, b, nil, first, second)
			if got := e.text(); !strings.Contains(got, "listener tcp-443 ,default/a default=tcp-443") {
				t.Errorf("%s\nthen:\n%s", before, got)
			}
			if got := told(t, b); strings.Count(got, "LB0601") != 1 || !strings.Contains(got, " LB0601 b=") {
				t.Errorf("%q", got)
			}
			e.mu.Lock()
			bad = false
			e.mu.Unlock()
			move(t, b, nil, first, second)
			if got := e.text(); !strings.Contains(got, "listener https-443") || strings.Contains(got, "tcp-443") ||
				strings.Contains(told(t, b), "LB0601") || !b.Settled() {
				t.Errorf("%q\n%s", told(t, b), got)
			}
		})
	}
}

// TestShareProtocolWithoutCertificate: of a common port that is to become one of HTTPS, what those have goes with them
// who leave it meanwhile.
func TestShareProtocolWithoutCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("a")
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		first, second := web(sharer("a", 443), "a.example"), web(sharer("b", 443), "b.example")
		move(t, b, everybody, first, second, sharer("c", 82))
		e.shut(true)
		first = secret(web(sharer("a", 443), "a.example"), s)
		move(t, b, everybody, first, sharer("c", 83))
		text := e.text()
		if !strings.Contains(text, "listener http-443") || !strings.Contains(text, `a\.example`) ||
			strings.Contains(text, `b\.example`) || strings.Contains(text, "default/b") || !strings.Contains(text, "listener tcp-83") ||
			!b.Released(second.Origin.Key) {
			t.Errorf("%s", text)
		}
		if got := told(t, b); !strings.Contains(got, "a=198.51.100.2! LB0607 c=198.51.100.2") || strings.HasSuffix(got, "!") {
			t.Errorf("%q", got)
		}
		e.shut(false)
		move(t, b, everybody, first, sharer("c", 83))
		if text = e.text(); !strings.Contains(text, "listener https-443") || strings.Contains(text, "listener http-443") ||
			strings.Contains(told(t, b), "!") || !b.Settled() {
			t.Errorf("%q\n%s", told(t, b), text)
		}
	})
}

// TestShareNewPortLacks: a new common port of HTTPS is made as soon as the certificate of the oldest is to be had; who
// lacks one is told so, and nobody else.
func TestShareNewPortLacks(t *testing.T) {
	for _, lost := range []struct {
		name, shown, told string
		status            int
	}{
		{"b", "a", "a=198.51.100.2 b=198.51.100.2! LB0607 c=198.51.100.2", http.StatusServiceUnavailable},
		{"b", "a", "a=198.51.100.2 b=198.51.100.2! LB0603 c=198.51.100.2", http.StatusForbidden},
		{"a", "", "a=198.51.100.2! LB0607 b=198.51.100.2! c=198.51.100.2", http.StatusServiceUnavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
			s.renew("a")
			s.renew("b")
			pem := partsOf(s.pairs[named(lost.name, 1).Origin.Key].PEM)[partKey]
			bad := true
			e.barbican.deny = func(method, _, body string) (int, string) {
				text, _ := encodeText(pem)
				if bad && method == http.MethodPost && strings.Contains(body, text) {
					return lost.status, "{}"
				}
				return 0, ""
			}
			b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
			at := func(name string) lb.LoadBalancer { return secret(web(sharer(name, 443), name+".example"), s) }
			want := []lb.LoadBalancer{at("a"), at("b"), sharer("c", 82)}
			move(t, b, nil, want...)
			if got := strings.Join(e.certified(s, "https-443"), " "); got != lost.shown || told(t, b) != lost.told {
				t.Errorf("%s: %q, %q\n%s", lost.name, got, told(t, b), e.text())
			}
			e.mu.Lock()
			bad = false
			e.mu.Unlock()
			move(t, b, nil, want...)
			if got := e.certified(s, "https-443"); !slices.Equal(got, []string{"a", "b"}) || !b.Settled() ||
				told(t, b) != "a=198.51.100.2 b=198.51.100.2 c=198.51.100.2" || e.barbican.made < 6 {
				t.Errorf("%s: %q, %q\n%s", lost.name, got, told(t, b), e.text())
			}
		})
	}
}

// TestShareRenewalLacks: who has a certificate and waits for the next one is ready all the while.
func TestShareRenewalLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("a")
		s.renew("b")
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		at := func(name string) lb.LoadBalancer { return secret(web(sharer(name, 443), name+".example"), s) }
		move(t, b, nil, at("a"), at("b"))
		e.shut(true)
		s.renew("b")
		want := []lb.LoadBalancer{at("a"), at("b")}
		apply(t, b, want...)
		time.Sleep(20 * time.Second)
		if got := told(t, b); got != "a=198.51.100.2 b=198.51.100.2" {
			t.Errorf("at once: %q", got)
		}
		move(t, b, nil, want...)
		if got := told(t, b); got != "a=198.51.100.2 b=198.51.100.2 LB0607" {
			t.Errorf("then: %q", got)
		}
	})
}
