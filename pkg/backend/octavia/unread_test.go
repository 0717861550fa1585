package octavia

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// restart starts another backend, which knows nothing, and brings it to what is wanted.
func (e *estate) restart(t *testing.T, stop func(), want []lb.LoadBalancer, change ...func(*Options)) (*Backend, func()) {
	t.Helper()
	stop()
	b, next := e.begin(t, change...)
	move(t, b, everybody, want...)
	return b, next
}

// TestShareDeserted: who leaves a port for good takes its policies with it, although another one has its own there whose
// wish nobody knows.
func TestShareDeserted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, stop := e.begin(t)
		a, other := web(sharer("a", 80), "a.example"), web(sharer("b", 80), "b.example")
		move(t, b, everybody, a, other, sharer("c", 82))
		b, _ = e.restart(t, stop, []lb.LoadBalancer{unread(web(sharer("a", 80), "a.example")), sharer("c", 82)})
		if got := e.text(); strings.Contains(got, "b.example") || strings.Count(got, "a.example") != 2 || len(e.lbs[0].pools) != 3 ||
			!b.Released(other.Origin.Key) {
			t.Errorf("%s", got)
		}
		move(t, b, everybody, a, sharer("c", 82))
		if got := e.text(); strings.Contains(got, "default/b") || strings.Contains(got, "uid-b") || !b.Settled() {
			t.Errorf("%s", got)
		}
	})
}

// TestShareSpared: a load balancer that nobody is known to share stays for as long as somebody may do so, and is found
// again. Who has gone meanwhile is not in it any more then.
func TestShareSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, stop := e.begin(t)
		move(t, b, everybody, sharer("a", 80), sharer("b", 81))
		before, id := e.text(), e.lbs[0].ID
		b, _ = e.restart(t, stop, []lb.LoadBalancer{unread(named("b", 81))})
		if b.Released(named("a", 1).Origin.Key) || e.text() != before || !strings.Contains(told(t, b), "a=!") {
			t.Errorf("%q\n%s", told(t, b), e.text())
		}
		move(t, b, everybody, sharer("b", 81))
		if len(e.lbs) != 1 || e.lbs[0].ID != id || strings.Contains(e.text(), "tcp-80") || !b.Released(named("a", 1).Origin.Key) {
			t.Errorf("%s", e.text())
		}
	})
}

// TestShareUnreadFloating: where nobody knows any sharer's wish, the floating IP that only an object asks for stays; which one that is is open, as where nobody shares.
func TestShareUnreadFloating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{neutron: &fakeNeutron{}}
		b, stop := e.begin(t)
		a, other := sharer("a", 80), sharer("b", 81)
		a.Cloud.FloatingNetwork, other.Cloud.FloatingNetwork = "public", "public"
		move(t, b, everybody, a, other)
		before := e.neutron.String()
		b, _ = e.restart(t, stop, []lb.LoadBalancer{unread(sharer("a", 80)), unread(sharer("b", 81))})
		if got := e.neutron.String(); got != before || got == "" || told(t, b) != "a= b=" {
			t.Errorf("%q, %q", got, told(t, b))
		}
	})
}

// TestShareHandOver: a host that goes from one to another is that one's from then on.
func TestShareHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh, e := &estate{}, &estate{}
		first, _ := fresh.begin(t)
		move(t, first, everybody, web(sharer("a", 80), "b.example"), web(sharer("b", 80), "a.example"))
		b, stop := e.begin(t)
		move(t, b, everybody, web(sharer("a", 80), "a.example"), web(sharer("b", 80), "b.example"))
		move(t, b, everybody, web(sharer("a", 80), "b.example"), web(sharer("b", 80), "a.example"))
		if d := cmp.Diff(fresh.text(), e.text()); d != "" {
			t.Error(d)
		}
		e.restart(t, stop, []lb.LoadBalancer{web(sharer("a", 80), "b.example"), unread(sharer("b", 80))})
		if d := cmp.Diff(fresh.text(), e.text()); d != "" {
			t.Error(d)
		}
	})
}

// TestShareOrder: what one adds comes after the hosts of another one whose wish nobody knows, as it would if somebody
// did.
func TestShareOrder(t *testing.T) {
	rest := func() lb.LoadBalancer {
		l := web(sharer("b", 80), "")
		l.Listeners[0].Routes = append(l.Listeners[0].Routes, lb.Route{Path: "/all", Target: l.Listeners[0].Routes[0].Target})
		return l
	}
	synctest.Test(t, func(t *testing.T) {
		want, e := &estate{}, &estate{}
		b, _ := want.begin(t)
		move(t, b, everybody, web(sharer("a", 80), "*.example"), rest())
		b, stop := e.begin(t)
		move(t, b, everybody, web(sharer("a", 80), "*.example"), web(sharer("b", 80), ""))
		e.restart(t, stop, []lb.LoadBalancer{unread(sharer("a", 80)), rest()})
		if d := cmp.Diff(want.text(), e.text()); d != "" {
			t.Error(d)
		}
	})
}

// TestShareWithoutList: who begins to share is found to have a load balancer also where no list is due.
func TestShareWithoutList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, _ := e.begin(t, func(o *Options) { o.ListEvery = time.Hour })
		apply(t, b, named("a", 80))
		time.Sleep(time.Minute)
		address := e.lbs[0].Address
		apply(t, b, sharer("a", 80), sharer("b", 81))
		time.Sleep(time.Minute)
		if got := told(t, b); strings.Count(got, address) != 2 || len(e.lbs) != 1 {
			t.Errorf("%q\n%s", got, e.text())
		}
	})
}
