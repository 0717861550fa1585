package octavia

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// named is an object of a TCP port, the older the earlier its name is in the alphabet.
func named(name string, port uint16) lb.LoadBalancer {
	l := tcp(port, fmt.Sprintf("192.0.2.%d:30080", name[0]))
	l.Origin = origin("default", name)
	l.Origin.UID = "uid-" + name
	l.Origin.Created = time.Date(2026, 1, 1, int(name[0]-'a'), 0, 0, 0, time.UTC)
	return l
}

// sharer is one that shares.
func sharer(name string, port uint16) lb.LoadBalancer {
	l := named(name, port)
	l.Share = "default/edge"
	return l
}

// web makes it one of HTTP, of a host and below a path of it.
func web(l lb.LoadBalancer, host string) lb.LoadBalancer {
	x := &l.Listeners[0]
	x.Protocol = lb.HTTP
	t := x.Routes[0].Target
	x.Routes = []lb.Route{{Host: host, Target: t}}
	if host != "" {
		x.Routes = append(x.Routes, lb.Route{Host: host, Path: "/deep", Target: t})
	}
	return l
}

// unread is one whose keys cannot be read, as it is after a start.
func unread(l lb.LoadBalancer) lb.LoadBalancer {
	l.Listeners = nil
	return l
}

// move brings a backend to what is wanted, as passes do; what is not there is released.
func move(t *testing.T, b *Backend, all []string, want ...lb.LoadBalancer) {
	t.Helper()
	for range 3 {
		apply(t, b, want...)
		for _, name := range all {
			if !slices.ContainsFunc(want, func(l lb.LoadBalancer) bool { return l.Origin.Name == name }) {
				b.Release([]lb.Origin{named(name, 1).Origin})
			}
		}
		time.Sleep(time.Minute)
	}
}

// told returns the addresses that objects have been told, and who is ready: "a=198.51.100.1 b=198.51.100.1!".
func told(t *testing.T, b *Backend) string {
	t.Helper()
	s, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for key, h := range s.Health {
		text := key.Name + "="
		for _, l := range s.LoadBalancers {
			if l.Origin.Key == key {
				text += l.VIPs[0].String()
			}
		}
		if !h.Ready {
			text += "!"
		}
		for _, c := range codes(h.Findings) {
			text += " " + string(c)
		}
		all = append(all, text)
	}
	return strings.Join(sorted(all), " ")
}

// lives are what objects a, b and c go through together.
func lives() [][]lb.LoadBalancer {
	return [][]lb.LoadBalancer{
		{named("a", 80), named("b", 81)},
		{sharer("a", 80), sharer("b", 81)},
		{sharer("a", 80), sharer("b", 81), sharer("c", 82)},
		{web(sharer("a", 80), "a.example"), web(sharer("b", 80), ""), web(sharer("c", 80), "*.example")},
		{web(sharer("b", 80), ""), web(sharer("c", 80), "*.example")},
		{named("b", 81), web(sharer("c", 80), "*.example")},
		{named("b", 81), sharer("a", 80)},
		{named("b", 81), named("a", 80)},
		{},
	}
}

var everybody = []string{"a", "b", "c"}

// TestShareLife leads three objects through sharing: the load balancer, which was made for the oldest alone, stays with
// its address for as long as somebody shares it, and goes with the last one.
func TestShareLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, _ := e.begin(t)
		address := ""
		for i, want := range lives() {
			move(t, b, everybody, want...)
			if i == 0 {
				n := slices.IndexFunc(e.lbs, func(l *estateLB) bool { return l.Name == "default-a-loadbalancer" })
				if len(e.lbs) != 2 || n < 0 {
					t.Fatal(e.text())
				}
				address = e.lbs[n].Address
				continue
			}
			if !b.Settled() {
				t.Errorf("%d is not done:\n%s", i, e.text())
			}
			switch i {
			case 1, 2, 3, 4:
				if len(e.lbs) != 1 || e.lbs[0].Address != address || strings.Contains(told(t, b), "!") ||
					strings.Count(told(t, b), address) != len(want) {
					t.Errorf("%d: %q\n%s", i, told(t, b), e.text())
				}
			case 5, 6, 7:
				if len(e.lbs) != 2 || strings.Contains(told(t, b), "!") {
					t.Errorf("%d: %q\n%s", i, told(t, b), e.text())
				}
			case 8:
				if len(e.lbs) != 0 || len(b.engine.items) != 0 {
					t.Errorf("left:\n%s", e.text())
				}
				for _, name := range everybody {
					if !b.Released(named(name, 1).Origin.Key) {
						t.Errorf("%s is not released", name)
					}
				}
			}
		}
	})
}

// TestShareKilled kills the backend at each of its calls that change something, all through the life of three objects:
// before the call is done, after it, and so that it comes through when the next backend is there. That one knows
// nothing, goes on, and gets at the same as one undisturbed.
func TestShareKilled(t *testing.T) {
	var whole []string
	writes := 0
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, _ := e.begin(t)
		for _, want := range lives() {
			move(t, b, everybody, want...)
			whole = append(whole, e.text())
		}
		writes = e.writes
	})
	if writes < 30 {
		t.Fatalf("only %d calls that change something; the test is blind", writes)
	}
	for n := 1; n <= writes; n++ {
		for _, way := range []string{"never done", "done", "late"} {
			synctest.Test(t, func(t *testing.T) { killed(t, n, way, whole) })
		}
	}
}

// killed lives through it with a kill at one call, and compares what there is after each step.
func killed(t *testing.T, n int, way string, whole []string) {
	t.Helper()
	e := &estate{}
	b, stop := e.begin(t)
	killed := false
	e.cut = func(i int, done bool) bool {
		if killed || i != n || done != (way == "done") {
			return false
		}
		killed = true
		stop()
		return true
	}
	for i, want := range lives() {
		before := killed
		move(t, b, everybody, want...)
		if killed != before {
			b, _ = e.begin(t)
			if way == "late" {
				time.AfterFunc(3*time.Second, func() {
					e.mu.Lock()
					defer e.mu.Unlock()
					e.late()
				})
			}
			move(t, b, everybody, want...)
		}
		if d := cmp.Diff(whole[i], e.text()); d != "" {
			t.Fatalf("killed at %d, %s, step %d: %s\n%v", n, way, i, d, e.calls)
		}
		if o := b.Orphans(); len(o) > 0 {
			t.Errorf("killed at %d, %s, step %d: orphans %+v", n, way, i, o)
		}
	}
}

// TestShareOwnerUnreadable: after a start, what there is of those whose keys cannot be read stays as it is, whatever the
// others do, and nobody takes their ports. The oldest is no exception.
func TestShareOwnerUnreadable(t *testing.T) {
	for _, share := range []string{"default/edge", ""} {
		synctest.Test(t, func(t *testing.T) {
			e := &estate{}
			b, stop := e.begin(t)
			a, third := web(sharer("a", 80), "a.example"), sharer("c", 82)
			move(t, b, everybody, a, web(sharer("b", 80), ""), third)
			before, address := e.text(), e.lbs[0].Address
			stop()
			b, stop = e.begin(t)
			silent := unread(a)
			silent.Share = share
			move(t, b, everybody, silent, web(sharer("b", 80), ""), third)
			if d := cmp.Diff(before, e.text()); d != "" {
				t.Errorf("share %q: %s", share, d)
			}
			// All at once cannot be read, then one leaves.
			move(t, b, everybody, silent, unread(sharer("b", 80)), unread(third))
			if d := cmp.Diff(before, e.text()); d != "" {
				t.Errorf("share %q, all: %s", share, d)
			}
			stop()
			b, _ = e.begin(t)
			move(t, b, everybody, silent, unread(sharer("b", 80)))
			text := e.text()
			if share != "" && (strings.Contains(text, "tcp-82") || !b.Released(third.Origin.Key)) ||
				!strings.Contains(text, "http-80") || !strings.Contains(text, "a.example") {
				t.Errorf("share %q, one leaves:\n%s", share, text)
			}
			// Another one wants what is there of the first.
			move(t, b, everybody, silent, web(sharer("b", 80), ""), web(sharer("c", 80), "a.example"))
			if d := cmp.Diff(withoutPort82(before), e.text()); d != "" {
				t.Errorf("share %q, taken: %s", share, d)
			}
			s, err := b.State(t.Context())
			if h := s.Health[third.Origin.Key]; err != nil || !slices.Equal(codes(h.Findings), []lb.Code{lb.CodeAddressPortTaken}) {
				t.Errorf("share %q: %+v, %v", share, h, err)
			}
			move(t, b, everybody, a, web(sharer("b", 80), ""), third)
			if d := cmp.Diff(before, e.text()); d != "" || e.lbs[0].Address != address || len(e.lbs) != 1 {
				t.Errorf("share %q, right again: %s", share, d)
			}
		})
	}
}

func withoutPort82(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.Contains(line, "tcp-82") {
			lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(line, ",sharer=default/c", ""), ",uid=uid-c", ""))
		}
	}
	return strings.Join(lines, "\n")
}

// TestShareOrphans: nobody is told of a shared load balancer that somebody lives who shares it, nor is it deleted; it
// goes with the last one, also where all have gone while no controller ran.
func TestShareOrphans(t *testing.T) {
	for _, deletes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sweep := func(o *Options) { o.DeleteOrphans = deletes }
			e := &estate{}
			b, stop := e.begin(t, sweep)
			move(t, b, nil, sharer("a", 80), sharer("b", 81))
			before := e.text()
			for _, living := range [][]lb.LoadBalancer{
				{unread(sharer("a", 80)), unread(named("b", 81))}, {unread(named("a", 80)), unread(named("b", 81))},
			} {
				stop()
				b, stop = e.begin(t, sweep)
				move(t, b, nil, living...)
				if o := b.Orphans(); len(o) != 0 || e.text() != before {
					t.Errorf("%+v: %s", o, cmp.Diff(before, e.text()))
				}
			}
			stop()
			b, _ = e.begin(t, sweep)
			move(t, b, nil)
			if o := b.Orphans(); deletes != (len(e.lbs) == 0) || !deletes && (len(o) != 1 || len(o[0].Objects()) != 2) {
				t.Errorf("deletes %v: %+v\n%s", deletes, o, e.text())
			}
			move(t, b, everybody)
			if len(e.lbs) != 0 || len(b.Orphans()) != 0 || !b.Released(named("a", 1).Origin.Key) {
				t.Errorf("%+v\n%s", b.Orphans(), e.text())
			}
		})
	}
}

// TestShareRefusal: what Octavia refuses one of them does not keep the others waiting, and is that one's finding.
func TestShareRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		full := true
		e.refuse = func(method, _, body string) (int, string) {
			if full && method == http.MethodPost && strings.Contains(body, "tcp-81") {
				return http.StatusBadRequest, `{"faultstring":"no such subnet"}`
			}
			return 0, ""
		}
		b, _ := e.begin(t)
		move(t, b, everybody, sharer("a", 80), sharer("b", 81), sharer("c", 82))
		if got := told(t, b); strings.Count(got, "LB0601") != 1 || !strings.Contains(got, "b=198.51.100.2 LB0601") ||
			strings.Contains(got, "!") {
			t.Errorf("%q\n%s", got, e.text())
		}
		before := len(e.calls)
		time.Sleep(10 * time.Minute)
		if n := len(e.calls) - before; n > 21 || n == 0 {
			t.Errorf("%d tries in ten minutes", n)
		}
		e.mu.Lock()
		full = false
		e.mu.Unlock()
		time.Sleep(time.Minute)
		if got := told(t, b); strings.Contains(got, "LB0601") || !strings.Contains(e.text(), "tcp-81") {
			t.Errorf("%q\n%s", got, e.text())
		}
	})
}

// TestShareDrift: what somebody changes of a shared one is made right, whoever's it is, and one in ERROR is reported to
// all and not deleted.
func TestShareDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, _ := e.begin(t)
		want := []lb.LoadBalancer{sharer("a", 80), sharer("b", 81)}
		move(t, b, nil, want...)
		before, id := e.text(), e.lbs[0].ID
		e.mu.Lock()
		l := e.lbs[0]
		l.pools[1].Members, l.Updated = nil, "changed"
		l.listeners = l.listeners[:1]
		l.Tags = slices.DeleteFunc(slices.Clone(l.Tags), func(s string) bool { return strings.HasPrefix(s, tagSharer) })
		e.mu.Unlock()
		move(t, b, nil, want...)
		if d := cmp.Diff(before, e.text()); d != "" {
			t.Error(d)
		}
		e.mu.Lock()
		e.lbs[0].Provisioning, e.lbs[0].Updated = statusError, "broken"
		e.mu.Unlock()
		move(t, b, nil, want...)
		if got := told(t, b); strings.Count(got, "! LB0604") != 2 || len(e.lbs) != 1 || e.lbs[0].ID != id {
			t.Errorf("%q\n%s", got, e.text())
		}
		e.mu.Lock()
		e.lbs = nil
		e.mu.Unlock()
		move(t, b, nil, want...)
		if d := cmp.Diff(before, e.text()); d != "" || strings.Contains(told(t, b), "!") {
			t.Errorf("%q: %s", told(t, b), d)
		}
	})
}

// TestShareCreateRefused: a load balancer that Octavia refuses to make for all, since it refuses one of them, is made for
// the others.
func TestShareCreateRefused(t *testing.T) {
	for _, bad := range []string{"a", "b"} {
		synctest.Test(t, func(t *testing.T) {
			e := &estate{}
			e.refuse = func(method, _, body string) (int, string) {
				if method == http.MethodPost && strings.Contains(body, fmt.Sprintf("192.0.2.%d", bad[0])) ||
					method == http.MethodPut && strings.Contains(body, fmt.Sprintf("192.0.2.%d", bad[0])) {
					return http.StatusBadRequest, `{"faultstring":"no such member"}`
				}
				return 0, ""
			}
			b, _ := e.begin(t)
			move(t, b, everybody, sharer("a", 80), sharer("b", 81))
			got := told(t, b)
			if len(e.lbs) != 1 || strings.Count(got, "LB0601") != 1 || !strings.Contains(got, bad+"="+e.lbs[0].Address+" LB0601") {
				t.Errorf("%s: %q\n%s", bad, got, e.text())
			}
		})
	}
}

// TestShareFloating: the floating IP of the oldest becomes that of all, stays when the oldest goes, and goes with the
// last one.
func TestShareFloating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{neutron: &fakeNeutron{}}
		b, stop := e.begin(t, afloat)
		move(t, b, nil, named("a", 80))
		for i, want := range [][]lb.LoadBalancer{
			{sharer("a", 80), sharer("b", 81)}, {sharer("b", 81), sharer("c", 82)}, {sharer("c", 82)},
		} {
			move(t, b, everybody, want...)
			if got := told(t, b); strings.Count(got, "=203.0.113.1") != len(want) || strings.Contains(got, "!") ||
				e.neutron.made != 1 || len(e.lbs) != 1 {
				t.Errorf("%d: %q, %s\n%s", i, got, e.neutron, e.text())
			}
			stop()
			b, stop = e.begin(t, afloat)
		}
		move(t, b, everybody, unread(sharer("c", 82)))
		if got := e.neutron.String(); !strings.HasPrefix(got, "203.0.113.1>port-") {
			t.Errorf("%q", got)
		}
		move(t, b, everybody)
		if len(e.neutron.ips) != 0 || len(e.lbs) != 0 {
			t.Errorf("left: %s\n%s", e.neutron, e.text())
		}
	})
}

// TestShareRefusalOfUnknown: what is refused at a common port is the finding of one who has just asked for something, not
// of one whose wish nobody knows.
func TestShareRefusalOfUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &estate{}
		b, stop := e.begin(t)
		first, second := web(sharer("a", 80), "a.example"), web(sharer("b", 80), "b.example")
		move(t, b, everybody, first, second)
		stop()
		e.refuse = func(method, path, _ string) (int, string) {
			if method == http.MethodPut && strings.HasPrefix(path, "listeners/") {
				return http.StatusBadRequest, `{"faultstring":"no"}`
			}
			return 0, ""
		}
		b, _ = e.begin(t)
		move(t, b, everybody, first, unread(second), web(sharer("c", 80), "c.example"))
		s, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][]lb.Code{"a": nil, "b": nil, "c": {lb.CodeCloudRefused}} {
			if got := codes(s.Health[named(name, 1).Origin.Key].Findings); !slices.Equal(got, want) {
				t.Errorf("%s: %v\n%s", name, got, e.text())
			}
		}
	})
}
