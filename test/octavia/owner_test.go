package octavia_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// TestForeign has load balancers of others with our names, in the same project: they are not touched.
func TestForeign(t *testing.T) {
	t.Parallel()
	a, b := newSite(t), newSite(t)
	u := login(t, a.gate, "demo")
	foreign := u.create(`{"name":"default-web-loadbalancer",` +
		`"vip_subnet_id":"` + lab.Subnet + `","tags":["somebody-else"]}`)
	want := web("web", 1, 80)
	a.apply(want)
	b.apply(want)
	a.ready(want)
	b.ready(want)
	if a.count("") != 1 || b.count("") != 1 {
		t.Errorf("%d and %d load balancers", a.count(""), b.count(""))
	}
	a.apply()
	a.until("gone", func() bool { return a.Released(want.Origin.Key) })
	b.is(webTree(1, 80))
	if a.named(foreign) != 1 {
		t.Error("the foreign load balancer is gone")
	}
	u.do("DELETE", "loadbalancers/"+foreign+"?cascade=true", "")
}

// TestDouble has a second load balancer with the tags of the first, as a create leaves it whose answer was lost and
// which nobody saw: it goes, and the first stays.
func TestDouble(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	first := s.query("select l.id from load_balancer l where " + s.mine())[0]
	login(t, s.gate, "demo").create(`{"vip_subnet_id":"` + lab.Subnet +
		`","tags":["kubectl-lb-cluster=` + s.options.Cluster +
		`","kubectl-lb-configmap=default/web"]}`)
	s.restart() // the next one knows nothing
	s.apply(want)
	s.until("one", func() bool { return s.count("") == 1 && s.named(first) == 1 })
	s.settled()
}

// TestReplaced keeps the load balancer when the object is replaced by one of the same name.
func TestReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	want.Origin.UID = "another"
	s.apply(want)
	s.settled()
	if s.posts() != 1 {
		t.Errorf("%d creates", s.posts())
	}
	if rows := s.query("select tag from tags t join load_balancer l on t.resource_id=l.id where tag like '%uid%' and " +
		s.mine()); !cmp.Equal(rows, []string{"kubectl-lb-uid=another"}) {
		t.Errorf("tags %v", rows)
	}
}

// TestReleaseWhilePending deletes the object while its load balancer is being made.
func TestReleaseWhilePending(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.until("asked for", func() bool { return s.posts() == 1 })
	s.restart() // and whoever asked for it is gone
	s.Release([]lb.Origin{want.Origin})
	s.until("gone", func() bool { return s.Released(want.Origin.Key) && s.count("") == 0 })
}

// TestOrphans reports what nobody wants, and deletes it only when told to.
func TestOrphans(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.restart()
	s.apply()
	s.until("reported", func() bool {
		o := s.Orphans()
		return len(o) == 1 && o[0].Key == want.Origin.Key
	})
	s.settled()
	if s.count("") != 1 {
		t.Error("it is gone")
	}
	s.options.DeleteOrphans = true
	s.restart()
	s.apply()
	s.until("gone", func() bool { return s.count("") == 0 })
}
