package octavia_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// ports names the site's listeners.
func (s *site) ports() string {
	s.t.Helper()
	return strings.Join(s.query("select i.name from listener i join load_balancer l on i.load_balancer_id=l.id where "+s.mine()+
		" order by i.name"), " ")
}

// refused reports whether Octavia is said to refuse what the object wants.
func (s *site) refused(l lb.LoadBalancer) bool {
	return slices.ContainsFunc(s.healths()[l.Origin.Key].Findings, func(f lb.Finding) bool {
		return f.Code == lb.CodeCloudRefused
	})
}

// nowhere is a container that is not there.
const nowhere = "http://127.0.0.1:9311/v1/containers/11111111-2222-4333-8444-555555555555"

// TestProtocolKept has a port of TCP become one of HTTPS while Barbican is away, and then with a certificate that Octavia
// cannot read: it serves on as it is and all else goes on, until there is one that is good.
func TestProtocolKept(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	before := web("web", 1, 443)
	s.apply(before)
	s.ready(before)
	s.settled()

	secrets.renew(t, "one")
	beside := func() lb.LoadBalancer {
		l := secrets.https("web", 1, "one")
		l.Listeners = append(l.Listeners, web("web", 1, 81).Listeners...)
		return l
	}
	s.gate.Break(lab.Fault{KeyManager: true, Status: http.StatusServiceUnavailable})
	l := beside()
	s.apply(l)
	s.until("the other port", func() bool { return s.ports() == "tcp-443 tcp-81" })
	s.gate.Reset()
	l = beside()
	l.Cloud.Certificates = []string{nowhere}
	s.apply(l)
	text := s.finding(l, lb.CodeCloudRefused)
	if got := s.ports(); got != "tcp-443 tcp-81" || !strings.Contains(text, "Could not retrieve certificate") {
		t.Errorf("%s: %s", got, text)
	}
	for _, c := range s.gate.Calls() {
		if c.Method == http.MethodDelete && strings.Contains(c.Path, "/listeners/") {
			t.Errorf("%s", c)
		}
	}
	s.gate.Mend()
	l = beside()
	s.apply(l)
	s.until("HTTPS", func() bool { return s.ports() == "https-443 tcp-81" })
	s.ready(l)
	s.until("one certificate in Barbican", func() bool {
		containers, secrets := s.vault()
		return len(containers) == 1 && secrets == 2
	})
}

// TestShareCertificateBlame has three objects share a port of HTTPS. The certificate of the second is not taken by
// Octavia, so that it is told so, and the youngest is served all the same.
func TestShareCertificateBlame(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	for _, name := range []string{"a", "c"} {
		secrets.renew(t, name)
	}
	secrets.put(t, "b", certtest.Make(t, certtest.Options{Names: []string{"b.example"}}))
	at := func(name string, age time.Duration) lb.LoadBalancer {
		l := sharer(name, name+".example", 443, age)
		l.Listeners[0].TLS = secrets.https(name, 1, name).Listeners[0].TLS
		return l
	}
	a, b, c := at("a", 3*time.Hour), at("b", 2*time.Hour), at("c", time.Hour)
	s.apply(a)
	s.ready(a)
	s.settled()
	s.apply(a, b, c)
	if text := s.finding(b, lb.CodeCloudRefused); !strings.Contains(text, "wants a common name in it") {
		t.Error(text)
	}
	// A token that ends while Octavia fetches makes it refuse the others for once, too.
	s.until("the youngest's certificate", func() bool {
		return len(s.shown()) == 2 && !s.refused(a) && !s.refused(c) && s.refused(b)
	})
	s.ready(a, c)
	secrets.renew(t, "b")
	b = at("b", 2*time.Hour)
	s.apply(a, b, c)
	s.until("all certificates", func() bool { return len(s.shown()) == 3 })
	s.ready(a, b, c)
	s.holds(6)
}

// TestShareCertificateLacks: a new common port of HTTPS is made with the certificate of the oldest while Barbican does not
// take that of the other one, which alone is told so.
func TestShareCertificateLacks(t *testing.T) {
	t.Parallel()
	s, secrets := newSafe(t)
	secrets.renew(t, "a")
	secrets.renew(t, "b")
	at := func(name string, age time.Duration) lb.LoadBalancer {
		l := sharer(name, name+".example", 443, age)
		l.Listeners[0].TLS = secrets.https(name, 1, name).Listeners[0].TLS
		return l
	}
	a, b := at("a", 2*time.Hour), at("b", time.Hour)
	s.gate.Break(lab.Fault{KeyManager: true, Writes: true, After: 3, Status: http.StatusForbidden}) // two secrets, a container
	s.apply(a, b)
	s.until("the port", func() bool { return len(s.shown()) == 1 })
	s.finding(b, lb.CodeCloudDenied)
	s.ready(a)
	if fs := s.healths()[a.Origin.Key].Findings; slices.ContainsFunc(fs, func(f lb.Finding) bool {
		return f.Code == lb.CodeCloudDenied
	}) {
		t.Errorf("%v", fs)
	}
	s.gate.Mend()
	s.until("both certificates", func() bool { return len(s.shown()) == 2 })
	s.ready(a, b)
	s.holds(4)
}
