package octavia

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TestShareBegin: who comes to share a load balancer that does not serve yet, be it that this is in ERROR or that Octavia
// refuses what is wanted of it, is served by its own with its floating IP until it does, also after a start.
func TestShareBegin(t *testing.T) {
	for _, fault := range []string{"ERROR", "refused"} {
		for _, before := range [][]lb.LoadBalancer{
			{named("a", 80), sharer("b", 81)}, {named("b", 81), sharer("a", 80)}, {named("a", 80), named("b", 81)},
		} {
			if fault == "ERROR" && before[1].Share == "" {
				continue // there is no shared one yet
			}
			synctest.Test(t, func(t *testing.T) { begins(t, fault, before) })
		}
	}
}

func begins(t *testing.T, fault string, before []lb.LoadBalancer) {
	t.Helper()
	e := &estate{neutron: &fakeNeutron{}}
	bad := false
	e.refuse = func(method, path, _ string) (int, string) {
		if bad && method == http.MethodPost && path == "listeners" {
			return http.StatusBadRequest, `{"faultstring":"no such listener"}`
		}
		return 0, ""
	}
	b, stop := e.begin(t, afloat)
	move(t, b, everybody, before...)
	ips := e.neutron.String()
	set := func(on bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		bad = on && fault == "refused"
		for _, l := range e.lbs {
			if fault == "ERROR" && strings.Contains(l.Name, "shared") {
				l.Provisioning = map[bool]string{true: statusError, false: statusActive}[on]
				l.Updated = e.id("at")
			}
		}
	}
	set(true)
	want := []lb.LoadBalancer{sharer("a", 80), sharer("b", 81)}
	for range 2 {
		move(t, b, everybody, want...)
		if text := e.text(); len(e.lbs) != 2 || e.neutron.String() != ips || len(b.Orphans()) > 0 ||
			!strings.Contains(text, "tcp-80") || !strings.Contains(text, "tcp-81") {
			t.Fatalf("%s: %+v, %s\n%s", fault, b.Orphans(), e.neutron, text)
		}
		stop()
		b, stop = e.begin(t, afloat)
	}
	set(false)
	move(t, b, everybody, want...)
	if got := told(t, b); len(e.lbs) != 1 || len(e.neutron.ips) != 1 || strings.Contains(got, "!") ||
		strings.Count(got, "="+e.neutron.ips[0].Address) != 2 || !b.Settled() {
		t.Errorf("%s, over: %q %s\n%s", fault, got, e.neutron, e.text())
	}
}

// TestShareBeginTold: until then the object is told the address that serves it, and why it is not the common one; then
// somebody is told to look again.
func TestShareBeginTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		changes, bad := 0, true
		e.refuse = func(method, path, _ string) (int, string) {
			if bad && method == http.MethodPost && path == "listeners" {
				return http.StatusBadRequest, `{"faultstring":"no such listener"}`
			}
			return 0, ""
		}
		b, _ := e.begin(t, func(o *Options) { o.ListEvery, o.Changed = time.Hour, func() { changes++ } })
		apply(t, b, named("a", 80), sharer("b", 81))
		time.Sleep(time.Minute)
		before := told(t, b)
		apply(t, b, sharer("a", 80), sharer("b", 81))
		time.Sleep(time.Minute)
		if got := told(t, b); len(e.lbs) != 2 || got != strings.Replace(before, " b", " LB0601 b", 1) {
			t.Errorf("%q, then %q", before, got)
		}
		e.mu.Lock()
		bad = false
		e.mu.Unlock()
		old := changes
		time.Sleep(time.Minute)
		if changes == old {
			t.Error("nobody is told")
		}
		apply(t, b, sharer("a", 80), sharer("b", 81))
		time.Sleep(time.Minute)
		if len(e.lbs) != 1 || strings.Contains(told(t, b), "!") {
			t.Errorf("%q\n%s", told(t, b), e.text())
		}
	})
}
