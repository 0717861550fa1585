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

// TestShareRefusalStays: what one is told who is refused stays for as long as it is so, whatever Octavia is at while it is
// tried again, and whatever the others want.
func TestShareRefusalStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		bad := true
		e.refuse = func(method, path, body string) (int, string) {
			if bad && method == http.MethodPost && path == "listeners" &&
				(strings.Contains(body, "tcp-81") || strings.Contains(body, "tcp-82")) {
				return http.StatusBadRequest, `{"faultstring":"no"}`
			}
			return 0, ""
		}
		var b *Backend
		gone, watching := 0, false
		b, _ = e.begin(t, func(o *Options) {
			o.Changed = func() {
				if watching && strings.Count(told(t, b), "LB0601") != 2 {
					gone++
				}
			}
		})
		want := []lb.LoadBalancer{sharer("a", 80), sharer("b", 81), sharer("c", 82)}
		move(t, b, nil, want[0])
		move(t, b, nil, want...)
		watching = true
		for n := range 300 {
			switch n {
			case 50:
				e.mu.Lock()
				e.lbs[0].Provisioning, e.lbs[0].ready = "PENDING_UPDATE", time.Now().Add(time.Minute)
				e.mu.Unlock()
			case 150:
				want[0] = sharer("a", 79)
				apply(t, b, want...)
			}
			if strings.Count(told(t, b), "LB0601") != 2 {
				gone++
			}
			time.Sleep(time.Second)
		}
		if watching = false; gone > 0 || !strings.Contains(e.text(), "tcp-79") {
			t.Errorf("%d times nobody was told: %q", gone, told(t, b))
		}
		e.mu.Lock()
		bad = false
		e.mu.Unlock()
		time.Sleep(time.Minute)
		if got := told(t, b); strings.Contains(got, "LB0601") || !strings.Contains(e.text(), "tcp-82") || !b.Settled() {
			t.Errorf("%q\n%s", got, e.text())
		}
	})
}

// TestShareBlame: who of several at a common port is told that Octavia does not take a certificate, or a route, is the one
// whose that is. Where Octavia does not say whose, the others are there after another try.
func TestShareBlame(t *testing.T) {
	for _, x := range []struct {
		name, bad string
		names     bool
	}{
		{"the youngest, named", "c", true}, {"the one in the middle, named", "b", true}, {"the oldest, named", "a", true},
		{"the youngest", "c", false}, {"the one in the middle", "b", false}, {"the oldest", "a", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { blames(t, x.bad, x.names) })
		})
	}
}

// blames has the others served before, and then the bad one's certificate come, anew or as another one.
func blames(t *testing.T, bad string, names bool) {
	t.Helper()
	e, s := &estate{barbican: &fakeBarbican{}}, newSafe(t)
	at := func(name string) lb.LoadBalancer { return secret(web(sharer(name, 443), name+".example"), s) }
	for _, name := range everybody {
		s.renew(name)
	}
	b, _ := e.begin(t, func(o *Options) { o.KeyPairs = s.read })
	before := []lb.LoadBalancer{at("a")}
	if bad == "a" {
		before = append(before, at("b"))
	}
	move(t, b, nil, before...)
	s.renew(bad)
	certificate := partsOf(s.pairs[named(bad, 1).Origin.Key].PEM)[partCertificate]
	e.refuse = func(_, path, body string) (int, string) {
		for _, c := range e.barbican.containers {
			if strings.HasPrefix(path, "listeners") && strings.Contains(body, `"`+c.Ref+`"`) &&
				e.barbican.payload(c.Ref, partCertificate) == certificate {
				text := map[bool]string{true: "Could not retrieve certificate: ['" + c.Ref + "']", false: "no"}[names]
				return http.StatusBadRequest, `{"faultstring":"` + text + `"}`
			}
		}
		return 0, ""
	}
	want := []lb.LoadBalancer{at("a"), at("b"), at("c")}
	apply(t, b, want...)
	time.Sleep(20 * time.Second)
	if got := told(t, b); names && (strings.Count(got, "LB0601") != 1 || !strings.Contains(got, bad+"=198.51.100.2 LB0601")) {
		t.Errorf("at once: %q", got)
	}
	move(t, b, nil, want...)
	if got := told(t, b); strings.Count(got, "LB0601") != 1 || !strings.Contains(got, bad+"=198.51.100.2 LB0601") {
		t.Errorf("%q\n%s", got, e.text())
	}
	for _, name := range everybody {
		if name != bad && !slices.Contains(e.certified(s, "https-443"), name) {
			t.Errorf("%s is not served: %q", name, e.certified(s, "https-443"))
		}
	}
}

// TestShareBlameRoute: of two at a common port the younger is told that its route is refused.
func TestShareBlameRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		e.refuse = func(method, path, body string) (int, string) {
			if method == http.MethodPost && strings.HasSuffix(path, "/rules") && strings.Contains(body, "b.") {
				return http.StatusBadRequest, `{"faultstring":"no"}`
			}
			return 0, ""
		}
		b, _ := e.begin(t)
		move(t, b, nil, web(sharer("a", 80), "a.example"))
		move(t, b, nil, web(sharer("a", 80), "a.example"), web(sharer("b", 80), "b.example"))
		if got := told(t, b); got != "a=198.51.100.2 b=198.51.100.2 LB0601" {
			t.Errorf("%q\n%s", got, e.text())
		}
	})
}
