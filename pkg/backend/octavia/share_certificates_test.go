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

// secret makes a sharer's port one of HTTPS, with the certificate of the Secret of its name.
func secret(l lb.LoadBalancer, s *safe) lb.LoadBalancer {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &l.Listeners[0]
	x.Protocol = lb.HTTP
	x.TLS = &lb.TLS{Certificates: []lb.Certificate{{Secret: l.Origin.Name, Material: lb.Material{Name: "any",
		Digest: s.pairs[l.Origin.Key].Digest}}}}
	return l
}

// TestShareRefusalKeepsCertificate: the certificate of one who is refused does not come and go with each try.
func TestShareRefusalKeepsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("b")
		e.refuse = func(_, path, body string) (int, string) {
			if path == "listeners" && strings.Contains(body, "https-443") {
				return http.StatusBadRequest, `{"faultstring":"no"}`
			}
			return 0, ""
		}
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		move(t, b, nil, sharer("a", 80))
		move(t, b, nil, sharer("a", 80), secret(sharer("b", 443), s))
		time.Sleep(3 * time.Hour)
		if n := e.barbican.made; n != 3 || !strings.Contains(told(t, b), "LB0601") {
			t.Errorf("%d were made in Barbican, %q", n, told(t, b))
		}
		move(t, b, everybody, sharer("a", 80))
		if len(e.barbican.containers)+len(e.barbican.secrets) != 0 {
			t.Errorf("left: %+v", e.barbican.containers)
		}
	})
}

// TestShareCertificateMissing: a Secret of one of them that cannot be read keeps neither the others' load balancer from
// being made, nor their new certificates from coming, nor the floating IP from changing.
func TestShareCertificateMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}, neutron: &fakeNeutron{}}, newSafe(t)
		lost := named("a", 1).Origin.Key
		hide := func() (show func()) {
			s.mu.Lock()
			defer s.mu.Unlock()
			kept := s.pairs[lost]
			delete(s.pairs, lost)
			return func() { s.mu.Lock(); defer s.mu.Unlock(); s.pairs[lost] = kept }
		}
		network := ""
		all := func() (all []lb.LoadBalancer) {
			all = []lb.LoadBalancer{secret(sharer("a", 443), s), secret(sharer("b", 8443), s), sharer("c", 82)}
			for i := range all {
				all[i].Cloud.FloatingNetwork = network
			}
			return all
		}
		shown := func() string {
			e.mu.Lock()
			defer e.mu.Unlock()
			var words []string
			for _, l := range e.lbs[0].listeners {
				words = append(words, l.Name+"="+e.barbican.payload(l.Certificate, partCertificate))
			}
			return strings.Join(sorted(words), " ")
		}
		b, _ := e.begin(t, afloat, func(o *Options) { o.KeyPairs = s.read })
		s.renew("a")
		old := partsOf(s.renew("b").PEM)[partCertificate]
		want := all()
		show := hide()
		move(t, b, nil, want...)
		text := e.text()
		if strings.Contains(text, "listener https-443") || !strings.Contains(text, "listener https-8443") ||
			!strings.Contains(text, "listener tcp-82") {
			t.Fatal(text)
		}
		show()
		move(t, b, nil, want...)
		before := shown()
		if strings.Contains(told(t, b), "!") || !strings.Contains(before, "https-443=-----BEGIN") {
			t.Errorf("%q, %s", told(t, b), before)
		}
		s.renew("a")
		fresh := partsOf(s.renew("b").PEM)[partCertificate]
		network = "other"
		want = all()
		show = hide()
		move(t, b, nil, want...)
		if got := shown(); got != strings.Replace(before, old, fresh, 1) || got == before {
			t.Errorf("%s\nbefore: %s", got, before)
		}
		if got := told(t, b); !strings.Contains(got, "c=203.0.113.2") {
			t.Errorf("%q, %s", got, e.neutron)
		}
		show()
		move(t, b, nil, want...)
		if strings.Contains(told(t, b), "!") || len(e.barbican.containers) != 2 || len(e.lbs) != 1 {
			t.Errorf("%q, %+v", told(t, b), e.barbican.containers)
		}
	})
}

// TestShareCreateWithoutCertificate: where all at once is refused, one whose certificate is not to be had is passed over
// when they are tried one after the other.
func TestShareCreateWithoutCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		s.renew("a")
		e.refuse = func(_, _, body string) (int, string) {
			if strings.Contains(body, `"192.0.2.98"`) {
				return http.StatusBadRequest, `{"faultstring":"no such member"}`
			}
			return 0, ""
		}
		want := []lb.LoadBalancer{secret(sharer("a", 443), s), sharer("b", 81), sharer("c", 82)}
		delete(s.pairs, want[0].Origin.Key)
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		move(t, b, nil, want...)
		if got := e.text(); !strings.Contains(got, "listener tcp-82") || strings.Contains(got, "listener https") {
			t.Errorf("%q\n%s", told(t, b), got)
		}
	})
}

// TestShareCertificateBesideMissing: at a common port, the certificate of one who comes does not wait for that of another
// one, and that one keeps what it has.
func TestShareCertificateBesideMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
		b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
		at := func(name string) lb.LoadBalancer { return secret(web(sharer(name, 443), name+".example"), s) }
		shown := func() (refs []string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			l := e.lbs[0].listeners[0]
			return append([]string{l.Certificate}, l.Certificates...)
		}
		s.renew("a")
		move(t, b, nil, at("a"))
		before := shown()
		s.renew("a")
		first := at("a")
		kept := s.pairs[first.Origin.Key]
		delete(s.pairs, first.Origin.Key)
		pem := string(s.renew("b").PEM)
		second := at("b")
		move(t, b, nil, first, second)
		got := shown()
		if len(got) != 2 || got[0] != before[0] || e.barbican.payload(got[1], partCertificate)+
			e.barbican.payload(got[1], partKey) != pem {
			t.Errorf("%v before, then %v", before, got)
		}
		s.mu.Lock()
		s.pairs[first.Origin.Key] = kept
		s.mu.Unlock()
		move(t, b, nil, first, second)
		if got := shown(); len(got) != 2 || slices.Contains(got, before[0]) || len(e.barbican.containers) != 2 {
			t.Errorf("%v before, in the end %v", before, got)
		}
	})
}
