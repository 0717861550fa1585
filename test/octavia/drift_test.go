package octavia_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDrift changes a load balancer behind the backend's back, through the API as anybody would, and finds it repaired
// by the next pass.
func TestDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 2, 80, 81)
	s.apply(want)
	s.ready(want)
	s.settled()
	id := s.query("select l.id from load_balancer l where " + s.mine())[0]
	child := func(table, name string) string {
		return s.query("select c.id from " + table + " c join load_balancer l on c.load_balancer_id=l.id where c.name='" + name +
			"' and " + s.mine())[0]
	}
	u := login(t, s.gate, "demo")
	for _, c := range []struct {
		name   string
		change func() (method, path, body string)
	}{
		{"renamed", func() (string, string, string) {
			return "PUT", "loadbalancers/" + id, `{"loadbalancer":{"name":"mine"}}`
		}},
		{"tags lost", func() (string, string, string) {
			return "PUT", "loadbalancers/" + id, `{"loadbalancer":{"tags":[]}}`
		}},
		{"members gone", func() (string, string, string) {
			return "PUT", "pools/" + child("pool", "tcp-80") + "/members", `{"members":[]}`
		}},
		{"listener gone", func() (string, string, string) {
			return "DELETE", "listeners/" + child("listener", "tcp-81"), ""
		}},
		{"pool gone", func() (string, string, string) { return "DELETE", "pools/" + child("pool", "tcp-80"), "" }},
		{"timeout", func() (string, string, string) {
			return "PUT", "listeners/" + child("listener", "tcp-80"), `{"listener":{"connection_limit":1}}`
		}},
		{"method", func() (string, string, string) {
			return "PUT", "pools/" + child("pool", "tcp-81"), `{"pool":{"lb_algorithm":"SOURCE_IP"}}`
		}},
	} {
		t.Log(c.name)
		s.pause(id)
		u.do(c.change())
		s.until(c.name+": Octavia is done with it", func() bool { return s.named(id) == 1 })
		s.apply(want)
		s.until(c.name, func() bool { return s.Settled() && cmp.Equal(webTree(2, 80, 81), s.tree()) })
	}
	// Deleted altogether: the new one has the old one's address.
	before := s.query("select v.ip_address from vip v join load_balancer l on v.load_balancer_id=l.id where " + s.mine())
	u.do("DELETE", "loadbalancers/"+id+"?cascade=true", "")
	s.until("a new one", func() bool {
		s.apply(want)
		return s.count(" and l.id<>'"+id+"' and l.provisioning_status='ACTIVE'") == 1
	})
	s.ready(want)
	after := s.query("select v.ip_address from vip v join load_balancer l on v.load_balancer_id=l.id where " + s.mine())
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("the address has changed: %s", d)
	}
}

// pause waits until the load balancer's last change is a second old: updated_at counts seconds, so that another change in
// the same one is seen only by the second look, a minute later.
func (s *site) pause(id string) {
	s.t.Helper()
	s.until("a second later", func() bool {
		return len(s.query("select id from load_balancer where timestampdiff(second,updated_at,utc_timestamp())>=1 and id='"+id+"'")) == 1
	})
}

// named is 1 if the load balancer is ACTIVE, whatever its tags are.
func (s *site) named(id string) int {
	return len(s.query("select id from load_balancer where id='" + id + "' and provisioning_status='ACTIVE'"))
}
