package octavia_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// TestQuota reaches the quota midway, with a create and with an update: nothing is left behind, what there is goes on,
// and what fits is made when there is room, without anybody touching the objects.
func TestQuota(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *octavia.Options) { o.Credentials.Cloud = "other" }) // a project of its own
	first, second := web("first", 1, 80), web("second", 2, 80)
	s.apply(first)
	s.ready(first) // Octavia makes the row of the quotas with the first load balancer
	project := s.query("select l.project_id from load_balancer l where " + s.mine())[0]
	quota := func(members string) {
		t.Helper()
		if _, err := cloud.SQL(t.Context(), "update quotas set member="+members+" where project_id='"+project+"'"); err != nil {
			t.Fatal(err)
		}
	}
	quota("in_use_member+1")
	s.apply(first, second)
	if text := s.finding(second, lb.CodeCloudQuota); !strings.Contains(text, "Member") {
		t.Error(text)
	}
	first = web("first", 3, 80)
	s.apply(first, second)
	s.finding(first, lb.CodeCloudQuota)
	if n := s.count(""); n != 1 {
		t.Errorf("%d load balancers", n)
	}
	if n := len(s.query("select m.id from member m join pool p on m.pool_id=p.id join load_balancer l on p.load_balancer_id=l.id where " +
		s.mine())); n != 1 || !s.healths()[first.Origin.Key].Ready {
		t.Errorf("%d members, %+v", n, s.healths())
	}
	quota("null")
	s.ready(second)
	s.settled()
}

// TestRefused asks for what is not there. It is a finding that names it, nothing is made, and a corrected wish is tried
// at once. The lab's network driver has every subnet, so that answer is one that Neutron's driver would give.
func TestRefused(t *testing.T) {
	t.Parallel()
	const unknown = "00000000-2222-3333-4444-555555555555"
	for name, c := range map[string]struct {
		change func(*octavia.Settings)
		fault  lab.Fault
		text   string
	}{
		"flavor":   {change: func(s *octavia.Settings) { s.Placement.FlavorID = unknown }, text: "flavor"},
		"zone":     {change: func(s *octavia.Settings) { s.Placement.AvailabilityZone = "moon" }, text: "availability zone"},
		"provider": {change: func(s *octavia.Settings) { s.Placement.Provider = "pigeon" }, text: "pigeon"},
		"no UUID":  {change: func(s *octavia.Settings) { s.Placement.SubnetID = "green" }, text: "green"},
		"subnet": {
			change: func(s *octavia.Settings) { s.Placement.SubnetID = unknown },
			fault: lab.Fault{Method: http.MethodPost, Path: "/loadbalancers", Status: http.StatusBadRequest,
				Text: fmt.Sprintf("Subnet %s not found.", unknown)},
			text: unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var right atomic.Bool
			s := newSite(t, func(o *octavia.Options) {
				o.Settings = func(lb.Key) octavia.Settings {
					settings := o.Defaults
					if !right.Load() {
						c.change(&settings)
					}
					return settings
				}
			})
			if c.fault.Status != 0 {
				s.gate.Break(c.fault)
			}
			l := web("web", 1, 80)
			s.apply(l)
			if text := s.finding(l, lb.CodeCloudRefused); !strings.Contains(text, c.text) {
				t.Errorf("%q does not name %s", text, c.text)
			}
			if n := s.count(""); n != 0 {
				t.Errorf("%d load balancers", n)
			}
			s.gate.Mend()
			right.Store(true)
			s.apply(l)
			s.ready(l)
		})
	}
}

// TestTwinNodes has two nodes with one address, in a create and in an update. Octavia up to 14 would be stuck for ever
// if it were told so.
func TestTwinNodes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, nodes := range []int{2, 3} {
		l := web("web", nodes, 80)
		endpoints := &l.Listeners[0].Routes[0].Target.Endpoints
		*endpoints = append(*endpoints, (*endpoints)[0], (*endpoints)[nodes-1])
		s.apply(l)
		s.ready(l)
		s.settled()
		s.is(webTree(nodes, 80))
	}
}
